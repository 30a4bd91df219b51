"""Answers to a few samples at once, for which spreading them over threads would cost more than it gains."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import perf_counter_ns
from typing import TypeVar

import numpy as np

from .executor import Lane
from .pool import Pool

__all__ = ["MOST_SAMPLES", "SmallBatches", "same_bytes"]

Result = TypeVar("Result")

MOST_SAMPLES = 64
"""The largest batch that is small."""
_UNITS = (64, 8)  # samples at a time that are tried, of artifacts that take one
_SIZES = 8  # numbers of samples for which memory is kept, of artifacts that take any
_PATIENCE = 3  # batches before a unit is tried: a program that has but one is not to wait for it
_TRIALS = 3


class SmallBatches:
    """Lanes for a few samples at once, of artifacts with one input and outputs of fixed shape.

    Where the artifact takes any number of samples, each number has lanes of its own. Where it takes one, samples go one
    by one, or several at a time where the engine gives the very same answers so, and sooner: that is measured on the
    batches that come.

    Args:
        pool: Make lanes for so many samples at a time.
        singles: Lanes for one sample.
        unit: Samples that the artifact takes at a time; None where it takes any number.
        widens: Whether the engine may be asked for more samples at a time than the artifact takes.
        errors: The exceptions that the engine raises.
    """

    def __init__(
        self,
        pool: Callable[[int], Pool[Lane]],
        singles: Pool[Lane],
        *,
        unit: int | None,
        widens: bool,
        errors: tuple[type[Exception], ...],
    ) -> None:
        self._pool, self._singles, self._unit, self._errors = pool, singles, unit, errors
        self._by_count: dict[int, Pool[Lane]] = {}
        self._wide: tuple[tuple[int, Pool[Lane]], ...] = ()  # the largest unit first
        self._untried = list(_UNITS) if widens and unit == 1 else []
        self._seen = 0
        self._making = threading.Lock()

    def pools(self) -> list[Pool[Lane]]:
        """All lanes but those for one sample."""
        return [*self._by_count.values(), *(pool for _, pool in self._wide)]

    def answer(self, values: np.ndarray) -> list[np.ndarray] | None:
        """The outputs of a few samples in the signature's order; None where the samples must be looked at.

        Args:
            values: float32 ``[samples, ...]``, C-contiguous.
        """
        count = len(values)
        if self._unit is None:
            pool = self._of_count(count)
            return None if pool is None else _use(pool, lambda lane: lane.few(values) if lane.few else None)
        parts, begin = [], 0
        for unit, pool in self._wide:
            while count - begin >= unit:
                part = self._at_once(pool, values[begin : begin + unit])
                if part is None:
                    return None
                parts.append(part)
                begin += unit
        if begin < count:
            part = self._one_by_one(values[begin:])
            if part is None:
                return None
            parts.append(part)
        if self._untried and count >= self._untried[-1]:
            self._consider(values)
        return parts[0] if len(parts) == 1 else _joined(parts)

    def _one_by_one(self, values: np.ndarray) -> list[np.ndarray] | None:
        return _use(self._singles, lambda lane: lane.one_by_one(values) if lane.few else None)

    def _at_once(self, pool: Pool[Lane], values: np.ndarray) -> list[np.ndarray] | None:
        return _use(pool, lambda lane: lane.few(values) if lane.few else None)

    def _of_count(self, count: int) -> Pool[Lane] | None:
        pool = self._by_count.get(count)
        if pool is None and len(self._by_count) < _SIZES:
            with self._making:
                pool = self._by_count.setdefault(count, self._pool(count))
        return pool

    def _consider(self, values: np.ndarray) -> None:
        """Try the largest unit that the samples suffice for, once several batches came."""
        self._seen += 1
        if self._seen < _PATIENCE or not self._making.acquire(blocking=False):
            return
        try:
            unit = next((unit for unit in self._untried if unit <= len(values)), None)
            if unit is None:
                return
            self._untried.remove(unit)
            pool, some = self._pool(unit), values[:unit]
            try:
                narrow_ns, wanted = _timed(lambda: self._one_by_one(some))
                wide_ns, found = _timed(lambda: self._at_once(pool, some))
            except self._errors:  # the model has its batch built in
                return
            same = found is not None and wanted is not None and all(map(same_bytes, found, wanted))
            if same and wide_ns < narrow_ns:
                self._wide = tuple(sorted((*self._wide, (unit, pool)), key=lambda pair: -pair[0]))
        finally:
            self._making.release()


def _joined(parts: list[list[np.ndarray]]) -> list[np.ndarray]:
    """Outputs of samples that follow each other, as one array each."""
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def _use(pool: Pool[Lane], call: Callable[[Lane], Result]) -> Result:
    lane = pool.take()
    try:
        return call(lane)
    finally:
        pool.give(lane)


def _timed(call: Callable[[], Result]) -> tuple[float, Result]:
    """The least time of some calls, in nanoseconds, and their result."""
    result, least = call(), float("inf")
    for _ in range(_TRIALS):
        begun = perf_counter_ns()
        call()
        least = min(least, perf_counter_ns() - begun)
    return least, result


def same_bytes(some: np.ndarray, others: np.ndarray) -> bool:
    """Whether two arrays are the same to the last bit."""
    return some.shape == others.shape and some.tobytes() == others.tobytes()
