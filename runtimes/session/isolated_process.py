"""Artifacts in a child process, under limits of memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
from msgspec import Struct

from edgeml.core.artifact import Needs
from edgeml.core.engine import EngineAdapter, is_out_of_memory
from edgeml.core.errors import IsolationError, TargetError
from edgeml.core.isolation import NoSettings
from edgeml.core.placement import OperatorCount
from edgeml.core.registry.engines import load_modules
from edgeml.core.system.imports import resolve
from edgeml.core.system.limits import limited_memory
from edgeml.core.tensors import Signature

from .opening import open_adapter
from .sized import open_scheduler

__all__ = ["EngineDescription", "IsolatedArtifact", "IsolatedProcess"]


class IsolatedArtifact(Struct, frozen=True):
    """An artifact that an `IsolatedProcess` runs.

    Attributes:
        engine: Class of the engine's adapter, as ``module:attribute``.
        data: Bytes of the artifact.
        signature: Signature of the artifact.
        needs: Needs of the artifact.
        target: Target to run on.
        threads: Cores that one call may use; None for one for a single sample and all for many.
        allow_fallback: Whether operators that the target does not support may run elsewhere.
        memory_mb: Memory limit in MB.
        sizes: A number for each free size, by name; None to leave them free.
    """

    engine: str
    data: bytes
    signature: Signature
    needs: Needs
    target: str
    threads: int | None
    allow_fallback: bool
    memory_mb: float
    sizes: dict[str, int] | None = None


class EngineDescription(Struct, frozen=True):
    """An engine and the artifact that it has loaded.

    Attributes:
        version: Version of the engine.
        family: Family of its kernels.
        signature: Signature of the artifact, with the sizes that are fixed.
    """

    version: str
    family: str
    signature: Signature


class IsolatedProcess:
    """Run artifacts in a child process, one after the other, as the target of a `Worker`."""

    def __init__(self, settings: NoSettings) -> None:  # noqa: ARG002  # each artifact comes by `open`
        self._opened = contextlib.ExitStack()
        self._memory_mb = 0.0

    def load(self, engine: str) -> None:
        """Close the artifact, if any, and import an engine, before limits apply.

        Args:
            engine: Class of the engine's adapter, as ``module:attribute``.
        """
        self._opened.close()
        resolve(engine)
        load_modules(engine)

    def open(self, artifact: IsolatedArtifact) -> EngineDescription:
        """Load an artifact under its memory limit.

        Raises:
            IsolationError: The memory limit does not suffice.
            TargetError: The engine cannot load the artifact.
        """
        self._memory_mb = artifact.memory_mb
        with contextlib.ExitStack() as opening, self._memory_errors():
            opening.enter_context(limited_memory(artifact.memory_mb))
            self._adapter: EngineAdapter = open_adapter(
                resolve(artifact.engine),
                artifact.data,
                artifact.signature,
                needs=artifact.needs,
                target=artifact.target,
                threads=artifact.threads,
                allow_fallback=artifact.allow_fallback,
            )
            opening.callback(self._adapter.close)
            _, signature, self._scheduler = open_scheduler(
                self._adapter,
                artifact.data,
                artifact.signature,
                artifact.needs,
                threads=artifact.threads,
                sizes=artifact.sizes,
            )
            opening.callback(self._scheduler.close)
            self._names = [spec.name for spec in signature.visible.inputs]
            self._opened = opening.pop_all()
        return EngineDescription(self._adapter.version, self._adapter.family, signature)

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
        inputs = dict(zip(self._names, arrays, strict=True))
        with self._memory_errors():
            return list(self._scheduler.run(inputs, None, batch_size=batch_size, as_is=True).values())

    def run_together(self, arrays: list[np.ndarray]) -> list[np.ndarray]:
        """Run samples as `run` does, in one call of the engine."""
        with self._memory_errors():
            return self._scheduler.run_together(dict(zip(self._names, arrays, strict=True)), None)

    def placement(self) -> tuple[OperatorCount, ...]:
        """Return the operators by place."""
        return self._adapter.placement()

    def arena_bytes(self) -> int | None:
        """Return the arena size that a microcontroller needs; None for other engines."""
        return self._adapter.arena_bytes()

    @contextlib.contextmanager
    def _memory_errors(self) -> Iterator[None]:
        """Name the memory limit in the error of an engine whose memory is exhausted."""
        try:
            yield
        except TargetError as error:
            if not is_out_of_memory(error.__cause__ or error):
                raise
            raise IsolationError(
                f"The artifact needs more memory than its limit of {self._memory_mb:,.0f} MB: {error.message}",
                fix="use a smaller batch; or, if the artifact is known to need it, allow more: memory_mb= (--memory "
                "on the command line).",
            ) from error
