"""The most memory that this process takes in a block."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["peak_mb"]


@contextmanager
def peak_mb() -> Iterator[Callable[[], float]]:
    """Return a function that gives the peak of resident memory since the block began, in MB above its beginning."""
    Path("/proc/self/clear_refs").write_text("5")  # resets the peak
    before = _status_mb("VmRSS")
    yield lambda: _status_mb("VmHWM") - before


def _status_mb(name: str) -> float:
    match = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert match is not None
    return int(match[1]) / 1024
