"""What the tests of the worker hold in its child: an object that prints, fails and crashes when told to."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from msgspec import Struct

from edgeml.core import errors
from edgeml.core.decisions import Decision

__all__ = ["Held", "HeldSettings"]


class HeldSettings(Struct, frozen=True):
    """What the object is made with."""

    value: int = 0
    fail: bool = False


class Held:
    """Lives in a worker."""

    def __init__(self, settings: HeldSettings) -> None:
        if settings.fail:
            raise errors.InputError("It cannot be made.", fix="make another.")
        self._value = settings.value

    def add(self, number: int) -> int:
        self._value += number
        return self._value

    def pid(self) -> int:
        return os.getpid()

    def temporary(self) -> Path:
        descriptor, name = tempfile.mkstemp()
        os.close(descriptor)
        return Path(name)

    def echo(self, array: np.ndarray) -> np.ndarray:
        return array

    def decision(self, decision: Decision) -> Decision:
        return decision

    def nothing(self) -> None:
        return None

    def opaque(self) -> object:
        return object()

    def read_stdin(self) -> str:
        return sys.stdin.read()

    def print_all_ways(self, text: str) -> None:
        print(f"{text} by print")  # noqa: T201
        os.write(1, f"{text} by descriptor 1\n".encode())
        os.write(2, f"{text} by descriptor 2\n".encode())
        libc = ctypes.CDLL(None)
        libc.puts(f"{text} by libc".encode())
        libc.fflush(None)

    def flood(self, count: int) -> int:
        block = b"x" * 65536
        for _ in range(count):
            os.write(1, block)
        return count

    def raise_ours(self, kind: str) -> None:
        raise getattr(errors, kind)("What went wrong.", fix="do that.")

    def raise_missing(self) -> None:
        raise errors.MissingDependencyError("This step", "keras")

    def raise_value_error(self, message: str) -> None:
        raise ValueError(message)

    def import_module(self, name: str) -> None:
        raise ModuleNotFoundError(f"No module named '{name}'", name=name)

    def say_and_raise(self, text: str) -> None:
        self.print_all_ways(text)
        raise errors.ConversionError("A tool failed.")

    def say_and_abort(self, text: str) -> None:
        self.print_all_ways(text)
        os.abort()

    def read_null(self) -> None:
        ctypes.string_at(0)

    def kill(self, number: int) -> None:
        os.kill(os.getpid(), number)
        time.sleep(60)

    def leave(self, status: int) -> None:
        sys.exit(status)

    def fill_memory(self, limit: int) -> None:
        """Takes more memory than it may have."""
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + limit, resource.RLIM_INFINITY))
        try:
            np.ones(4 * limit, np.uint8)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def start_sleeper(self) -> int:
        """Forks a process that keeps all descriptors open."""
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(600)
            os._exit(0)
        return child

    def start_sleeper_and_abort(self, pid_file: Path) -> None:
        pid_file.write_text(str(self.start_sleeper()))
        os.abort()
