"""Scheduling of batches: split samples, run them on several threads, concatenate the outputs."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from time import perf_counter_ns
from typing import NoReturn, TypeVar

import numpy as np

from edgeml.core.artifact import Needs
from edgeml.core.engine import EngineAdapter, is_out_of_memory
from edgeml.core.errors import TargetError
from edgeml.core.system.locks import ForkSafeLock
from edgeml.core.system.machine import cores
from edgeml.core.tensors import Signature, TensorSpec, source_dtype

from .batch_probes import same_bytes, samples_are_independent
from .executor import Check, Executor, encode
from .io_conversion import to_source
from .pool import Pool
from .small_batches import SmallBatches
from .threads import WorkerThreads
from .unbatched import batched_instance

__all__ = [
    "BatchScheduler",
    "Span",
    "batch_for",
    "batch_of",
    "concatenate",
    "default_batch",
    "empty_outputs",
    "encode_span",
]

Span = tuple[int, int]
"""Positions of the first sample and behind the last one."""

Fit = TypeVar("Fit")

# Fastest batch sizes of the engines, measured on the MLPerf Tiny models, MobileNetV2, small networks, linear pipelines
# and trees. Larger batches save calls until the activations no longer fit into a core's cache; the activations of
# convolutions are larger than their inputs, those of integer models smaller. Bytes are those of a float32 sample.
_FREE = ((2**10, 2048), (2**13, 512), (2**16, 64), (math.inf, 16))
_FREE_CONVOLVED = ((2**10, 256), (2**12, 32), (2**17, 8), (2**18, 4), (2**19, 2), (math.inf, 1))
_WIDE = ((2**10, (1024, 64)), (2**13, (256, 32)), (math.inf, (64, 16)))
_WIDE_CONVOLVED = ((2**8, (256,)), (2**10, (64,)), (2**12, (32,)), (2**17, (8,)), (2**18, (4,)), (math.inf, ()))
_WIDE_INTEGERS = ((2**8, (256,)), (2**10, (64,)), (2**12, (32,)), (2**17, (16,)), (2**18, (8,)), (math.inf, (4,)))
_FEW = 128  # samples; a smaller batch is not worth a call of its own
_PARTS = 8  # minimum number of batches that the samples are split into, for as many cores
_MOST = 1024  # samples that a thread runs at a time
_WORTH_NS = 400_000  # time of a batch above which threads share it: waking a thread takes about 0.05 ms
_CALL_NS = 20_000  # time of a call below which threads lose more to the GIL than they gain
_UNKNOWN = 200  # samples above which threads start while the time of a sample is not known
_SHARES = 4  # each thread's part of the rest is split into this many, so that threads end together


class BatchScheduler:
    """The executors of a session, and the distribution of samples over them.

    Args:
        adapter: The artifact as loaded by the engine.
        signature: Signature of the artifact.
        needs: Needs of the artifact; see `batch_of`.
        threads: Number of cores that one call may use; None for one for a single sample and all for many.

    Attributes:
        unit: Batch size of the engine's calls; None for any.
        singles: Executors for batch size 1.
        small_batches: Runs small batches with less overhead than `run`.
        workers: Number of threads that one call may use.
        restarts: Whether each call begins a new sequence: samples are independent.
    """

    restarts = False

    def __init__(
        self,
        adapter: EngineAdapter,
        signature: Signature,
        needs: Needs,
        *,
        threads: int | None,
    ) -> None:
        workers = threads or cores()

        def pool(unit: int | None, threads: int = 1) -> Pool[Executor]:
            def executor() -> Executor:
                return Executor(batched_instance(adapter, signature, unit, threads), unit, signature)

            return Pool(executor, max(workers, cores()))

        self._adapter, self._signature, self._pool = adapter, signature, pool
        self.workers = workers
        self._threads = WorkerThreads(self.workers - 1)
        self.unit = batch_of(signature, needs)
        self._batch_limit = default_batch(signature, needs)
        self.singles = pool(1, threads or 1)
        self._executors = pool(self.unit)
        self._wide_pools: dict[int, Pool[Executor]] = {}
        integers = signature.inputs[0].quantization is not None
        wide = (_WIDE_INTEGERS if integers else _WIDE_CONVOLVED) if _convolves(needs) else _WIDE
        resizes = adapter.resizes and self.unit == 1 and signature.is_batched
        self._wide_units = _fitting(wide, signature) if resizes else ()
        singles, errors = self.singles, adapter.errors
        self.small_batches = SmallBatches(
            pool,
            self.singles,
            unit=self.unit,
            most=self._batch_limit,
            widens=adapter.resizes,
            # Of an artifact of any batch size, a small batch is one call, which threads cannot share.
            worth_ns=_WORTH_NS if workers > 1 and self.unit is not None else math.inf,
            short_ns=_CALL_NS,
            errors=adapter.errors,
            prove=lambda pool, values: samples_are_independent(
                pool, singles, [encode(values, signature.inputs[0])], signature, errors
            ),
        )
        self._widening = ForkSafeLock()
        self._sample_ns = math.inf  # minimum observed time per sample, that is, without contention

    def close(self) -> None:
        """Release all executors and threads; those in use, when they are done."""
        self._threads.close()
        self.small_batches.close()
        with self._widening:
            pools = [self.singles, self._executors, *self._wide_pools.values()]
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
            check: Validates samples. None where they are in the artifact's dtypes.
            batch_size: Batch size, where the artifact accepts any.
            as_is: Whether the outputs stay in the artifact's dtypes.
            progress: Called with the number of finished samples.
        """
        if not len(next(iter(arrays.values()))):
            return empty_outputs(self._signature, as_is=as_is)
        try:
            return self._run(arrays, check, batch_size=batch_size, as_is=as_is, progress=progress)
        except TargetError as error:
            if self.unit is not None or batch_size == 1 or not is_out_of_memory(error.__cause__ or error):
                raise
        self._batch_limit = 1  # batches of the usual size do not fit into the memory that this process may have
        return self._run(arrays, check, batch_size=1, as_is=as_is, progress=progress)

    def _run(
        self,
        arrays: Mapping[str, np.ndarray],
        check: Check | None,
        *,
        batch_size: int | None,
        as_is: bool,
        progress: Callable[[int], object] | None,
    ) -> dict[str, np.ndarray]:
        inputs = list(arrays.values())
        count = len(inputs[0])
        try:
            unit = self._wide_unit(inputs, check) or self.unit
            pool = self._wide_pools.get(unit or 0) or (self.singles if count == 1 == unit else self._executors)
            size = unit or batch_size or batch_for(count, self._batch_limit)
            workers = self._thread_count(count, size)
            results = self._allocate(pool, count, as_is=as_is)
            spans = _split(count, size, workers)
            if results:
                work: Callable[[Span], object] = partial(self._run_span_into, pool, results, inputs, size, check)
            else:
                work = partial(self._run_span, pool, inputs, size, check, as_is)
            finished: list[int] = []  # sizes of the finished spans

            def counted(span: Span) -> object:
                parts = work(span)
                finished.append(span[1] - span[0])
                return parts

            report = None if progress is None else lambda: progress(sum(finished))
            parts = self._threads.map_ordered(spans, counted, workers, report)
            if not results:
                results = [concatenate(column) for column in zip(*parts, strict=True)]
        except MemoryError as error:
            self.raise_translated(error)
        return {spec.name: result for spec, result in zip(self._signature.outputs, results, strict=True)}

    def run_together(self, arrays: Mapping[str, np.ndarray], check: Check | None) -> list[np.ndarray]:
        """Return the outputs of samples in one call of the engine, in the artifact's dtypes.

        Args:
            arrays: Inputs ``[samples, ...]`` by name, in the signature's order.
            check: Validates samples. None where they are in the artifact's dtypes.
        """
        inputs = list(arrays.values())
        count, batch = len(inputs[0]), self._signature.inputs[0].shape[0]
        if batch not in {None, count} and not self._adapter.resizes:
            raise TargetError(f"The artifact takes {batch} samples at a time, got {count}.", fix="use run.")
        pool = self._pool(None if batch is None else count)
        try:
            values = encode_span(inputs, (0, count), check, self._signature)
            with self._borrowed(pool) as executor:
                return executor.run_checked(values)
        finally:
            pool.close()

    def _allocate(self, pool: Pool[Executor], count: int, *, as_is: bool) -> list[np.ndarray]:
        """Allocate arrays for the outputs; none where their shapes are not known before the run."""
        specs = self._signature.outputs
        with self._borrowed(pool) as executor:
            shapes = [place.shape[1:] for place in executor.outputs] or [spec.shape[1:] for spec in specs]
        if any(None in shape for shape in shapes) or any(spec.dtype == "string" for spec in specs):
            return []
        dtypes = [spec.dtype if as_is else source_dtype(spec) for spec in specs]
        return [np.empty((count, *map(int, shape)), dtype) for shape, dtype in zip(shapes, dtypes, strict=True)]

    def _run_span_into(
        self,
        pool: Pool[Executor],
        results: list[np.ndarray],
        arrays: list[np.ndarray],
        size: int,
        check: Check | None,
        span: Span,
    ) -> None:
        with self._borrowed(pool) as executor, self._timed(span):
            executor.run_into(results, arrays, *span, size, check)

    def _run_span(
        self, pool: Pool[Executor], arrays: list[np.ndarray], size: int, check: Check | None, as_is: bool, span: Span
    ) -> list[np.ndarray]:
        values = encode_span(arrays, span, check, self._signature)
        with self._borrowed(pool) as executor, self._timed(span):
            parts = [
                executor.run_checked([part[i : i + size] for part in values]) for i in range(0, len(values[0]), size)
            ]
        outputs = [concatenate(column) for column in zip(*parts, strict=True)]
        specs = self._signature.outputs
        return outputs if as_is else [to_source(output, spec) for output, spec in zip(outputs, specs, strict=True)]

    def raise_translated(self, error: Exception) -> NoReturn:
        """Translate the engine's exception to an EdgemlError and raise it."""
        known = self._adapter.translate(error)
        if known is error:
            raise error
        raise known from error

    @contextmanager
    def _borrowed(self, pool: Pool[Executor]) -> Iterator[Executor]:
        try:
            executor = pool.acquire()
            try:
                yield executor
            finally:
                pool.release(executor)
        except self._adapter.errors as error:
            self.raise_translated(error)

    def _thread_count(self, count: int, size: int) -> int:
        """Return the number of threads on which the samples finish first."""
        sample_ns = min(self._sample_ns, self.small_batches.sample_ns)
        if sample_ns == math.inf:
            return self.workers if count > _UNKNOWN else 1
        return self.workers if sample_ns * count > _WORTH_NS and sample_ns * size > _CALL_NS else 1

    @contextmanager
    def _timed(self, span: Span) -> Iterator[None]:
        begun = perf_counter_ns()
        yield
        begin, end = span
        self._sample_ns = min(self._sample_ns, (perf_counter_ns() - begun) / (end - begin))

    def _wide_unit(self, arrays: list[np.ndarray], check: Check | None) -> int | None:
        """Return a larger batch size with executors, where the engine gives identical outputs with it."""
        unit = next((unit for unit in self._wide_units if len(arrays[0]) >= 2 * unit), None)
        if unit is None or unit in self._wide_pools:
            return unit
        values = encode_span(arrays, (0, unit), check, self._signature)
        with self._widening:
            if unit in self._wide_pools:
                return unit
            pool = self._try_unit(unit, values) if self._wide_units else None
            if pool is None:
                self._wide_units = ()
                return None
            self._wide_pools[unit] = pool
            return unit

    def _try_unit(self, unit: int, values: list[np.ndarray]) -> Pool[Executor] | None:
        pool = self._pool(unit)
        try:
            executor = pool.acquire()
            wide = executor(values)
        except self._adapter.errors:  # the model has a fixed batch size
            return None
        with self._borrowed(self._executors) as narrow:
            if not all(map(same_bytes, wide, narrow(values))):
                return None
        pool.release(executor)
        is_independent = samples_are_independent(pool, self.singles, values, self._signature, self._adapter.errors)
        return pool if is_independent else None


def encode_span(
    arrays: Sequence[np.ndarray], span: Span, check: Check | None, signature: Signature
) -> list[np.ndarray]:
    """Convert a span of samples to the artifact's dtypes; without a check the samples are in these."""
    begin, end = span
    part = [array[begin:end] for array in arrays]
    if check is None:
        return part
    return [encode(check(values, i, begin), signature.inputs[i]) for i, values in enumerate(part)]


def empty_outputs(signature: Signature, *, as_is: bool) -> dict[str, np.ndarray]:
    """Return the outputs of zero samples."""
    specs = signature.outputs
    empty = [np.empty((0, *(size or 0 for size in spec.shape[1:])), _numpy_dtype(spec)) for spec in specs]
    outputs = empty if as_is else map(to_source, empty, specs)
    return {spec.name: output for spec, output in zip(specs, outputs, strict=True)}


def batch_for(count: int, limit: int) -> int:
    """Return the batch size for a number of samples, where the artifact accepts any up to a limit."""
    return min(limit, max(_FEW, count // _PARTS))


def batch_of(signature: Signature, needs: Needs) -> int | None:
    """Return the number of samples in a call of the engine; None for any.

    Operators that quantize activations by the range of the whole tensor make the answer for a sample depend on the
    others of its batch: beside one of large values, little is left of the ordinary ones. Such artifacts run one sample
    at a time.
    """
    batch = signature.inputs[0].shape[0]
    ranged = any(operator.rpartition(".")[2].startswith("DynamicQuantize") for operator in needs.operators)
    return 1 if batch is None and ranged else batch


def default_batch(signature: Signature, needs: Needs) -> int:
    """Return the maximum batch size of an artifact of any batch size, where the caller names none."""
    return _fitting(_FREE_CONVOLVED if _convolves(needs) else _FREE, signature)


def _convolves(needs: Needs) -> bool:
    return any("conv" in operator.lower() for operator in needs.operators)


def _fitting(table: tuple[tuple[float, Fit], ...], signature: Signature) -> Fit:
    sample_bytes = sum(4 * math.prod(size or 1 for size in spec.shape[1:]) for spec in signature.inputs)
    return next(fit for most_bytes, fit in table if sample_bytes <= most_bytes)


def _split(count: int, size: int, workers: int) -> list[Span]:
    """Split samples into spans of whole batches: large ones first, smaller ones towards the end."""
    spans, begin = [], 0
    while begin < count:
        share = min(_MOST, -(-(count - begin) // (_SHARES * workers)))
        end = min(begin + max(1, share // size) * size, count)
        spans.append((begin, end))
        begin = end
    return spans


def concatenate(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Concatenate the outputs of consecutive samples."""
    if len({part.shape[1:] for part in parts}) > 1:
        shapes = ", ".join(sorted({str([None, *part.shape[1:]]) for part in parts})[:3])
        raise TargetError(
            f"The artifact returns outputs of different shapes, {shapes}, which do not fit into one array.",
            fix="run the samples one by one.",
        )
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _numpy_dtype(spec: TensorSpec) -> str:
    return "U1" if spec.dtype == "string" else spec.dtype
