"""Devices that are reached over SSH, and lab files that list them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from edgeml.core.errors import InputError
from edgeml.core.system.toml_file import read_toml

__all__ = ["Device", "read_lab"]

_ADDRESS = re.compile(
    r"(?:(?P<user>[^@\s:/-][^@\s:/]*)@)?(?:\[(?P<six>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^@\s:/\[\]-][^@\s:/\[\]]*))(?::(?P<port>\d{1,5}))?"
)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_VARIABLE = re.compile(r"[A-Za-z_]\w*")


class Device(Struct, frozen=True, forbid_unknown_fields=True):
    """A machine that benchmarks run on.

    Attributes:
        host: ``[user@]host[:port]``; the host may be an alias of the SSH configuration, an IPv6 address is in brackets.
        name: Name of the device; by default its host.
        python: Path of the Python interpreter on the device; empty for the first that is new enough.
        env: Environment variables on the device.
        ssh_options: SSH options such as ``Port=2222``, in addition to the user's configuration.
        options: Options of ``edgeml bench`` for this device only.

    Example:
        >>> Device("pi@raspberrypi.local", python="~/venv/bin/python")
    """

    host: str
    name: str = ""
    python: str = ""
    env: dict[str, str] = {}
    ssh_options: tuple[Annotated[str, Meta(min_length=1)], ...] = ()
    options: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Validate the fields.

        Raises:
            InputError: A field is malformed.
        """
        if not _ADDRESS.fullmatch(self.host) or not 0 < self._port <= 65535:
            raise InputError(
                f"'{self.host}' is not a valid device address.",
                fix="give [user@]host[:port], an IPv6 address in brackets.",
            )
        invalid = [name for name in self.env if not _VARIABLE.fullmatch(name)]
        if invalid:
            raise InputError(f"Device {self.title}: '{invalid[0]}' is not a valid name of an environment variable.")
        if any(not character.isprintable() for character in self.python):
            raise InputError(f"Device {self.title}: the path of its Python contains unprintable characters.")

    @property
    def title(self) -> str:
        """Name in messages and results."""
        return self.name or self.host

    @property
    def ssh_arguments(self) -> list[str]:
        """Destination, as arguments of ``ssh``."""
        match = _ADDRESS.fullmatch(self.host)
        assert match is not None
        user = f"{match['user']}@" if match["user"] else ""
        port = ["-p", match["port"]] if match["port"] else []
        return [*port, "--", f"{user}{match['six'] or match['host']}"]

    @property
    def _port(self) -> int:
        match = _ADDRESS.fullmatch(self.host)
        return int(match["port"] or 22) if match is not None else 0


def read_lab(path: Path) -> tuple[Device, ...]:
    """Read the devices of a TOML file, which has a table for each, with the fields of `Device`.

    Raises:
        InputError: The file is missing or malformed, or does not list a device.
        StorageError: The file cannot be read.
    """
    tables = read_toml(path)
    if not tables:
        raise InputError(
            f"{path} does not list any device.", fix='add a table: [pi4], and host = "pi@pi4.local" below it.'
        )
    devices = []
    for name, table in tables.items():
        if not _NAME.fullmatch(name):  # the name becomes a file name
            raise InputError(
                f"{path}: '{name}' is not a valid device name.", fix="use up to 64 letters, digits, '_', '-' and '.'."
            )
        if not isinstance(table, dict):
            raise InputError(f"{path}: device '{name}': expected a table.", fix=_TABLE_HINT)
        try:
            devices.append(msgspec.convert({"name": name} | table, Device))
        except (msgspec.ValidationError, TypeError) as error:
            raise InputError(f"{path}: device '{name}': {error}.", fix=_TABLE_HINT) from error
        except InputError as error:
            raise InputError(f"{path}: {error.message}", fix=error.fix) from error
    return tuple(devices)


_TABLE_HINT = "a table has host, and may have python, env, ssh_options and options."
