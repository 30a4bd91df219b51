"""Answers to a few samples at once, for which spreading them over threads would cost more than it gains."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from time import perf_counter_ns
from typing import TypeVar

import numpy as np

from .executor import Lane
from .pool import Pool

__all__ = ["SmallBatches", "same_bytes"]

Result = TypeVar("Result")

_MOST = 64  # samples: of more the ado of `Batches.run` no longer matters
_UNITS = (64, 8, 2)  # samples at a time that are tried, of artifacts that take one
_LEAST_PIECE = 8  # samples that are worth being put together with others
_SIZES = 8  # numbers of samples for which memory is kept, of artifacts that take any
_MEASURED = 8  # batches by which the time of a sample is known
_COLD = 10  # times as long the first batch may take as later ones
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
        most: Samples at a time, at most, where it takes any number.
        widens: Whether the engine may be asked for more samples at a time than the artifact takes.
        worth_ns: The time of samples that are better shared among threads; infinite where there is one.
        short_ns: The time of a sample that is too short for that.
        errors: The exceptions that the engine raises.

    Attributes:
        sample_ns: The least time of a sample that was seen.
    """

    def __init__(
        self,
        pool: Callable[[int], Pool[Lane]],
        singles: Pool[Lane],
        *,
        unit: int | None,
        most: int,
        widens: bool,
        worth_ns: float,
        short_ns: float,
        errors: tuple[type[Exception], ...],
    ) -> None:
        self.sample_ns = math.inf
        self._pool, self._singles, self._unit = pool, singles, unit
        self._errors: tuple[type[Exception], ...] = (MemoryError, *errors)
        self._worth_ns, self._short_ns = worth_ns, short_ns
        self._most = min(_MOST, most) if unit is None else _MOST if unit == 1 else 0
        self._by_count: dict[int, Pool[Lane]] = {}  # of artifacts that take one sample, where that is faster
        self._wide: tuple[tuple[int, Pool[Lane]], ...] = ()  # the larger of these, the largest first
        self._least_wide = _MOST + 1
        self._untried = list(_UNITS) if widens and unit == 1 else []
        self._seen = 0
        self._learning = True
        self._by_one: frozenset[int] = frozenset()  # numbers of samples that are known to go best one by one
        self._making = threading.Lock()

    def close(self) -> None:
        """Let go of the lanes, but for those of one sample; nothing is answered from now on."""
        with self._making:
            self._most, self._by_one = 0, frozenset()
            for pool in self._by_count.values():
                pool.close()

    def answer(self, values: np.ndarray) -> list[np.ndarray] | None:
        """The outputs of a few samples in the signature's order.

        Args:
            values: float32 ``[samples, ...]``.

        Returns:
            Arrays ``[samples, ...]``; None where these are too many samples, or must be looked at.
        """
        count = len(values)
        if count in self._by_one:
            lane = self._singles.take()  # as `_one_by_one`: of two samples each call less is seen
            try:
                return lane.several(values) if lane.several is not None else None
            finally:
                self._singles.give(lane)
        if count > self._most or not count:
            return None
        if self._learning and (self._seen <= _MEASURED or (self._untried and count >= self._untried[-1])):
            return self._measured(values)
        return self._answered(values)

    def _answered(self, values: np.ndarray) -> list[np.ndarray] | None:
        count = len(values)
        pool = self._by_count.get(count)
        if pool is not None:
            return self._at_once(pool, values)
        if self._unit is None:
            return self._at_once(self._of_count(count), values)
        if count >= self._least_wide:
            return self._in_pieces(values)
        return self._one_by_one(values)

    def _one_by_one(self, values: np.ndarray) -> list[np.ndarray] | None:
        lane = self._singles.take()
        try:
            return lane.several(values) if lane.several is not None else None
        finally:
            self._singles.give(lane)

    def _at_once(self, pool: Pool[Lane] | None, values: np.ndarray) -> list[np.ndarray] | None:
        if pool is None:
            return None
        lane = pool.take()
        try:
            return lane.few(values) if lane.few is not None else None
        except self._errors:
            if self._unit is not None:
                raise
            self._most = 0  # the artifact does not answer each sample by itself: the usual way says so
            return None
        finally:
            pool.give(lane)

    def _in_pieces(self, values: np.ndarray) -> list[np.ndarray] | None:
        parts, begin, count = [], 0, len(values)
        for unit, pool in self._wide:
            while count - begin >= unit:
                parts.append(self._at_once(pool, values[begin : begin + unit]))
                begin += unit
        if begin < count:
            parts.append(self._one_by_one(values[begin:]))
        there = [part for part in parts if part is not None]
        if len(there) < len(parts):
            return None
        return there[0] if len(there) == 1 else [np.concatenate(column) for column in zip(*there, strict=True)]

    def _of_count(self, count: int) -> Pool[Lane] | None:
        if len(self._by_count) >= _SIZES:
            return None
        with self._making:
            return self._by_count.setdefault(count, self._pool(count)) if self._most else None

    def _measured(self, values: np.ndarray) -> list[np.ndarray] | None:
        """The answer, with what its time tells of later ones."""
        begun = perf_counter_ns()
        results = self._answered(values)
        if results is None:
            return None
        self.sample_ns = min(self.sample_ns, (perf_counter_ns() - begun) / len(values))
        known = self._seen >= _MEASURED or (self._seen and self.sample_ns * len(values) > _COLD * self._worth_ns)
        self._seen += 1
        if known and self.sample_ns > self._short_ns and self.sample_ns * self._most > self._worth_ns:
            self._most = max(1, int(self._worth_ns / self.sample_ns))
        if self._untried and self._seen >= _PATIENCE and self._making.acquire(blocking=False):
            try:
                self._consider(values)
            finally:
                self._making.release()
        self._learning = self._seen <= _MEASURED or bool(self._untried)
        if self._unit == 1 and self._seen > _MEASURED:
            wide = min([self._least_wide, *self._untried[-1:]])
            self._by_one = frozenset(range(1, min(self._most + 1, wide))) - self._by_count.keys()
        return results

    def _consider(self, values: np.ndarray) -> None:
        """Try the largest unit that the samples suffice for."""
        unit = next((unit for unit in self._untried if unit <= len(values)), None)
        if unit is None or not self._most:
            return
        self._untried.remove(unit)
        pool, some = self._pool(unit), values[:unit]
        try:
            narrow_ns, wanted = _timed(lambda: self._one_by_one(some))
            wide_ns, found = _timed(lambda: self._at_once(pool, some))
        except self._errors:  # there is no room, or the model has its batch built in
            return
        if found and wanted and all(map(same_bytes, found, wanted)) and wide_ns < narrow_ns:
            self._by_count[unit] = pool
            large = [count for count in self._by_count if count >= _LEAST_PIECE]
            self._wide = tuple((count, self._by_count[count]) for count in sorted(large, reverse=True))
            self._least_wide = self._wide[-1][0] if self._wide else _MOST + 1


def _timed(call: Callable[[], Result]) -> tuple[float, Result]:
    """The least time of some calls, in nanoseconds, and their result."""
    result, least = call(), math.inf
    for _ in range(_TRIALS):
        begun = perf_counter_ns()
        call()
        least = min(least, perf_counter_ns() - begun)
    return least, result


def same_bytes(some: np.ndarray, others: np.ndarray) -> bool:
    """Whether two arrays are the same to the last bit."""
    return some.shape == others.shape and some.tobytes() == others.tobytes()
