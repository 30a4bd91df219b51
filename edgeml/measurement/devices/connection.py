"""A connection to a device: the system's `ssh` command, and at its other end the agent."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import shlex
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import msgspec
from msgspec import Struct

from edgeml.core.errors import StorageError, TargetError
from edgeml.measurement.devices import agent
from edgeml.measurement.devices.device import Device

__all__ = ["Cancelled", "Connection", "ConnectionLost"]

T = TypeVar("T")

_SILENCE_S = 60.0
_TICK_S = 0.2
_END_S = 2.0
_CHUNK_BYTES = 2**16
_LINE_BYTES = 2**29
_NOISE_BYTES = 2**24
_SHOWN_BYTES = 4000
_SSH_FAILED = 255
_SHELL_LACKS = (126, 127)
_KILLED = frozenset({129, 130, 137, 143})
_PYTHONS = ("python3", "python3.13", "python3.12", "python3.11")
# BatchMode: nobody is there to answer questions. Forwarding and commands that the user's configuration asks for are
# for sessions by hand. A dead link is seen after 15 s. The first value of an option holds, and the user's come first.
_OPTIONS = (
    "BatchMode=yes", "ConnectTimeout=15", "ServerAliveInterval=5", "ServerAliveCountMax=3", "ControlMaster=no",
    "ClearAllForwardings=yes", "RemoteCommand=none", "RequestTTY=no",
)  # fmt: skip
# In single quotes every login shell, csh and fish too, leaves these two alone: they hold no quote of that kind, no
# backslash and no exclamation mark.
_SCRIPT = (
    'b=$1; m=$2; shift 2; for p in "$@"; do'
    ' "$p" -c "import sys; sys.exit(sys.version_info < (3, 11))" </dev/null >/dev/null 2>&1'
    ' && exec "$p" -P -B -u -c "$b"; done;'
    ' echo; echo "$m {}"; for p in "$@"; do echo "$p: $("$p" -V </dev/null 2>&1)"; done'
)
_BOOT = 'import sys; g = {{"__name__": "agent"}}; exec(sys.stdin.buffer.read({size}), g); g["serve"]("{mark}")'


class ConnectionLost(TargetError):
    """The device cannot be reached, or can no longer; another attempt may help."""


class Cancelled(Exception):
    """The caller wants no more of it."""


class _Greeting(Struct, frozen=True):
    python: str = ""
    machine: str = ""
    system: str = ""


class _Failure(Struct, frozen=True):
    error: str | None = None


class Connection:
    """The agent on a device.

    Args:
        device: The device.
        cancelled: Asked now and then while an answer is awaited.

    Attributes:
        python: Version of the device's Python.
        machine: Its architecture.

    Raises:
        ConnectionLost: The device cannot be reached.
        TargetError: It lets nobody in, or has no shell or no Python that serves; or this machine has no `ssh`.
        Cancelled: As the caller asked for.
    """

    def __init__(self, device: Device, *, cancelled: Callable[[], bool]) -> None:
        self._device = device
        self._cancelled = cancelled
        self._mark = f"edgeml-{secrets.token_hex(16)}".encode()
        self._received = bytearray()
        self._noise = bytearray()
        self._errors = bytearray()
        source = Path(agent.__file__).read_bytes()
        try:
            self._process = subprocess.Popen(
                self._command(len(source)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                process_group=0,  # Ctrl-C in a terminal reaches this process alone, which then tells the device
            )
        except FileNotFoundError as error:
            raise TargetError("This machine has no ssh command.", fix="install OpenSSH's client.") from error
        self._reader = threading.Thread(target=self._read_errors, daemon=True)
        self._reader.start()
        self._greeted = False
        try:
            self._write(source)
            greeting = self.answer(_Greeting)
            if not greeting.python:
                raise self._no_python()
        except BaseException:
            self.close()
            raise
        self._greeted = True
        self.python, self.machine = greeting.python, greeting.machine

    def ask(self, do: str, *, returns: type[T], payload: bytes = b"", **request: object) -> T:
        """Sends a request, and gives its first answer.

        Args:
            do: One of the agent's operations.
            returns: The type of the answer.
            payload: What follows the request.
            request: The operation's arguments.

        Raises:
            ConnectionLost: The connection is cut, or nothing was heard for a minute.
            StorageError: The device's storage fails.
            TargetError: The answer is none.
            Cancelled: As the caller asked for.
        """
        self._write(json.dumps({"do": do, **request}).encode() + b"\n" + payload)
        return self.answer(returns)

    def answer(self, returns: type[T]) -> T:
        """The next answer; raises as `ask`."""
        line = self._line()
        try:
            failure = msgspec.json.decode(line, type=_Failure).error
            if failure is not None:
                raise StorageError(
                    f"{self._device.title}: {failure}.", fix="free some space there, or see to that folder's rights."
                )
            return msgspec.json.decode(line, type=returns)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise TargetError(f"{self._device.title} answers what cannot be read: {error}.") from error

    def close(self) -> None:
        """Hangs up. What runs on the device goes on."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        with self._process:
            self._reader.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _command(self, size: int) -> list[str]:
        mark = self._mark.decode()
        words = [_BOOT.format(size=size, mark=mark), mark]
        pythons = [_in_home(self._device.python)] if self._device.python else list(_PYTHONS)
        remote = " ".join(["sh", "-c", *map(shlex.quote, [_SCRIPT, "sh", *words]), *pythons])
        options = [word for option in (*self._device.ssh_options, *_OPTIONS) for word in ("-o", option)]
        return ["ssh", *options, *self._device.ssh_arguments, remote]

    def _write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        pipe = self._process.stdin.fileno()
        view = memoryview(data)
        with contextlib.suppress(BrokenPipeError):  # the missing answer tells
            while view:
                while not select.select([], [pipe], [], _TICK_S)[1]:
                    if self._cancelled():
                        raise Cancelled
                view = view[os.write(pipe, view[:_CHUNK_BYTES]) :]

    def _line(self) -> bytes:
        """The next line behind the mark; what a login shell prints beside is passed over."""
        searched = 0  # a long line arrives in many pieces
        while True:
            end = self._received.find(b"\n", searched)
            if end < 0:
                searched = len(self._received)
                self._receive()
            else:
                line, searched = bytes(self._received[:end]), 0
                del self._received[: end + 1]
                if line.startswith(self._mark + b" "):
                    return line[len(self._mark) + 1 :]
                self._noise += line
            marked = self._received.startswith(self._mark)
            if len(self._noise) + (0 if marked else len(self._received)) > _NOISE_BYTES or searched > _LINE_BYTES:
                raise TargetError(
                    f"{self._device.title} prints without end before it answers.",
                    fix="let its login shell print nothing where no terminal is.",
                )

    def _receive(self) -> None:
        assert self._process.stdout is not None
        deadline = time.monotonic() + _SILENCE_S
        while not select.select([self._process.stdout], [], [], _TICK_S)[0]:
            if self._cancelled():
                raise Cancelled
            if time.monotonic() > deadline:
                raise ConnectionLost(f"{self._device.title} says nothing for {_SILENCE_S:.0f} s.")
        data = os.read(self._process.stdout.fileno(), 1 << 20)
        if not data:
            raise self._ended()
        self._received += data

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        while data := os.read(self._process.stderr.fileno(), 1 << 16):
            self._errors = (self._errors + data)[-_SHOWN_BYTES:]

    def _ended(self) -> TargetError:
        """Why there is no more to read."""
        status = self._process.wait()
        self._reader.join(_END_S)
        title, text = self._device.title, self._errors.decode(errors="replace").strip()
        lines = text.splitlines()
        if status == _SSH_FAILED or status < 0 or (self._greeted and status in _KILLED):
            return _refused(title, self._device.host, text) or ConnectionLost(
                f"{title} cannot be reached: {lines[-1] if lines else 'the connection was cut'}",
                fix=f"see that it is on, and that this works: ssh {self._device.host}",
            )
        if status in _SHELL_LACKS and not self._greeted:
            return TargetError(f"{title} has no POSIX shell: {lines[-1] if lines else f'status {status}'}")
        said = (self._noise + self._received)[-_SHOWN_BYTES:].decode(errors="replace")
        return TargetError(
            f"{title} ended the session with status {status}.",
            fix="see that its login shell runs commands when no terminal is there.",
            log=f"{said}\n{text}",
        )

    def _no_python(self) -> TargetError:
        with contextlib.suppress(TargetError):
            while len(self._received) < _NOISE_BYTES:
                self._receive()
        found = [line.strip() for line in self._received.decode(errors="replace").splitlines()]
        versions = [line for line in found if line.startswith(tuple(f"{name}: Python " for name in _PYTHONS))]
        if self._device.python:
            seen = f"{self._device.python} is none: {found[0].partition(': ')[2] if found else 'it does not run'}"
        else:
            seen = versions[0] if versions else "there is no python3"
        return TargetError(
            f"{self._device.title} has no Python 3.11 or newer: {seen}.",
            fix="install one there, or name it by --python.",
        )


def _in_home(path: str) -> str:
    """A path as the login shell takes it: with `~` for the home folder there."""
    return f'"$HOME"/{shlex.quote(path[2:])}' if path.startswith("~/") else shlex.quote(path)


def _refused(title: str, host: str, text: str) -> TargetError | None:
    """What another attempt does not change."""
    if "REMOTE HOST IDENTIFICATION HAS CHANGED" in text:
        return TargetError(
            f"{title}: its host key is another than SSH knows.",
            fix="find out why; if it was installed anew: ssh-keygen -R, and ssh to it once.",
        )
    if "Host key verification failed" in text:
        return TargetError(
            f"{title}: SSH does not know its host key.", fix=f"run once, and compare the key: ssh {host}"
        )
    if "Permission denied" in text or "Too many authentication failures" in text:
        return TargetError(
            f"{title} lets nobody in without a password: {text.splitlines()[-1]}", fix=f"ssh-copy-id {host}"
        )
    return None
