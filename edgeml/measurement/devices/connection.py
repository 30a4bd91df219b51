"""Connection to the agent on a device, through the system's `ssh` command."""

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
from typing import Self, TypeVar

import msgspec
from msgspec import Struct

from edgeml.core.errors import StorageError, TargetError
from edgeml.measurement.devices import agent
from edgeml.measurement.devices.device import Device

__all__ = ["Cancelled", "Connection", "ConnectionLost"]

T = TypeVar("T")

_TIMEOUT_S = 60.0
_TICK_S = 0.2
_END_S = 2.0
_CHUNK_BYTES = 2**16
_LINE_BYTES = 2**25  # twice the largest results, compressed
_NOISE_BYTES = 2**24
_LOG_BYTES = 4000
_SSH_FAILED = 255
_COMMAND_NOT_FOUND = (126, 127)
_KILL_STATUSES = frozenset({129, 130, 137, 143})
_PYTHONS = ("python3", "python3.13", "python3.12", "python3.11")
# BatchMode: no user is there to answer prompts. Forwarding and commands of the user's configuration are meant for
# interactive sessions. A dead link is noticed after 15 s. SSH takes the first value of an option, and the
# user's options come first.
_OPTIONS = (
    "BatchMode=yes", "ConnectTimeout=15", "ServerAliveInterval=5", "ServerAliveCountMax=3", "ControlMaster=no",
    "ClearAllForwardings=yes", "RemoteCommand=none", "RequestTTY=no",
)  # fmt: skip
# Every login shell, including csh and fish, passes these two unchanged in single quotes: they contain neither single
# quotes nor backslashes nor exclamation marks.
_SCRIPT = (
    'b=$1; m=$2; shift 2; for p in "$@"; do'
    ' "$p" -c "import sys; sys.exit(sys.version_info < (3, 11))" </dev/null >/dev/null 2>&1'
    ' && exec "$p" -P -B -u -c "$b"; done;'
    ' echo; echo "$m {}"; for p in "$@"; do echo "$p: $("$p" -V </dev/null 2>&1)"; done'
)
_BOOTSTRAP = 'import sys; g = {{"__name__": "agent"}}; exec(sys.stdin.buffer.read({size}), g); g["serve"]("{mark}")'


class ConnectionLost(TargetError):
    """The device cannot be reached, or the connection dropped; another attempt may succeed."""


class Cancelled(Exception):
    """The caller cancelled the operation."""


class _Greeting(Struct, frozen=True):
    python: str = ""
    machine: str = ""
    system: str = ""


class _Failure(Struct, frozen=True):
    error: str | None = None


class Connection:
    """Connection to the agent on a device.

    Args:
        device: The device.
        cancelled: Polled while waiting for a reply; a true value cancels the operation.

    Attributes:
        python: Version of the device's Python.
        machine: Architecture of the device.

    Raises:
        ConnectionLost: The device cannot be reached.
        TargetError: The device refuses the login or lacks a suitable shell or Python, or this machine lacks `ssh`.
        Cancelled: The caller cancelled the operation.
    """

    def __init__(self, device: Device, *, cancelled: Callable[[], bool]) -> None:
        self._device = device
        self._cancelled = cancelled
        self._mark = f"edgeml-{secrets.token_hex(16)}".encode()
        self._received = bytearray()
        self._other_output = bytearray()
        self._errors = bytearray()
        source = Path(agent.__file__).read_bytes()
        try:
            self._process = subprocess.Popen(
                self._command(len(source)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                process_group=0,  # Ctrl-C in a terminal interrupts only this process, which then stops the device
            )
        except FileNotFoundError as error:
            raise TargetError(
                "The command ssh is not installed on this machine.", fix="install OpenSSH's client."
            ) from error
        self._reader = threading.Thread(target=self._read_errors, daemon=True)
        self._reader.start()
        self._greeted = False
        try:
            self._write(source)
            greeting = self.answer(_Greeting)
            if not greeting.python:
                raise self._python_error()
        except BaseException:
            self.close()
            raise
        self._greeted = True
        self.python, self.machine = greeting.python, greeting.machine

    def ask(self, do: str, *, returns: type[T], payload: bytes = b"", **request: object) -> T:
        """Send a request and return the first reply.

        Args:
            do: Operation of the agent.
            returns: Type of the reply.
            payload: Bytes that follow the request.
            request: Arguments of the operation.

        Raises:
            ConnectionLost: The connection dropped, or the device did not send anything for a minute.
            StorageError: The device's storage failed.
            TargetError: The reply is invalid.
            Cancelled: The caller cancelled the operation.
        """
        self._write(json.dumps({"do": do, **request}).encode() + b"\n" + payload)
        return self.answer(returns)

    def answer(self, returns: type[T]) -> T:
        """Return the next reply; errors are those of `ask`."""
        line = self._read_line()
        try:
            failure = msgspec.json.decode(line, type=_Failure).error
            if failure is not None:
                raise StorageError(
                    f"{self._device.title}: {failure}.",
                    fix="free some space there, or check that folder's permissions.",
                )
            return msgspec.json.decode(line, type=returns)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise TargetError(f"{self._device.title} sent an invalid reply: {error}.") from error

    def close(self) -> None:
        """Close the connection. A benchmark on the device continues."""
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

    def __exit__(self, *_: object) -> None:
        self.close()

    def _command(self, size: int) -> list[str]:
        mark = self._mark.decode()
        words = [_BOOTSTRAP.format(size=size, mark=mark), mark]
        pythons = [_quote_path(self._device.python)] if self._device.python else list(_PYTHONS)
        remote = " ".join(["sh", "-c", *map(shlex.quote, [_SCRIPT, "sh", *words]), *pythons])
        options = [word for option in (*self._device.ssh_options, *_OPTIONS) for word in ("-o", option)]
        return ["ssh", *options, *self._device.ssh_arguments, remote]

    def _write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        pipe = self._process.stdin.fileno()
        view = memoryview(data)
        with contextlib.suppress(BrokenPipeError):  # the missing reply is noticed later
            while view:
                while not select.select([], [pipe], [], _TICK_S)[1]:
                    if self._cancelled():
                        raise Cancelled
                view = view[os.write(pipe, view[:_CHUNK_BYTES]) :]

    def _read_line(self) -> bytes:
        """Return the next line with the mark; other output of a login shell is skipped."""
        searched = 0  # a long line arrives in many pieces
        while True:
            end = self._received.find(b"\n", searched)
            if end < 0:
                searched = len(self._received)
                self._receive()
            else:
                searched, marked = 0, self._received.startswith(self._mark + b" ")
                with memoryview(self._received) as received:
                    line = bytes(received[len(self._mark) + 1 if marked else 0 : end])
                del self._received[: end + 1]
                if marked:
                    return line
                self._other_output += line
            marked = self._received.startswith(self._mark)
            if (
                len(self._other_output) + (0 if marked else len(self._received)) > _NOISE_BYTES
                or searched > _LINE_BYTES
            ):
                raise TargetError(
                    f"{self._device.title} prints endless output before it replies.",
                    fix="make its login shell silent without a terminal.",
                )

    def _receive(self) -> None:
        assert self._process.stdout is not None
        deadline = time.monotonic() + _TIMEOUT_S
        while not select.select([self._process.stdout], [], [], _TICK_S)[0]:
            if self._cancelled():
                raise Cancelled
            if time.monotonic() > deadline:
                raise ConnectionLost(f"{self._device.title} did not respond for {_TIMEOUT_S:.0f} s.")
        data = os.read(self._process.stdout.fileno(), 1 << 20)
        if not data:
            raise self._end_error()
        self._received += data

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        while data := os.read(self._process.stderr.fileno(), 1 << 16):
            self._errors = (self._errors + data)[-_LOG_BYTES:]

    def _end_error(self) -> TargetError:
        """Return the reason for the end of the output."""
        status = self._process.wait()
        self._reader.join(_END_S)
        title, text = self._device.title, self._errors.decode(errors="replace").strip()
        lines = text.splitlines()
        if status == _SSH_FAILED or status < 0 or (self._greeted and status in _KILL_STATUSES):
            return _login_error(title, self._device.host, text) or ConnectionLost(
                f"{title} cannot be reached: {lines[-1] if lines else 'the connection was cut'}",
                fix=f"check that it is on, and that this works: ssh {self._device.host}",
            )
        if status in _COMMAND_NOT_FOUND and not self._greeted:
            return TargetError(f"{title} does not have a POSIX shell: {lines[-1] if lines else f'status {status}'}")
        output = (self._other_output + self._received)[-_LOG_BYTES:].decode(errors="replace")
        return TargetError(
            f"{title} ended the session with status {status}.",
            fix="check that its login shell runs commands without a terminal.",
            log=f"{output}\n{text}",
        )

    def _python_error(self) -> TargetError:
        with contextlib.suppress(TargetError):
            while len(self._received) < _NOISE_BYTES:
                self._receive()
        output_lines = [line.strip() for line in self._received.decode(errors="replace").splitlines()]
        versions = [line for line in output_lines if line.startswith(tuple(f"{name}: Python " for name in _PYTHONS))]
        if self._device.python:
            output = output_lines[0].partition(": ")[2] if output_lines else "it does not run"
            detail = f"{self._device.python}: {output}"
        else:
            detail = versions[0] if versions else "python3 was not found"
        return TargetError(
            f"{self._device.title} does not have Python 3.11 or newer: {detail}.",
            fix="install it there, or give its path with --python.",
        )


def _quote_path(path: str) -> str:
    """Quote a path for the login shell; a leading `~` is the home folder there."""
    return f'"$HOME"/{shlex.quote(path[2:])}' if path.startswith("~/") else shlex.quote(path)


def _login_error(title: str, host: str, text: str) -> TargetError | None:
    """Return an error that another attempt would not change; None for other errors."""
    if "REMOTE HOST IDENTIFICATION HAS CHANGED" in text:
        return TargetError(
            f"{title}: its host key differs from the one that SSH knows.",
            fix="find out why; if it was reinstalled: ssh-keygen -R, and ssh to it once.",
        )
    if "Host key verification failed" in text:
        return TargetError(
            f"{title}: SSH does not know its host key.", fix=f"run once, and compare the key: ssh {host}"
        )
    if "Permission denied" in text or "Too many authentication failures" in text:
        return TargetError(
            f"{title} does not allow logins without a password: {text.splitlines()[-1]}", fix=f"ssh-copy-id {host}"
        )
    return None
