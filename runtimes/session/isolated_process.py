"""An artifact in a child process, under a limit of memory."""

from __future__ import annotations

import contextlib
from functools import cached_property

import numpy as np
from msgspec import Struct

from edgeml.core.artifact import Needs
from edgeml.core.engine import EngineAdapter, is_out_of_memory
from edgeml.core.errors import IsolationError, TargetError
from edgeml.core.placement import OperatorCount
from edgeml.core.registry.engines import load_modules
from edgeml.core.system.imports import resolve
from edgeml.core.system.limits import limited_memory
from edgeml.core.tensors import Signature

from .batching import BatchScheduler
from .opening import open_adapter

__all__ = ["EngineDescription", "IsolatedArtifact", "IsolatedProcess"]


class IsolatedArtifact(Struct, frozen=True):
    """The artifact that an `IsolatedProcess` runs.

    Attributes:
        engine: Class of the engine's adapter, as ``module:attribute``.
        data: Bytes of the artifact.
        signature: Signature of the artifact.
        needs: Needs of the artifact.
        target: Target to run on.
        threads: Cores that one call may use; None for one for a single sample and all for many.
        allow_fallback: Whether operators that the target does not support may run elsewhere.
        memory_mb: Memory limit in MB.
    """

    engine: str
    data: bytes
    signature: Signature
    needs: Needs
    target: str
    threads: int | None
    allow_fallback: bool
    memory_mb: float


class EngineDescription(Struct, frozen=True):
    """Version of an engine, and family of its kernels."""

    version: str
    family: str


class IsolatedProcess:
    """Run an artifact in a child process, as the target of a `Worker`.

    A restarted child serves calls in any order, so that no method relies on another.
    """

    def __init__(self, settings: IsolatedArtifact) -> None:
        self._artifact = settings
        self._engine: type[EngineAdapter] = resolve(settings.engine)
        load_modules(settings.engine)
        self._limit = contextlib.ExitStack()  # never closed: the limit holds as long as the process
        self._limit.enter_context(limited_memory(settings.memory_mb))

    def start(self) -> None:
        """Do nothing: the engine's modules are loaded now."""

    def open(self) -> EngineDescription:
        """Load the artifact.

        Raises:
            IsolationError: The memory limit does not suffice.
            TargetError: The engine cannot load the artifact.
        """
        return EngineDescription(self._adapter.version, self._adapter.family)

    def run(self, arrays: list[np.ndarray], batch_size: int | None) -> list[np.ndarray]:
        """Run samples.

        Args:
            arrays: Inputs ``[samples, ...]`` in the artifact's dtypes and the signature's order.
            batch_size: Batch size, where the artifact accepts any.

        Returns:
            Outputs ``[samples, ...]``, likewise.

        Raises:
            IsolationError: The memory limit does not suffice.
            TargetError: The engine fails.
        """
        specs = self._artifact.signature.inputs
        inputs = {spec.name: array for spec, array in zip(specs, arrays, strict=True)}
        try:
            return list(self._scheduler.run(inputs, None, batch_size=batch_size, as_is=True).values())
        except TargetError as error:
            raise self._known(error) from error

    def placement(self) -> tuple[OperatorCount, ...]:
        """Return the operators by place."""
        return self._adapter.placement()

    def arena_bytes(self) -> int | None:
        """Return the arena size that a microcontroller needs; None for other engines."""
        return self._adapter.arena_bytes()

    @cached_property
    def _adapter(self) -> EngineAdapter:
        artifact = self._artifact
        try:
            return open_adapter(
                self._engine,
                artifact.data,
                artifact.signature,
                needs=artifact.needs,
                target=artifact.target,
                threads=artifact.threads,
                allow_fallback=artifact.allow_fallback,
            )
        except TargetError as error:
            raise self._known(error) from error

    @cached_property
    def _scheduler(self) -> BatchScheduler:
        artifact = self._artifact
        return BatchScheduler(self._adapter, artifact.signature, artifact.needs, threads=artifact.threads)

    def _known(self, error: TargetError) -> TargetError:
        """Return the error, or one that names the memory limit where memory is exhausted."""
        if not is_out_of_memory(error.__cause__ or error):
            return error
        return IsolationError(
            f"The artifact needs more memory than its limit of {self._artifact.memory_mb:,.0f} MB: {error.message}",
            fix="use a smaller batch_size; or, if the artifact is known to need it, allow more: memory_mb= "
            "(--memory on the command line).",
        )
