"""Artifacts with free sizes: a scheduler of fixed sizes for each combination that callers use."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
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

from .batching import BatchScheduler, batch_of, empty_outputs
from .executor import Check
from .pool import closed_error
from .steps import StepScheduler, has_state
from .unbatched import batched_instance

__all__ = ["SizedScheduler", "open_scheduler", "signature_at"]

_KEPT, _KEPT_OF_LARGE = 8, 2  # combinations of sizes whose instances stay open: each may hold the weights again
_LARGE_BYTES = 2**22


def open_scheduler(
    adapter: EngineAdapter,
    data: bytes,
    signature: Signature,
    needs: Needs,
    *,
    threads: int | None,
    sizes: Mapping[str, int] | None,
) -> tuple[EngineAdapter, Signature, BatchScheduler | SizedScheduler | StepScheduler]:
    """Return the scheduler of an artifact, with its adapter and signature, whose sizes are fixed if the caller says so.

    Args:
        adapter: The artifact as loaded by the engine.
        data: Bytes of the artifact.
        signature: Signature of the artifact.
        needs: Needs of the artifact.
        threads: Number of cores that one call may use; None for one for a single sample and all for many.
        sizes: A number for each free size, by name; None to leave them free.

    Raises:
        InputError: `sizes` are not the free sizes of the artifact.
        TargetError: The engine does not run these sizes.
    """
    if sizes is not None:
        numbers = checked_sizes(sizes, signature)
        adapter, signature = _settled(adapter, with_sizes(signature, numbers), numbers)
    if has_state(signature, needs):
        return adapter, signature, StepScheduler(adapter, signature, threads=threads)
    if signature.free_sizes:
        kept = _KEPT if len(data) <= _LARGE_BYTES else _KEPT_OF_LARGE
        return adapter, signature, SizedScheduler(adapter, signature, needs, threads=threads, kept=kept)
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
        kept: Number of combinations of sizes whose schedulers stay open.

    Attributes:
        unit: Batch size of the engine's calls; None for any.
        workers: Number of threads that one call may use.
        restarts: Whether each call begins a new sequence: samples are independent.
    """

    restarts = False

    def __init__(
        self, adapter: EngineAdapter, signature: Signature, needs: Needs, *, threads: int | None, kept: int = _KEPT
    ) -> None:
        self._adapter, self._signature, self._needs = adapter, signature, needs
        self._threads, self._kept = threads, kept
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
        with self._at(arrays) as scheduler:
            return scheduler.run(arrays, check, batch_size=batch_size, as_is=as_is, progress=progress)

    def run_together(self, arrays: Mapping[str, np.ndarray], check: Check | None) -> list[np.ndarray]:
        """Run samples in one call of the engine, as `BatchScheduler.run_together` does."""
        with self._at(arrays) as scheduler:
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
    def _at(self, arrays: Mapping[str, np.ndarray]) -> Iterator[BatchScheduler]:
        """Borrow the scheduler for the sizes of samples; of those that are not in use the oldest ones are closed."""
        sizes = sizes_of(arrays, self._signature, "data")
        entry = self._borrow(sizes)
        try:
            yield entry.scheduler
        except TargetError as error:
            raise _at_sizes(error, sizes) from error
        finally:
            with self._lock:
                entry.users -= 1

    def _borrow(self, sizes: Mapping[str, int]) -> _Entry:
        key = tuple(sizes.values())
        with self._lock:
            if self._closed:
                raise closed_error()
            entry = self._entries.pop(key, None) or _Entry(self._open(sizes))
            self._entries[key] = entry
            entry.users += 1
            idle = [other for other, each in self._entries.items() if not each.users]
            for other in idle[: max(0, len(self._entries) - self._kept)]:
                self._entries.pop(other).scheduler.close()
        return entry

    def _open(self, sizes: Mapping[str, int]) -> BatchScheduler:
        # Sizes of outputs stay free: the engine gives them with each call.
        signature = with_sizes(self._signature, sizes)
        adapter = self._adapter.sized(signature, shared=True)
        return BatchScheduler(adapter, signature, self._needs, threads=self._threads)


def signature_at(signature: Signature, arrays: Mapping[str, np.ndarray]) -> Signature:
    """Return a signature whose inputs have the sizes of samples."""
    return with_sizes(signature, sizes_of(arrays, signature, "data")) if signature.free_sizes else signature


def _settled(adapter: EngineAdapter, signature: Signature, sizes: Mapping[str, int]) -> tuple[EngineAdapter, Signature]:
    """Return adapter and signature with the sizes of outputs, which a run shows.

    Args:
        adapter: The artifact as loaded by the engine.
        signature: Its signature, with fixed sizes of inputs.
        sizes: These sizes.

    Raises:
        TargetError: The engine does not run them, or outputs differ from the signature.
    """
    batch = signature.inputs[0].shape[0]
    sized, count = adapter.sized(signature, shared=False), batch or 1
    errors: tuple[type[Exception], ...] = (MemoryError, TargetError, *adapter.errors)
    try:
        instance = batched_instance(sized, signature, count, 1)
        try:
            outputs = instance([_sample(spec, count, 0) for spec in signature.inputs])
        except adapter.errors:  # some models divide by their input
            outputs = instance([_sample(spec, count, 1) for spec in signature.inputs])
        signature = Signature(signature.inputs, _output_specs(signature, outputs, count))
    except errors as error:
        raise _at_sizes(adapter.translate(error), sizes) from error
    return adapter.sized(signature, shared=False), signature


def _output_specs(signature: Signature, outputs: Sequence[np.ndarray], count: int) -> tuple[TensorSpec, ...]:
    """Return the specs of outputs with the sizes that the engine returned for `count` samples."""
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
        specs.append(msgspec.structs.replace(spec, shape=(spec.shape[0], *output.shape[1:])))
    return tuple(specs)


def _sample(spec: TensorSpec, count: int, value: int) -> np.ndarray:
    """Return an input of the engine that holds one value."""
    shape = [count, *(size or 1 for size in spec.shape[1:])]
    if spec.dtype == "string":
        return np.full(shape, "")
    return zeros(shape, spec.quantization, spec.dtype) if value == 0 else np.full(shape, value, spec.dtype)


def _at_sizes(error: Exception, sizes: Mapping[str, int]) -> TargetError:
    """Return the error of a run with its sizes in the message."""
    message, fix, log = (str(getattr(error, name, "")) for name in ("message", "fix", "log"))
    kind = type(error) if isinstance(error, TargetError) else TargetError
    return kind(
        f"At {size_text(sizes)}: {message or error}",
        fix=fix or "use other sizes: the model may not take these, as those shorter than its filters.",
        log=log,
    )
