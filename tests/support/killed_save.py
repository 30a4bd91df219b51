"""Saves a file again and again, each time killed before or after another system call, and tells what is left.

Usage: python -m tests.support.killed_save FOLDER

Writes a JSON list to stdout: for each kill the call, whether it had been done, and the folder's files with the
SHA-256 of each. An element without a call is the save that ran to its end.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgeml.core.system.files import atomic_write

__all__ = ["NEW", "OLD", "STEPS"]

OLD = b"old" * 10_000
NEW = b"new" * 50_000
STEPS = ("open", "write", "fsync", "replace", "rename", "unlink", "close", "truncate", "ftruncate")


class Killer:
    """Kills this process at its n-th system call."""

    def __init__(self, at: int, *, after: bool, tell: int) -> None:
        self._left, self._after, self._tell = at, after, tell

    def wrapped(self, name: str) -> Callable[..., Any]:
        function = getattr(os, name)

        def call(*arguments: Any, **options: Any) -> Any:
            self._left -= 1
            if self._left == 0:
                os_write(self._tell, name.encode())
                try:
                    if self._after:
                        function(*arguments, **options)
                finally:
                    os.kill(os.getpid(), signal.SIGKILL)
            return function(*arguments, **options)

        return call


os_write = os.write


def short_write(descriptor: int, data: Any) -> int:
    """Writes a part, as a disk may do."""
    return os_write(descriptor, memoryview(data)[:60_000])


def listing(folder: Path) -> dict[str, str]:
    """Digest by file name."""
    return {entry.name: hashlib.sha256(entry.read_bytes()).hexdigest() for entry in sorted(folder.iterdir())}


def killed_at(target: Path, at: int, *, after: bool) -> str:
    """Saves in a child that is killed, and gives the call that it was killed at; empty where it was not."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        killer = Killer(at, after=after, tell=write)
        for name in STEPS:
            setattr(os, name, killer.wrapped(name))
        atomic_write(target, NEW)
        os._exit(0)
    os.close(write)
    _, status = os.waitpid(pid, 0)
    told = os.read(read, 100).decode()
    os.close(read)
    died = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    if died != bool(told) or (not died and os.waitstatus_to_exitcode(status)):
        raise SystemExit(f"the child ended with {status} and told {told!r}")
    return told


def main() -> None:
    """Kills at every step."""
    folder = Path(sys.argv[1])
    os.write = short_write
    found = []
    for after in (False, True):
        at = 0
        step = "?"
        while step:
            at += 1
            for entry in folder.iterdir():
                entry.unlink()
            target = folder / "x.edgeml"
            target.write_bytes(OLD)
            step = killed_at(target, at, after=after)
            left = listing(folder)
            atomic_write(target, OLD)
            found.append({"step": step, "after": after, "left": left, "next": listing(folder)})
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main()
