"""Which processes are alive, and which carry a marker in their environment."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path

__all__ = ["MARKER", "alive", "eventually", "in_session", "marked", "repository"]

MARKER = "EDGEML_TEST_MARKER"
"""Children inherit their parents' environment, and with it this variable."""


def repository() -> Path:
    """The checkout."""
    return Path(__file__).resolve().parents[2]


def alive(pid: int) -> bool:
    """Whether there is such a process, with a thread that is not dead and waiting to be reaped."""
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        return len(threads) > 1 or (threads[0] / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return False


def marked(value: str) -> list[int]:
    """Processes whose marker has that value."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                variables = (folder / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if f"{MARKER}={value}".encode() in variables and alive(int(folder.name)):
                found.append(int(folder.name))
    return [pid for pid in found if pid != os.getpid()]


def in_session(leader: int) -> list[int]:
    """Processes of the session that a process began, whatever group they are in."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                if (folder / "stat").read_text().rpartition(")")[2].split()[3] == str(leader):
                    found.append(int(folder.name))
    return [pid for pid in found if alive(pid)]


def eventually(condition: Callable[[], bool], *, within_s: float = 5.0) -> bool:
    """Whether the condition comes true in time."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
