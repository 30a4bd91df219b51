"""An engine whose model does what its input says: crash, loop, take memory, write, or double the values."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from typing import Any, ClassVar

import numpy as np

from edgeml.core.artifact import Needs
from edgeml.core.session import Session
from edgeml.core.system.limits import Limits
from edgeml.core.tensors import Signature, TensorSpec
from edgeml.runtimes import EngineAdapter, EngineInstance, OperatorCount, count_operators
from edgeml.runtimes.session.session import open_session

__all__ = [
    "CRASH",
    "EXIT",
    "GROW",
    "LOOP",
    "PID",
    "PRINT",
    "SLEEP",
    "HostileEngine",
    "LoopsToOpen",
    "hostile",
    "sample",
]

CRASH, LOOP, GROW, PRINT, PID, SLEEP, EXIT = 101.0, 102.0, 103.0, 104.0, 105.0, 106.0, 107.0
"""First values of a sample. The second is the size in MB for GROW and PRINT, and the time in seconds for SLEEP."""

_SIGNATURE = Signature((TensorSpec("x", (1, 4), "float32"),), (TensorSpec("y", (1, 4), "float32"),))
_NEEDS = Needs("numpy", "1.24", ())


class HostileEngine(EngineAdapter):
    """Doubles four values, unless the first one asks for something else."""

    name: ClassVar[str] = "numpy"
    family = "numpy"
    targets: ClassVar[tuple[str, ...]] = ("cpu", "npu")

    def __init__(self, data: bytes, signature: Signature, *, needs: Needs, target: str, threads: int) -> None:
        pass

    def instance(self, batch: int | None, threads: int) -> EngineInstance:
        place, output = (np.zeros((batch or 1, 4), np.float32) for _ in range(2))

        def run() -> None:
            output[...] = _compute(place)

        return EngineInstance([place], [output], run)

    def placement(self) -> tuple[OperatorCount, ...]:
        return count_operators([("Mul", "numpy", True)])


class LoopsToOpen(HostileEngine):
    """Never opens."""

    def __init__(self, data: bytes, signature: Signature, *, needs: Needs, target: str, threads: int) -> None:
        time.sleep(600)


def sample(first: float, second: float = 0.0) -> np.ndarray:
    """One sample ``[1, 4]``."""
    return np.array([[first, second, 0, 0]], np.float32)


def hostile(
    engine: type[EngineAdapter] = HostileEngine, *, memory_mb: float = 64, timeout_s: float = 20, **options: Any
) -> Session:
    """An isolated session of the engine."""
    return open_session(
        engine, b"", _SIGNATURE, needs=_NEEDS, isolation=Limits.checked(memory_mb, timeout_s), **options
    )


def _compute(values: np.ndarray) -> np.ndarray:
    action, amount = map(float, values[0, :2])
    if action == CRASH:
        ctypes.string_at(0)
    if action == LOOP:
        while True:
            pass
    if action == GROW:
        np.ones(int(amount * 2**20), np.uint8)
    if action == PRINT:
        sys.stderr.write("x" * int(amount * 2**20))
    if action == SLEEP:
        time.sleep(amount)
    if action == EXIT:
        os._exit(3)
    if action == PID:
        return np.full_like(values, os.getpid())
    return 2 * values
