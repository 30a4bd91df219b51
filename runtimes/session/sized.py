"""Artifacts with free sizes: a scheduler of fixed sizes for each combination that callers use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NoReturn

import msgspec
import numpy as np

from edgeml.core.artifact import Needs
from edgeml.core.engine import EngineAdapter
from edgeml.core.errors import TargetError
from edgeml.core.free_sizes import checked_sizes, size_text, sizes_of, with_sizes
from edgeml.core.integer_grid import zeros
from edgeml.core.system.locks import ForkSafeLock
from edgeml.core.system.machine import cores
from edgeml.core.tensors import Signature, TensorSpec

from .batching import BatchScheduler, batch_of, empty_outputs, encode_span
from .executor import Check
from .pool import closed_error
from .steps import StepScheduler, has_state
from .unbatched import batched_instance

__all__ = ["SizedScheduler", "open_scheduler", "signature_at"]

_KEPT = 8  # combinations of sizes whose instances stay open


def open_scheduler(
    adapter: EngineAdapter,
    signature: Signature,
    needs: Needs,
    *,
    threads: int | None,
    sizes: Mapping[str, int] | None,
) -> tuple[EngineAdapter, Signature, BatchScheduler | SizedScheduler | StepScheduler]:
    """Return the scheduler of an artifact, with its adapter and signature, whose sizes are fixed if the caller says so.

    Args:
        adapter: The artifact as loaded by the engine.
        signature: Signature of the artifact.
        needs: Needs of the artifact.
        threads: Number of cores that one call may use; None for one for a single sample and all for many.
        sizes: A number for each free size, by name; None to leave them free.

    Raises:
        InputError: `sizes` are not the free sizes of the artifact.
        TargetError: The engine does not run these sizes.
    """
    if sizes is not None:
        signature = with_sizes(signature, checked_sizes(sizes, signature))
        adapter, signature = _settled(adapter, signature, [_zeros(spec) for spec in signature.inputs])
    if has_state(signature, needs):
        return adapter, signature, StepScheduler(adapter, signature, threads=threads)
    if signature.free_sizes:
        return adapter, signature, SizedScheduler(adapter, signature, needs, threads=threads)
    return adapter, signature, BatchScheduler(adapter, signature, needs, threads=threads)


@dataclass(slots=True)
class _Entry:
    scheduler: BatchScheduler
    users: int = 0


class SizedScheduler:
    """Runs samples by a `BatchScheduler` of their sizes.

    Args:
        adapter: The artifact. The session closes it.
        signature: Signature of the artifact, with free sizes.
        needs: Needs of the artifact.
        threads: See `BatchScheduler`.

    Attributes:
        unit: Batch size of the engine's calls; None for any.
        workers: Number of threads that one call may use.
        restarts: Whether each call begins a new sequence: samples are independent.
    """

    restarts = False

    def __init__(self, adapter: EngineAdapter, signature: Signature, needs: Needs, *, threads: int | None) -> None:
        self._adapter, self._signature, self._needs, self._threads = adapter, signature, needs, threads
        self.unit, self.workers = batch_of(signature, needs), threads or cores()
        self._lock = ForkSafeLock()
        self._entries: dict[tuple[int, ...], _Entry] = {}  # the last used is the last
        self._closed = False

    def run(
        self,
        arrays: Mapping[str, np.ndarray],
        check: Check | None,
        *,
        batch_size: int | None = None,
        as_is: bool,
        progress: Callable[[int], object] | None = None,
    ) -> dict[str, np.ndarray]:
        """Run samples of one combination of sizes, as `BatchScheduler.run` does."""
        if not len(next(iter(arrays.values()))):
            return empty_outputs(self._signature, as_is=as_is)
        with self._at(arrays, check) as scheduler:
            return scheduler.run(arrays, check, batch_size=batch_size, as_is=as_is, progress=progress)

    def run_together(self, arrays: Mapping[str, np.ndarray], check: Check | None) -> list[np.ndarray]:
        """Run samples in one call of the engine, as `BatchScheduler.run_together` does."""
        with self._at(arrays, check) as scheduler:
            return scheduler.run_together(arrays, check)

    def raise_translated(self, error: Exception) -> NoReturn:
        """Translate the engine's exception to an EdgemlError and raise it."""
        known = self._adapter.translate(error)
        raise known from (None if known is error else error)

    def close(self) -> None:
        """Release all instances; those in use, when they are done."""
        with self._lock:
            self._closed = True
            for entry in self._entries.values():
                entry.scheduler.close()
            self._entries.clear()

    @contextmanager
    def _at(self, arrays: Mapping[str, np.ndarray], check: Check | None) -> Iterator[BatchScheduler]:
        """Borrow the scheduler for the sizes of samples; of those that are not in use the oldest ones are closed."""
        sizes = sizes_of(arrays, self._signature, "data")
        key = tuple(sizes.values())
        with self._lock:
            if self._closed:
                raise closed_error()
            entry = self._entries.pop(key, None) or _Entry(self._open(sizes, arrays, check))
            self._entries[key] = entry
            entry.users += 1
            idle = [other for other, each in self._entries.items() if not each.users]
            for other in idle[: max(0, len(self._entries) - _KEPT)]:
                self._entries.pop(other).scheduler.close()
        try:
            yield entry.scheduler
        finally:
            with self._lock:
                entry.users -= 1

    def _open(self, sizes: Mapping[str, int], arrays: Mapping[str, np.ndarray], check: Check | None) -> BatchScheduler:
        signature = with_sizes(self._signature, sizes)
        sample = encode_span(list(arrays.values()), (0, 1), check, self._signature)
        try:
            adapter, signature = _settled(self._adapter, signature, sample)
        except TargetError as error:
            raise type(error)(f"At {size_text(sizes)}: {error.message}", fix=error.fix, log=error.log) from error
        return BatchScheduler(adapter, signature, self._needs, threads=self._threads)


def signature_at(signature: Signature, arrays: Mapping[str, np.ndarray]) -> Signature:
    """Return a signature whose inputs have the sizes of samples."""
    return with_sizes(signature, sizes_of(arrays, signature, "data")) if signature.free_sizes else signature


def _settled(adapter: EngineAdapter, signature: Signature, sample: list[np.ndarray]) -> tuple[EngineAdapter, Signature]:
    """Run a sample, and return adapter and signature with the sizes of its outputs.

    Args:
        adapter: The artifact as loaded by the engine.
        signature: Its signature, with fixed sizes of inputs.
        sample: One sample ``[1, ...]`` of each input, in the artifact's dtypes.

    Raises:
        TargetError: The engine does not run the sample, or outputs differ from the signature.
    """
    sized = adapter.sized(signature)
    batch = signature.inputs[0].shape[0]
    count = batch or 1
    try:
        outputs = batched_instance(sized, signature, count, 1)([np.repeat(value, count, axis=0) for value in sample])
    except adapter.errors as error:
        known = adapter.translate(error)
        raise known from (None if known is error else error)
    specs = []
    for spec, output in zip(signature.outputs, outputs, strict=True):
        fits = output.ndim == len(spec.shape) and all(
            own in {None, size} for own, size in zip(spec.shape[1:], output.shape[1:], strict=True)
        )
        if not fits or len(output) != count:
            raise TargetError(
                f"Output '{spec.name}' of the artifact: got shape {list(output.shape)} for {count} samples, expected "
                f"{list(spec.shape)}."
            )
        specs.append(msgspec.structs.replace(spec, shape=(batch, *output.shape[1:])))
    signature = Signature(signature.inputs, tuple(specs))
    return adapter.sized(signature), signature


def _zeros(spec: TensorSpec) -> np.ndarray:
    shape = [1, *(size or 1 for size in spec.shape[1:])]
    return np.full(shape, "") if spec.dtype == "string" else zeros(shape, spec.quantization, spec.dtype)
