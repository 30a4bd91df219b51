"""A machine at the other end of SSH, and a file that names several."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from edgeml.core.errors import InputError
from edgeml.core.system.files import read_bytes

__all__ = ["Device", "read_lab"]

_ADDRESS = re.compile(
    r"(?:(?P<user>[^@\s:/-][^@\s:/]*)@)?(?:\[(?P<six>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^@\s:/\[\]-][^@\s:/\[\]]*))(?::(?P<port>\d{1,5}))?"
)
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
_VARIABLE = re.compile(r"[A-Za-z_]\w*")


class Device(Struct, frozen=True, forbid_unknown_fields=True):
    """A machine that benchmarks run on.

    Attributes:
        host: ``[user@]host[:port]``; the host may be an alias of SSH's configuration, an IPv6 address is in brackets.
        name: What to call it; by default its host.
        python: Its Python, as a path there; empty for the first that is new enough.
        env: Variables of the environment there.
        ssh_options: Options of SSH, as ``Port=2222``; the user's configuration holds too.
        options: Options of ``edgeml bench`` for this device alone.

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
        """Looks at the fields.

        Raises:
            InputError: One is malformed.
        """
        if not _ADDRESS.fullmatch(self.host) or not 0 < self._port <= 65535:
            raise InputError(
                f"'{self.host}' is no address of a device.",
                fix="give [user@]host[:port], an IPv6 address in brackets.",
            )
        odd = [name for name in self.env if not _VARIABLE.fullmatch(name)]
        if odd:
            raise InputError(f"Device {self.title}: '{odd[0]}' is no name of a variable.")
        if any(not character.isprintable() for character in self.python):
            raise InputError(f"Device {self.title}: the path of its Python holds what cannot be printed.")

    @property
    def title(self) -> str:
        """What messages and results call it."""
        return self.name or self.host

    @property
    def ssh_arguments(self) -> list[str]:
        """What tells SSH where to go."""
        found = _ADDRESS.fullmatch(self.host)
        assert found is not None
        user = f"{found['user']}@" if found["user"] else ""
        port = ["-p", found["port"]] if found["port"] else []
        return [*port, "--", f"{user}{found['six'] or found['host']}"]

    @property
    def _port(self) -> int:
        found = _ADDRESS.fullmatch(self.host)
        return int(found["port"] or 22) if found is not None else 0


def read_lab(path: Path) -> tuple[Device, ...]:
    """The devices that a TOML file names: a table for each, with the fields of `Device`.

    Raises:
        InputError: It is missing or malformed, or names no device.
        StorageError: It cannot be read.
    """
    try:
        tables = tomllib.loads(read_bytes(path).decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no TOML file: {error}.") from error
    if not tables:
        raise InputError(f"{path} names no device.", fix='add a table: [pi4], and host = "pi@pi4.local" below it.')
    devices = []
    for name, table in tables.items():
        if not _NAME.fullmatch(name):  # it becomes a file's name
            raise InputError(
                f"{path}: '{name}' is no name of a device.", fix="take up to 64 letters, digits, '_', '-' and '.'."
            )
        try:
            devices.append(msgspec.convert({"name": name} | table, Device))
        except (msgspec.ValidationError, TypeError) as error:
            raise InputError(f"{path}: device '{name}': {error}.", fix=_FORM) from error
        except InputError as error:
            raise InputError(f"{path}: {error.message}", fix=error.fix) from error
    return tuple(devices)


_FORM = "a table has host, and may have python, env, ssh_options and options."
