"""A constant workload that shows the speed of the machine during a measurement."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from time import perf_counter_ns

import numpy as np

from edgeml.measurement.timing import Clock, elapsed_ns

__all__ = ["ReferenceWorkload"]

_VALUES = 2**14  # three arrays of 64 kB: larger than the first-level cache, as models are
_ITERATIONS = 300


@dataclass(slots=True)
class ReferenceWorkload:
    """Workload of some 15 microseconds of Python and of arithmetic on arrays, timed at each call.

    Args:
        clock_ns: The clock.
    """

    clock_ns: Clock = perf_counter_ns
    _times_ns: list[int] = field(init=False, default_factory=list)
    _arrays: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self._arrays = np.ones((3, _VALUES), np.float32)

    def __call__(self) -> None:
        """Run the workload twice and time the second run; the first brings it back into the caches."""
        for _ in range(2):
            start = self.clock_ns()
            np.multiply(self._arrays[0], self._arrays[1], self._arrays[2])
            total = 0
            for turn in range(_ITERATIONS):
                total += turn
            time_ns = elapsed_ns(start, self.clock_ns())
        self._times_ns.append(time_ns)

    @property
    def us(self) -> float | None:
        """Median time in microseconds; None before the first call."""
        return statistics.median(self._times_ns) / 1000 if self._times_ns else None
