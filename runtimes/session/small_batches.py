"""Fast execution of small batches, for which distribution over threads would cost more than it gains."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from time import perf_counter_ns

import numpy as np

from edgeml.core.system.locks import ForkSafeLock

from .batch_probes import same_bytes
from .executor import Executor
from .pool import Pool

__all__ = ["SmallBatches"]

Run = Callable[[], list[np.ndarray] | None]

_MOST = 64  # samples; for larger batches the overhead of `BatchScheduler.run` does not matter
_UNITS = (64, 8, 2)  # batch sizes that are tried for artifacts of batch size 1
_LEAST_UNIT = 8  # smallest batch size that larger batches are split into
_SIZES = 8  # number of batch sizes that get memory of their own, for artifacts of any batch size
_MEASURED = 8  # batches that are timed to learn the time of a sample
_COLD = 10  # the first batch may take up to this many times as long as later ones
_PATIENCE = 3  # batches before a batch size is tried, so that a program with one batch does not wait for it
_TRIALS = 3
_COMPARED = (
    32  # batches after which no other batch size of an artifact of any batch size is compared with single samples
)
_LONG_NS = 50_000_000  # a batch that takes longer is not worth eight more runs


class SmallBatches:
    """Run small batches of artifacts with one input and outputs of fixed shape.

    Where the artifact accepts any batch size, each size has executors of its own, unless samples run faster one by one
    with identical outputs. Where its batch size is 1, samples run one by one, or several at a time where the engine
    gives identical outputs faster. That is measured on the caller's own batches.

    Args:
        pool: Creates a pool of executors for a batch size.
        singles: Executors for batch size 1.
        unit: Batch size of the artifact; None for any.
        most: Maximum batch size where the artifact accepts any.
        widens: Whether the engine supports batch sizes larger than the artifact's.
        worth_ns: Time of a batch above which threads should share it; infinite where they cannot.
        short_ns: Time of a sample below which threads are not worth it.
        errors: The exceptions that the engine raises.
        prove: Returns whether the executors of a larger batch size process each sample independently of the others; its
            second argument is a batch of float32 samples.

    Attributes:
        sample_ns: Minimum observed time per sample.
    """

    def __init__(
        self,
        pool: Callable[[int], Pool[Executor]],
        singles: Pool[Executor],
        *,
        unit: int | None,
        most: int,
        widens: bool,
        worth_ns: float,
        short_ns: float,
        errors: tuple[type[Exception], ...],
        prove: Callable[[Pool[Executor], np.ndarray], bool],
    ) -> None:
        self.sample_ns = math.inf
        self._pool, self._singles, self._unit = pool, singles, unit
        self._errors: tuple[type[Exception], ...] = (MemoryError, *errors)
        self._worth_ns, self._short_ns = worth_ns, short_ns
        self._prove = prove
        self._max_samples = min(_MOST, most) if unit is None else _MOST if unit == 1 else 0
        self._pools: dict[int, Pool[Executor]] = {}  # by batch size
        self._units: tuple[
            tuple[int, Pool[Executor]], ...
        ] = ()  # larger batch sizes of an artifact of batch size 1, the largest first
        self._least_unit = _MOST + 1
        self._untried_units = list(_UNITS) if widens and unit == 1 else []
        self._batches_seen = 0
        self._learning_batches = _COMPARED if unit is None else _MEASURED
        self._seen_by_count: Counter[int] = Counter()
        self._learning = True
        self._one_by_one_counts: frozenset[int] = frozenset()  # batch sizes that run one by one
        self._lock = ForkSafeLock()
        self._trial = ForkSafeLock()  # held while batches run, which may wait for other threads: `close` must not

    def close(self) -> None:
        """Release all executors but those of batch size 1; later calls of `run` return None."""
        with self._lock:
            self._max_samples, self._one_by_one_counts = 0, frozenset()
            for pool in self._pools.values():
                pool.close()

    def run(self, values: np.ndarray) -> list[np.ndarray] | None:
        """Run a small batch.

        Args:
            values: float32 ``[samples, ...]``.

        Returns:
            Outputs ``[samples, ...]`` in the signature's order; None where the batch is too large, or where the samples
            must be validated first.
        """
        count = len(values)
        if count in self._one_by_one_counts:
            executor = self._singles.acquire()  # `_run_each` inlined: two samples are slower with another call
            try:
                return executor.run_each(values) if executor.run_each is not None else None
            finally:
                self._singles.release(executor)
        if count > self._max_samples or not count:
            return None
        if self._learning and (
            self._batches_seen <= self._learning_batches or (self._untried_units and count >= self._untried_units[-1])
        ):
            return self._run_and_learn(values)
        return self._run(values)

    def _run(self, values: np.ndarray) -> list[np.ndarray] | None:
        count = len(values)
        pool = self._pools.get(count)
        if pool is not None:
            return self._run_batch(pool, values)
        if self._unit is None:
            return self._run_batch(self._executors_for(count), values)
        if count >= self._least_unit:
            return self._run_in_units(values)
        return self._run_each(values)

    def _run_each(self, values: np.ndarray) -> list[np.ndarray] | None:
        executor = self._singles.acquire()
        try:
            return executor.run_each(values) if executor.run_each is not None else None
        finally:
            self._singles.release(executor)

    def _run_batch(self, pool: Pool[Executor] | None, values: np.ndarray) -> list[np.ndarray] | None:
        if pool is None:
            return None
        executor = pool.acquire()
        try:
            return executor.run_batch(values) if executor.run_batch is not None else None
        except self._errors:
            if self._unit is not None:
                raise
            self._max_samples = 0  # the artifact does not process samples independently: the scheduler reports it
            return None
        finally:
            pool.release(executor)

    def _run_in_units(self, values: np.ndarray) -> list[np.ndarray] | None:
        parts, begin, count = [], 0, len(values)
        for unit, pool in self._units:
            while count - begin >= unit:
                parts.append(self._run_batch(pool, values[begin : begin + unit]))
                begin += unit
        if begin < count:
            parts.append(self._run_each(values[begin:]))
        there = [part for part in parts if part is not None]
        if len(there) < len(parts):
            return None
        return there[0] if len(there) == 1 else [np.concatenate(column) for column in zip(*there, strict=True)]

    def _executors_for(self, count: int) -> Pool[Executor] | None:
        if len(self._pools) >= _SIZES:
            return None
        with self._lock:
            return self._pools.setdefault(count, self._pool(count)) if self._max_samples else None

    def _run_and_learn(self, values: np.ndarray) -> list[np.ndarray] | None:
        """Run a batch and learn from its time how to run later ones."""
        begun = perf_counter_ns()
        results = self._run(values)
        if results is None:
            return None
        self.sample_ns = min(self.sample_ns, (perf_counter_ns() - begun) / len(values))
        known = self._batches_seen >= _MEASURED or (
            self._batches_seen and self.sample_ns * len(values) > _COLD * self._worth_ns
        )
        self._batches_seen += 1
        if known and self.sample_ns > self._short_ns and self.sample_ns * self._max_samples > self._worth_ns:
            self._max_samples = max(1, int(self._worth_ns / self.sample_ns))
        if self._trial.acquire(blocking=False):
            try:
                if self._unit is None:
                    self._compare_with_singles(values)
                elif self._untried_units and self._batches_seen >= _PATIENCE:
                    self._try_unit(values)
            finally:
                self._trial.release()
        self._learning = self._batches_seen <= self._learning_batches or bool(self._untried_units)
        if self._unit == 1 and self._batches_seen > _MEASURED:
            wide = min([self._least_unit, *self._untried_units[-1:]])
            self._one_by_one_counts = frozenset(range(1, min(self._max_samples + 1, wide))) - self._pools.keys()
        return results

    def _compare_with_singles(self, values: np.ndarray) -> None:
        """Run later batches of this size one by one, where that is faster."""
        count = len(values)
        self._seen_by_count[count] += 1
        pool = self._pools.get(count)
        if self._seen_by_count[count] != _PATIENCE or count == 1 or pool is None:
            return
        if self.sample_ns * count > _LONG_NS:
            return
        try:
            is_faster = _is_faster(lambda: self._run_each(values), lambda: self._run_batch(pool, values))
        except self._errors:  # memory does not suffice
            return
        with self._lock:
            if is_faster and self._max_samples:
                self._one_by_one_counts |= {count}

    def _try_unit(self, values: np.ndarray) -> None:
        """Try the largest untried batch size for which there are enough samples."""
        unit = next((unit for unit in self._untried_units if unit <= len(values)), None)
        if unit is None or not self._max_samples:
            return
        self._untried_units.remove(unit)
        pool, sample_values = self._pool(unit), values[:unit]
        try:
            is_faster = _is_faster(lambda: self._run_batch(pool, sample_values), lambda: self._run_each(sample_values))
        except self._errors:  # memory does not suffice, or the model has a fixed batch size
            return
        if not (is_faster and self._prove(pool, sample_values)):
            return
        with self._lock:
            if not self._max_samples:  # closed meanwhile
                pool.close()
                return
            self._pools[unit] = pool
            large = [count for count in self._pools if count >= _LEAST_UNIT]
            self._units = tuple((count, self._pools[count]) for count in sorted(large, reverse=True))
            self._least_unit = self._units[-1][0] if self._units else _MOST + 1


def _is_faster(first: Run, second: Run) -> bool:
    """Return whether the first of two ways to run a batch gives the same outputs as the second, and is faster.

    They run in turn, as they do in a program that sends batches of several sizes.
    """
    outputs, expected = first(), second()
    if not (outputs and expected and all(map(same_bytes, outputs, expected))):
        return False
    least = [math.inf, math.inf]
    for _ in range(_TRIALS):
        for i, run in enumerate((first, second)):
            begun = perf_counter_ns()
            run()
            least[i] = min(least[i], perf_counter_ns() - begun)
    return least[0] < least[1]
