"""Sessions whose engine runs in a child process, under limits of memory and time."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from time import perf_counter
from types import NoneType
from typing import Any, ClassVar, NoReturn

import msgspec
import numpy as np

from edgeml.core.artifact import Needs
from edgeml.core.engine import EngineAdapter, EngineInstance
from edgeml.core.errors import TargetError
from edgeml.core.free_sizes import checked_sizes, with_sizes
from edgeml.core.isolation import Isolation
from edgeml.core.placement import OperatorCount
from edgeml.core.session import ISOLATED_TARGETS
from edgeml.core.system.limits import Limits
from edgeml.core.system.locks import ForkSafeLock
from edgeml.core.tensors import Signature

from .batching import batch_for, batch_of, concatenate, default_batch, empty_outputs, encode_span
from .executor import Check
from .io_conversion import to_source
from .isolated_process import EngineDescription, IsolatedArtifact
from .pool import closed_error
from .sized import signature_at

__all__ = ["IsolatedAdapter", "IsolatedScheduler"]

_LOADING_TIMEOUT_S = 120.0  # of an engine, from a slow SD card; no model is involved
_OPENING_S_PER_MB = 1.0  # in addition to the limit of a call: a slow device packs weights at a few MB/s
_PART_S = 0.2  # a call to the child runs as many samples as take about this time: the limit is of one call
_PART_BYTES = 2**23  # inputs and outputs of a call: the child holds several copies, within its memory limit


class IsolatedAdapter(EngineAdapter):
    """An artifact that an engine runs in a child process.

    Args:
        engine: The engine's adapter, for the child.
        data: See `EngineAdapter`.
        signature: See `EngineAdapter`.
        needs: See `EngineAdapter`.
        target: See `EngineAdapter`.
        threads: Cores that one call may use; None for one for a single sample and all for many.
        allow_fallback: Whether operators that the target does not support may run elsewhere.
        isolation: A child process that sessions share, or the limits of one of its own.
        sizes: A number for each free size, by name; None to leave them free.

    Attributes:
        signature: Signature of the artifact, with the sizes that are fixed.

    Raises:
        InputError: `sizes` are not the free sizes of the artifact.
        IsolationError: The artifact crashed the child, or exceeded a limit.
        TargetError: The engine cannot load the artifact, or the target is not supported.
        StorageError: Temporary files cannot be written.
    """

    errors: ClassVar[tuple[type[Exception], ...]] = ()
    runs_all_operators = True  # the child has checked the placement

    def __init__(
        self,
        engine: type[EngineAdapter],
        data: bytes,
        signature: Signature,
        *,
        needs: Needs,
        target: str,
        threads: int | None,
        allow_fallback: bool,
        isolation: Isolation | Limits,
        sizes: Mapping[str, int] | None = None,
    ) -> None:
        if target not in ISOLATED_TARGETS:
            raise TargetError(
                f"isolated=True is not supported on target '{target}'.", fix=f"use {' or '.join(ISOLATED_TARGETS)}."
            )
        self.name: str = engine.name  # type: ignore[misc]  # of the engine, not of this class
        self._owns = isinstance(isolation, Limits)
        self._isolation = Isolation(isolation) if isinstance(isolation, Limits) else isolation
        numbers = None if sizes is None else checked_sizes(sizes, signature)
        self._artifact = IsolatedArtifact(
            f"{engine.__module__}:{engine.__qualname__}",
            data,
            signature,
            needs,
            target,
            threads,
            allow_fallback,
            self._isolation.limits.memory_mb_for(len(data), _sample_bytes(with_sizes(signature, numbers or {}))),
            numbers,
        )
        self._closed, self._allowing = False, ForkSafeLock()
        try:
            self._description = self._exchange(self._open)
        except BaseException:
            self.close()
            raise
        self.family, self.signature = self._description.family, self._description.signature

    def allow(self, signature: Signature) -> None:
        """Raise the memory limit to that for samples of a signature's sizes, which the caller chooses.

        The child is then opened again.
        """
        memory_mb = self._isolation.limits.memory_mb_for(len(self._artifact.data), _sample_bytes(signature))
        with self._allowing:
            if memory_mb > self._artifact.memory_mb:
                self._artifact = msgspec.structs.replace(self._artifact, memory_mb=memory_mb)

    @property
    def version(self) -> str:
        """The engine's version."""
        return self._description.version

    def call(self, method: str, *arguments: object, returns: Any) -> Any:
        """Call a method of the `IsolatedProcess`.

        Args:
            method: Name of the method.
            arguments: Arguments of the method.
            returns: Type of the result.

        Raises:
            IsolationError: The artifact crashed the child, or exceeded a limit.
            TargetError: The engine fails, or the session is closed.
        """

        def call() -> Any:
            isolation = self._isolation
            if isolation.holder is not self._artifact:
                self._open()
            return isolation.call(method, *arguments, returns=returns, timeout_s=isolation.limits.timeout_s)

        return self._exchange(call)

    def instance(self, batch: int | None, threads: int) -> EngineInstance:  # noqa: ARG002  # there is none here
        """Refuse: the engine's memory is that of another process."""
        raise TargetError(
            "bind is not supported by isolated sessions: the engine's memory belongs to another process.",
            fix="use run, or open the session without isolated=True.",
        )

    def placement(self) -> tuple[OperatorCount, ...]:
        """Return the operators by place, as the child reports them."""
        operators: tuple[OperatorCount, ...] = self.call("placement", returns=tuple[OperatorCount, ...])
        return operators

    def arena_bytes(self) -> int | None:
        """Return the arena size that a microcontroller needs, as the child reports it."""
        size: int | None = self.call("arena_bytes", returns=int | None)
        return size

    def close(self) -> None:
        """End the child, unless sessions share it, after the call of another thread; calls that wait for it fail."""
        self._closed = True
        if self._owns:
            self._isolation.close()

    def _open(self) -> EngineDescription:
        """Load the artifact in the child, in place of another one."""
        isolation, artifact = self._isolation, self._artifact
        isolation.holder = None
        isolation.call("load", artifact.engine, returns=NoneType, timeout_s=_LOADING_TIMEOUT_S)
        timeout_s = isolation.limits.timeout_s + _OPENING_S_PER_MB * len(artifact.data) / 2**20
        description: EngineDescription = isolation.call(
            "open", artifact, returns=EngineDescription, timeout_s=timeout_s
        )
        isolation.holder = artifact
        return description

    def _exchange(self, calls: Callable[[], Any]) -> Any:
        if self._closed:
            raise closed_error()
        return self._isolation.exchange(calls, engine=self.name, closed=closed_error)


class IsolatedScheduler:
    """Scheduling of the calls to an isolated artifact, in place of a `BatchScheduler`, which is in the child.

    Each call runs samples for a fraction of a second, so that the time limit is of little more than one call of the
    engine. The engine's batches are those of a session without isolation.

    Args:
        adapter: The artifact. The session closes it.
        signature: Signature of the artifact.
        needs: Needs of the artifact.
        in_one_call: Whether all samples of a run go to the child in one call, as the steps of a sequence must.

    Attributes:
        unit: Batch size of the engine's calls; None for any.
        workers: Number of calls that run at the same time.
        restarts: Whether each call begins a new sequence.
    """

    workers = 1

    def __init__(
        self, adapter: IsolatedAdapter, signature: Signature, needs: Needs, *, in_one_call: bool = False
    ) -> None:
        self._adapter, self._signature, self._needs, self.restarts = adapter, signature, needs, in_one_call
        self.unit = batch_of(signature, needs)
        self._batch_limit = default_batch(signature, needs)
        self._sample_s = math.inf  # minimum observed time of a sample
        self._sample_bytes = 0.0  # of its inputs and outputs

    def run(
        self,
        arrays: Mapping[str, np.ndarray],
        check: Check | None,
        *,
        batch_size: int | None = None,
        as_is: bool,
        progress: Callable[[int], object] | None = None,
    ) -> dict[str, np.ndarray]:
        """Run samples, as `BatchScheduler.run` does."""
        inputs, specs = list(arrays.values()), self._signature.outputs
        count = len(inputs[0])
        if not count:
            return empty_outputs(self._signature, as_is=as_is)
        if self._signature.free_sizes:
            return self._at(arrays).run(arrays, check, batch_size=batch_size, as_is=as_is, progress=progress)
        size = self.unit or batch_size or batch_for(count, self._batch_limit)
        parts, begin = [], 0
        try:
            while begin < count:
                end = count if self.restarts else min(begin + self._part(size), count)
                values = encode_span(inputs, (begin, end), check, self._signature)
                part = self._run(values, size if self.unit is None else None)
                parts.append(part if as_is else [to_source(*pair) for pair in zip(part, specs, strict=True)])
                begin = end
                if progress is not None:
                    progress(begin)
            outputs = [concatenate(column) for column in zip(*parts, strict=True)]
        except MemoryError as error:
            self.raise_translated(error)
        return {spec.name: output for spec, output in zip(specs, outputs, strict=True)}

    def run_together(self, arrays: Mapping[str, np.ndarray], check: Check | None) -> list[np.ndarray]:
        """Run samples in one call of the engine, as `BatchScheduler.run_together` does."""
        if self._signature.free_sizes:
            return self._at(arrays).run_together(arrays, check)
        inputs = list(arrays.values())
        values = encode_span(inputs, (0, len(inputs[0])), check, self._signature)
        outputs: list[np.ndarray] = self._adapter.call("run_together", values, returns=list[np.ndarray])
        return outputs

    def raise_translated(self, error: Exception) -> NoReturn:
        """Translate an exception to an EdgemlError and raise it."""
        known = self._adapter.translate(error)
        raise known from (None if known is error else error)

    def close(self) -> None:
        """Do nothing: the adapter ends the child."""

    def _at(self, arrays: Mapping[str, np.ndarray]) -> IsolatedScheduler:
        """Return the scheduler for the sizes of samples, within the memory that these may take."""
        signature = signature_at(self._signature, arrays)
        self._adapter.allow(signature)
        return IsolatedScheduler(self._adapter, signature, self._needs)

    def _run(self, values: list[np.ndarray], batch_size: int | None) -> list[np.ndarray]:
        begun, count = perf_counter(), len(values[0])
        outputs: list[np.ndarray] = self._adapter.call("run", values, batch_size, returns=list[np.ndarray])
        self._sample_s = min(self._sample_s, (perf_counter() - begun) / count)
        self._sample_bytes = sum(array.nbytes for array in (*values, *outputs)) / count
        return outputs

    def _part(self, size: int) -> int:
        """Return the number of samples for the next call: whole batches."""
        fitting = min(_PART_S / self._sample_s, _PART_BYTES / max(1.0, self._sample_bytes))
        return max(1, int(fitting // size)) * size


def _sample_bytes(signature: Signature) -> int:
    """Return the size of a sample's inputs and outputs as float32; free sizes count as 1."""
    specs = (*signature.inputs, *signature.outputs)
    return 4 * sum(math.prod(size or 1 for size in spec.shape[1:]) for spec in specs)
