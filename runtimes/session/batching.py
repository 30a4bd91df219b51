"""An artifact's answers to any number of samples: cut into chunks, run on all workers, put together again."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from time import perf_counter_ns
from typing import NoReturn, TypeVar

import numpy as np

from edgeml.core.artifact import Needs
from edgeml.core.decisions import DECIDED
from edgeml.core.engine import EngineAdapter
from edgeml.core.errors import TargetError
from edgeml.core.system.machine import cores
from edgeml.core.tensors import Signature, TensorSpec

from .executor import Check, Lane, encoded
from .io_conversion import real
from .pool import Pool
from .small_batches import SmallBatches, same_bytes
from .threads import Crew

__all__ = ["Batches", "joined", "usual_batch"]

Span = tuple[int, int]
Fit = TypeVar("Fit")

# How many samples engines take best at a time, measured on MLPerf Tiny's nets, MobileNetV2, nets of digits, linear
# pipelines and trees: more spare calls, until what is between the layers no longer fits a core's cache, and
# convolutions put more between them than they are given; of integers more fit. Bytes are those of a float32 sample.
_FREE = ((2**10, 2048), (2**13, 512), (2**16, 64), (math.inf, 16))
_FREE_CONVOLVED = ((2**10, 256), (2**12, 32), (2**17, 8), (2**18, 4), (2**19, 2), (math.inf, 1))
_WIDE = ((2**10, (1024, 64)), (2**13, (256, 32)), (math.inf, (64, 16)))
_WIDE_CONVOLVED = ((2**8, (256,)), (2**10, (64,)), (2**12, (32,)), (2**17, (8,)), (2**18, (4,)), (math.inf, ()))
_WIDE_INTEGERS = ((2**8, (256,)), (2**10, (64,)), (2**12, (32,)), (2**17, (16,)), (2**18, (8,)), (math.inf, (4,)))
_RANGED = 32  # where the artifact takes its ranges from the batch: as many as the source's reference takes
_FEW = 128  # samples that are not worth another call
_PARTS = 8  # that many samples are cut into at least, for as many cores
_MOST = 1024  # samples that a worker takes at a time
_WORTH_NS = 400_000  # of work that is shared among threads: waking one takes some 0.05 ms
_CALL_NS = 20_000  # of a call: of shorter ones threads spend more time on Python's lock than they save
_UNKNOWN = 200  # samples for which threads are started as long as nothing is known of their time
_SHARES = 4  # of what is left each worker's part is cut into so many: the last ones end together


class Batches:
    """The lanes of one session, and how samples are spread over them.

    Args:
        adapter: The artifact as the engine holds it.
        signature: The artifact's.
        needs: What it needs; its operators tell whether answers depend on the batch.
        threads: Cores that one call may use; None for one for a single sample, and all for many.

    Attributes:
        singles: Lanes for one sample.
        small: What answers a few samples with less ado than `run`.
        workers: Threads that one call may use.
    """

    def __init__(
        self,
        adapter: EngineAdapter,
        signature: Signature,
        needs: Needs,
        *,
        threads: int | None,
    ) -> None:
        workers = threads or cores()

        def pool(unit: int | None, threads: int = 1) -> Pool[Lane]:
            return Pool(lambda: Lane(adapter.instance(unit, threads), unit, signature), max(workers, cores()))

        self._adapter, self._signature, self._pool = adapter, signature, pool
        self.workers = workers
        self._crew = Crew(self.workers - 1)
        self._unit = signature.inputs[0].shape[0]
        self._free = usual_batch(signature, needs)
        self.singles = pool(1, threads or 1)
        self._many = pool(self._unit)
        self._wide: dict[int, Pool[Lane]] = {}
        integers = signature.inputs[0].quantization is not None
        wide = (_WIDE_INTEGERS if integers else _WIDE_CONVOLVED) if _convolves(needs) else _WIDE
        self._wide_units = _fitting(wide, signature) if adapter.resizes and self._unit == 1 else ()
        self.small = SmallBatches(
            pool,
            self.singles,
            unit=self._unit,
            most=self._free,
            widens=adapter.resizes,
            worth_ns=_WORTH_NS if workers > 1 else math.inf,
            short_ns=_CALL_NS,
            errors=adapter.errors,
        )
        self._widening = threading.Lock()
        self._sample_ns = math.inf  # the least that was seen: what a core takes that nobody disturbs

    def close(self) -> None:
        """Lets go of all lanes and threads; those that are in use, when they are done."""
        self._crew.close()
        self.small.close()
        with self._widening:
            pools = [self.singles, self._many, *self._wide.values()]
        for pool in pools:
            pool.close()

    def run(
        self,
        arrays: Mapping[str, np.ndarray],
        check: Check | None,
        *,
        batch_size: int | None = None,
        as_is: bool,
        progress: Callable[[int], object] | None = None,
    ) -> dict[str, np.ndarray]:
        """Outputs ``[samples, ...]`` by name.

        Args:
            arrays: Inputs ``[samples, ...]`` by name, in the signature's order.
            check: Makes sure of the samples. None where they are in the artifact's dtypes.
            batch_size: Samples at a time, where the batch is free.
            as_is: Whether the outputs stay in the artifact's dtypes.
            progress: Told how many samples are done.
        """
        given = list(arrays.values())
        count = len(given[0])
        if not count:
            return self.nothing(as_is=as_is)
        try:
            unit = self._widened(given, check) or self._unit
            pool = self._wide.get(unit or 0) or (self.singles if count == 1 == unit else self._many)
            size = unit or batch_size or min(self._free, max(_FEW, count // _PARTS))
            workers = self._worth(count, size)
            results = self._room(pool, count, as_is=as_is)
            spans = _spans(count, size, workers)
            if results:
                work: Callable[[Span], object] = partial(self._fill, pool, results, given, size, check)
            else:
                work = partial(self._ask, pool, given, size, check, as_is)
            finished: list[int] = []  # samples of the spans that are, in any order

            def counted(span: Span) -> object:
                parts = work(span)
                finished.append(span[1] - span[0])
                return parts

            told = None if progress is None else lambda: progress(sum(finished))
            parts = self._crew.in_order(spans, counted, workers, told)
            if not results:
                results = [joined(column) for column in zip(*parts, strict=True)]
        except MemoryError as error:
            self.fail(error)
        return {spec.name: result for spec, result in zip(self._signature.outputs, results, strict=True)}

    def _room(self, pool: Pool[Lane], count: int, *, as_is: bool) -> list[np.ndarray]:
        """Arrays for the answers; none where their shapes are not known before."""
        specs = self._signature.outputs
        with self._lent(pool) as lane:
            shapes = [place.shape[1:] for place in lane.outputs] or [spec.shape[1:] for spec in specs]
        if any(None in shape for shape in shapes) or any(spec.dtype == "string" for spec in specs):
            return []
        dtypes = [spec.dtype if as_is or spec.meaning in DECIDED else "float32" for spec in specs]
        return [np.empty((count, *map(int, shape)), dtype) for shape, dtype in zip(shapes, dtypes, strict=True)]

    def _fill(
        self,
        pool: Pool[Lane],
        results: list[np.ndarray],
        arrays: list[np.ndarray],
        size: int,
        check: Check | None,
        span: Span,
    ) -> None:
        with self._lent(pool) as lane, self._clocked(span):
            lane.into(results, arrays, *span, size, check)

    def _ask(
        self, pool: Pool[Lane], arrays: list[np.ndarray], size: int, check: Check | None, as_is: bool, span: Span
    ) -> list[np.ndarray]:
        values = self._stored(arrays, *span, check)
        with self._lent(pool) as lane, self._clocked(span):
            parts = [lane.answers([some[i : i + size] for some in values]) for i in range(0, len(values[0]), size)]
        outputs = [joined(column) for column in zip(*parts, strict=True)]
        specs = self._signature.outputs
        return outputs if as_is else [real(output, spec) for output, spec in zip(outputs, specs, strict=True)]

    def _stored(self, arrays: list[np.ndarray], begin: int, end: int, check: Check | None) -> list[np.ndarray]:
        """Some samples in the artifact's dtypes."""
        some = [array[begin:end] for array in arrays]
        if check is None:
            return some
        return [encoded(check(values, i, begin), self._signature.inputs[i]) for i, values in enumerate(some)]

    def nothing(self, *, as_is: bool) -> dict[str, np.ndarray]:
        """Outputs of no samples."""
        specs = self._signature.outputs
        empty = [np.empty((0, *(size or 0 for size in spec.shape[1:])), _numpy_dtype(spec)) for spec in specs]
        outputs = empty if as_is else map(real, empty, specs)
        return {spec.name: output for spec, output in zip(specs, outputs, strict=True)}

    def fail(self, error: Exception) -> NoReturn:
        """Raise the error that stands for the engine's own."""
        known = self._adapter.translate(error)
        if known is error:
            raise error
        raise known from error

    @contextmanager
    def _lent(self, pool: Pool[Lane]) -> Iterator[Lane]:
        lane = pool.take()
        try:
            yield lane
        except self._adapter.errors as error:
            self.fail(error)
        finally:
            pool.give(lane)

    def _worth(self, count: int, size: int) -> int:
        """On how many threads so many samples are done the soonest."""
        sample_ns = min(self._sample_ns, self.small.sample_ns)
        if sample_ns == math.inf:
            return self.workers if count > _UNKNOWN else 1
        return self.workers if sample_ns * count > _WORTH_NS and sample_ns * size > _CALL_NS else 1

    @contextmanager
    def _clocked(self, span: Span) -> Iterator[None]:
        begun = perf_counter_ns()
        yield
        begin, end = span
        self._sample_ns = min(self._sample_ns, (perf_counter_ns() - begun) / (end - begin))

    def _widened(self, arrays: list[np.ndarray], check: Check | None) -> int | None:
        """How many samples at a time there are lanes for, where the engine gives the very same answers so."""
        unit = next((unit for unit in self._wide_units if len(arrays[0]) >= 2 * unit), None)
        if unit is None or unit in self._wide:
            return unit
        values = self._stored(arrays, 0, unit, check)
        with self._widening:
            if unit in self._wide:
                return unit
            pool = self._tried(unit, values) if self._wide_units else None
            if pool is None:
                self._wide_units = ()
                return None
            self._wide[unit] = pool
            return unit

    def _tried(self, unit: int, values: list[np.ndarray]) -> Pool[Lane] | None:
        pool = self._pool(unit)
        try:
            lane = pool.take()
            found = lane(values)
        except self._adapter.errors:  # the model has its batch built in
            return None
        with self._lent(self._many) as narrow:
            if not all(map(same_bytes, found, narrow(values))):
                return None
        pool.give(lane)
        return pool


def usual_batch(signature: Signature, needs: Needs) -> int:
    """Samples at a time, at most, where an artifact leaves its batch free and the caller names none."""
    if "DynamicQuantizeLinear" in needs.operators:
        return _RANGED
    return _fitting(_FREE_CONVOLVED if _convolves(needs) else _FREE, signature)


def _convolves(needs: Needs) -> bool:
    return any("conv" in operator.lower() for operator in needs.operators)


def _fitting(table: tuple[tuple[float, Fit], ...], signature: Signature) -> Fit:
    sample_bytes = sum(4 * math.prod(size or 1 for size in spec.shape[1:]) for spec in signature.inputs)
    return next(fit for most_bytes, fit in table if sample_bytes <= most_bytes)


def _spans(count: int, size: int, workers: int) -> list[Span]:
    """What a worker takes at a time, in whole batches: many samples at first, and fewer towards the end."""
    spans, begin = [], 0
    while begin < count:
        share = min(_MOST, -(-(count - begin) // (_SHARES * workers)))
        end = min(begin + max(1, share // size) * size, count)
        spans.append((begin, end))
        begin = end
    return spans


def joined(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Answers to samples that follow each other, as one array."""
    if len({part.shape[1:] for part in parts}) > 1:
        shapes = ", ".join(sorted({str([None, *part.shape[1:]]) for part in parts})[:3])
        raise TargetError(
            f"The artifact gives answers of different shapes, {shapes}, which make no one array.",
            fix="run the samples one by one.",
        )
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _numpy_dtype(spec: TensorSpec) -> str:
    return "U1" if spec.dtype == "string" else spec.dtype
