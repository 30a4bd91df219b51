"""A piece of work that is always the same, to tell how fast the machine is between two other things."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from time import perf_counter_ns

import numpy as np

from edgeml.measurement.timing import Clock, elapsed

__all__ = ["Yardstick"]

_VALUES = 2**14  # three arrays of 64 kB: beyond the first cache, as models are
_TURNS = 300


@dataclass(slots=True)
class Yardstick:
    """Some 15 microseconds of Python and of arithmetic on arrays, timed whenever it is called.

    Args:
        clock_ns: The clock.
    """

    clock_ns: Clock = perf_counter_ns
    _times_ns: list[int] = field(init=False, default_factory=list)
    _arrays: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self._arrays = np.ones((3, _VALUES), np.float32)

    def __call__(self) -> None:
        """Does the work twice, and times it the second time: the first brings it back into the caches."""
        for _ in range(2):
            start = self.clock_ns()
            np.multiply(self._arrays[0], self._arrays[1], self._arrays[2])
            total = 0
            for turn in range(_TURNS):
                total += turn
            took = elapsed(start, self.clock_ns())
        self._times_ns.append(took)

    @property
    def us(self) -> float | None:
        """The median of its times in microseconds; None where it was never called."""
        return statistics.median(self._times_ns) / 1000 if self._times_ns else None
