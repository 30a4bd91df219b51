"""Sessions whose engine runs in a child process, under limits of memory and time."""

from __future__ import annotations

import math
import os
import shutil
import signal
import tempfile
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter
from types import NoneType
from typing import Any, ClassVar, NoReturn, TypeVar

import numpy as np

from edgeml.core.artifact import Needs
from edgeml.core.engine import EngineAdapter, EngineInstance
from edgeml.core.errors import ConversionError, IsolationError, StorageError, TargetError
from edgeml.core.placement import OperatorCount
from edgeml.core.system.limits import Limits
from edgeml.core.system.worker import Worker, WorkerCrash, WorkerTimeout
from edgeml.core.tensors import Signature

from .batching import batch_for, concatenate, default_batch, empty_outputs, encode_span
from .executor import Check
from .io_conversion import to_source
from .isolated_process import EngineDescription, IsolatedArtifact, IsolatedProcess
from .pool import ForkSafeLock, closed_error

__all__ = ["IsolatedAdapter", "IsolatedScheduler"]

T = TypeVar("T")

_TARGETS = ("cpu", "micro")  # drivers of accelerators have memory of their own, and are not tested under limits
_START_TIMEOUT_S = 120.0  # loading an engine from a slow SD card; no model is involved
_OPENING_S_PER_MB = 1.0  # in addition to the limit of a call: kernels are packed at a few MB/s on a slow device
_PART_S = 0.2  # a call to the child runs as many samples as take about this time: the limit is of one call
_PART_BYTES = 2**23  # inputs and outputs of a call: the child holds several copies, within its memory limit


class IsolatedAdapter(EngineAdapter):
    """An artifact that an engine runs in a child process.

    The call after a crash or a time-out starts another child. Threads take turns. A fork of this process gets a child
    of its own.

    Args:
        engine: The engine's adapter, for the child.
        data: See `EngineAdapter`.
        signature: See `EngineAdapter`.
        needs: See `EngineAdapter`.
        target: See `EngineAdapter`.
        threads: Cores that one call may use; None for one for a single sample and all for many.
        allow_fallback: Whether operators that the target does not support may run elsewhere.
        limits: Limits of the child.

    Raises:
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
        limits: Limits,
    ) -> None:
        if target not in _TARGETS:
            raise TargetError(
                f"isolated=True is not supported on target '{target}'.", fix=f"use {' or '.join(_TARGETS)}."
            )
        self.name: str = engine.name  # type: ignore[misc]  # of the engine, not of this class
        self._limits, self._size_bytes = limits, len(data)
        self._artifact = IsolatedArtifact(
            f"{engine.__module__}:{engine.__qualname__}",
            data,
            signature,
            needs,
            target,
            threads,
            allow_fallback,
            limits.memory_mb_for(len(data)),
        )
        self._lock = ForkSafeLock()
        self._closed = False
        self._create_worker()
        try:
            self._description = self._exchange(self._open)
        except BaseException:
            self.close()
            raise
        self.family = self._description.family

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
            if not self._worker.is_running:
                self._open()
            return self._worker.call(method, *arguments, returns=returns, timeout_s=_finite(self._limits.timeout_s))

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
        """End the child, after the call of another thread; calls that wait for it fail."""
        self._closed = True
        with self._lock:
            self._finalizer()

    def _create_worker(self) -> None:
        try:
            folder = Path(tempfile.mkdtemp(prefix="edgeml-"))
        except OSError as error:
            raise StorageError(f"Temporary files cannot be written: {error.strerror or error}.") from error
        self._worker = Worker(f"{IsolatedProcess.__module__}:{IsolatedProcess.__name__}", self._artifact, folder)
        self._process = os.getpid()
        self._finalizer = weakref.finalize(self, _end, self._worker, folder, self._process)

    def _open(self) -> EngineDescription:
        """Start the child and load the artifact."""
        self._worker.call("start", returns=NoneType, timeout_s=_START_TIMEOUT_S)
        timeout_s = self._limits.timeout_s + _OPENING_S_PER_MB * self._size_bytes / 2**20
        return self._worker.call("open", returns=EngineDescription, timeout_s=_finite(timeout_s))

    def _exchange(self, call: Callable[[], T]) -> T:
        """Make a call to the child, for one thread at a time, and translate what goes wrong."""
        with self._lock:
            if self._closed:
                raise closed_error()
            if self._process != os.getpid():  # a fork leaves the child to its parent
                self._create_worker()
            try:
                try:
                    return call()
                except WorkerCrash as error:
                    # A child ends with the thread that started it, so that one such end is not significant.
                    if error.status != -signal.SIGKILL or self._closed:
                        raise
                    return call()
            except Exception as error:
                if self._closed:  # during the call, by a signal handler
                    raise closed_error() from error
                self._raise_translated(error)

    def _raise_translated(self, error: Exception) -> NoReturn:
        if isinstance(error, WorkerTimeout):
            raise IsolationError(
                f"{self.name} did not finish a call within its time limit of {self._limits.timeout_s:g} s.",
                fix="do not use the artifact; or, if it is known to be slow, allow more: timeout_s= (--timeout on the "
                "command line).",
                log=error.log,
            ) from error
        if isinstance(error, WorkerCrash):
            raise IsolationError(
                f"The artifact ends the engine that runs it, {self.name}: {error.message}",
                fix="do not use the artifact; or, if it is known to need more memory, allow that: memory_mb= "
                "(--memory on the command line).",
                log=error.log,
            ) from error
        if isinstance(error, ConversionError):  # an exception that is not edgeml's
            raise TargetError(f"{self.name} failed to run the artifact: {error.message}", log=error.log) from error
        if isinstance(error, OSError):
            raise TargetError(
                f"{self.name} cannot run in a child process: {error.strerror or error}.",
                fix="free memory, disk space or file descriptors, and try again.",
            ) from error
        raise error


class IsolatedScheduler:
    """Scheduling of the calls to an isolated artifact, in place of a `BatchScheduler`, which is in the child.

    Each call runs samples for a fraction of a second, so that the time limit is of little more than one call of the
    engine. The engine's batches are those of a session without isolation.

    Args:
        adapter: The artifact. The session closes it.
        signature: Signature of the artifact.
        needs: Needs of the artifact.

    Attributes:
        workers: Number of calls that run at the same time.
    """

    workers = 1

    def __init__(self, adapter: IsolatedAdapter, signature: Signature, needs: Needs) -> None:
        self._adapter, self._signature = adapter, signature
        self._unit = signature.inputs[0].shape[0]
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
        size = self._unit or batch_size or batch_for(count, self._batch_limit)
        parts, begin = [], 0
        try:
            while begin < count:
                end = min(begin + self._part(size), count)
                values = encode_span(inputs, (begin, end), check, self._signature)
                part = self._run(values, size if self._unit is None else None)
                parts.append(part if as_is else [to_source(*pair) for pair in zip(part, specs, strict=True)])
                begin = end
                if progress is not None:
                    progress(begin)
            outputs = [concatenate(column) for column in zip(*parts, strict=True)]
        except MemoryError as error:
            self.raise_translated(error)
        return {spec.name: output for spec, output in zip(specs, outputs, strict=True)}

    def raise_translated(self, error: Exception) -> NoReturn:
        """Translate an exception to an EdgemlError and raise it."""
        known = self._adapter.translate(error)
        raise known from (None if known is error else error)

    def close(self) -> None:
        """Do nothing: the adapter ends the child."""

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


def _finite(timeout_s: float) -> float | None:
    return timeout_s if math.isfinite(timeout_s) else None


def _end(child: Worker, folder: Path, process: int) -> None:
    if os.getpid() == process:  # a fork leaves the child to its parent
        child.close()
        shutil.rmtree(folder, ignore_errors=True)
