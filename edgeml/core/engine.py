"""The interface between sessions and engines, for built-in engines and plug-ins."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import ClassVar, Literal, Protocol

import numpy as np
from msgspec import Struct

from edgeml.core.artifact import Needs
from edgeml.core.errors import EdgemlError, TargetError
from edgeml.core.placement import OperatorCount
from edgeml.core.recipe import Precision
from edgeml.core.system.machine import installed_version
from edgeml.core.tensors import Quantization, Signature, TensorSpec

__all__ = [
    "ArrayInstance",
    "EngineAdapter",
    "EngineInstance",
    "TinyModel",
    "check_tensor",
    "is_older",
    "is_out_of_memory",
]

_NUMBERS = re.compile(r"\d+")
_OUT_OF_MEMORY = ("failed to allocate", "allocation failed", "bad allocation", "bad_alloc", "out of memory")


class TinyModel(Struct, frozen=True):
    """A small model that tests whether an engine runs on a target.

    Attributes:
        data: The artifact's bytes.
        signature: The artifact's tensors: one input and one output.
        needs: The artifact's needs.
        sample: An input, float32 ``[1, ...]``.
        expected: The correct output for the sample, ``[1, ...]``.
    """

    data: bytes
    signature: Signature
    needs: Needs
    sample: np.ndarray
    expected: np.ndarray


class EngineInstance:
    """An instance of an engine with fixed shapes, for one thread at a time.

    Args:
        inputs: Input arrays ``[batch, ...]`` in the artifact's dtypes and the signature's order: the engine's own
            memory, or memory that `run` copies from.
        outputs: Output arrays ``[batch, ...]`` that `run` fills, likewise.
        run: A function that runs the engine on the current values of the inputs.
        keep: An object to keep alive as long as the instance, for instance the owner of the arrays' memory.
    """

    __slots__ = ("inputs", "keep", "outputs", "run")

    def __init__(
        self,
        inputs: Sequence[np.ndarray],
        outputs: Sequence[np.ndarray],
        run: Callable[[], object],
        keep: object = None,
    ) -> None:
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.run = run
        self.keep = keep

    def __call__(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run one batch of exactly the instance's shapes and dtypes; return copies of the outputs."""
        for array, value in zip(self.inputs, values, strict=True):
            array[...] = value
        self.run()
        return [output.copy() for output in self.outputs]


class ArrayInstance(EngineInstance):
    """An instance of an engine that accepts arrays of any batch size and returns new arrays.

    Args:
        call: A function from input arrays, in the signature's order, to new output arrays.
        put: A function that runs the engine on the arrays of its first argument and writes the outputs into those of
            its second, which are C-contiguous, in the artifact's dtypes and the signature's shapes; None if the engine
            does not support that.
    """

    __slots__ = ("_call", "put")

    def __init__(
        self,
        call: Callable[[Sequence[np.ndarray]], list[np.ndarray]],
        put: Callable[[Sequence[np.ndarray], Sequence[np.ndarray]], object] | None = None,
    ) -> None:
        super().__init__((), (), lambda: None)
        self._call = call
        self.put = put

    def __call__(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run a batch of any size; return new output arrays."""
        return self._call(values)


class EngineAdapter(Protocol):
    """An artifact loaded by an engine on a target.

    The registry and the entry points of plug-ins refer to classes that implement this protocol. Constructing an adapter
    loads an artifact; the session that owns the adapter calls `close` at the end. Adapters do not depend on sessions.
    Subclasses of this class inherit the defaults.

    Args:
        data: The artifact's bytes.
        signature: The artifact's tensors, as declared by the package. The adapter uses `check_tensor` to compare
            them with the tensors that the engine reports.
        needs: The artifact's needs.
        target: One of `targets`.
        threads: Number of engine threads for a single sample.

    Raises:
        TargetError: The engine cannot load the artifact, or reports other tensors.
        MissingDependencyError: The engine is not installed.
    """

    name: ClassVar[str]
    """The engine's name on PyPI."""
    family: str
    """Name of the kernel family: engines of one family return the same outputs, up to rounding."""
    targets: ClassVar[tuple[str, ...]] = ("cpu",)
    precisions: ClassVar[tuple[Precision, ...]] = ("fp32", "fp16", "dynamic", "int8", "int16x8")
    """Precisions of artifacts that the engine supports."""
    resizes: ClassVar[bool] = False
    """True if `instance` supports larger batches than the artifact's."""
    runs_free_sizes: ClassVar[bool] = False
    """True if the engine runs artifacts with free sizes, by `sized`."""
    errors: ClassVar[tuple[type[Exception], ...]] = (ValueError, RuntimeError)
    """Exception types that the engine raises."""
    runs_all_operators: bool = False
    """True if loading has shown that the target runs all operators; else sessions call `placement`."""

    def __init__(self, data: bytes, signature: Signature, *, needs: Needs, target: str, threads: int) -> None: ...

    @classmethod
    def obstacle(cls, target: str) -> EdgemlError | None:  # noqa: ARG003  # overridden by engines that need more than their module
        """Return the reason why the target cannot be used on this machine, with its fix, or None."""
        return None

    @classmethod
    def tiny_model(cls, target: str) -> TinyModel | None:  # noqa: ARG003  # overridden by engines of accelerators
        """Return a model that tests the target before it is reported as available; None if `obstacle` suffices."""
        return None

    @property
    def version(self) -> str:
        """The engine's version."""
        return installed_version(self.name) or "unknown"

    def instance(self, batch: int | None, threads: int) -> EngineInstance:
        """Create an instance of the engine, for one thread at a time.

        Args:
            batch: Batch size; None for any size, if the artifact's batch is dynamic.
            threads: Number of engine threads.
        """
        ...

    def sized(self, signature: Signature, *, shared: bool) -> EngineAdapter:  # noqa: ARG002  # overridden if supported
        """Return an adapter of the same artifact, which has free sizes, for inputs of fixed ones.

        Called if `runs_free_sizes`. The adapter shares what this one has loaded, and is not closed.

        Args:
            signature: The artifact's tensors; sizes of outputs may be free.
            shared: Whether adapters of other sizes run beside it, so that it should not load weights of its own.
        """
        raise TargetError(f"{self.name} does not run artifacts with free sizes.")

    def placement(self) -> tuple[OperatorCount, ...]:
        """Return the operators by place, as reported by the engine, counted with `core.placement.count_operators`.

        Raises:
            TargetError: This version of the engine does not report placement.
        """
        ...

    def arena_bytes(self) -> int | None:
        """Return the arena size that a microcontroller needs; None for other engines."""
        return None

    def translate(self, error: Exception) -> EdgemlError:
        """Translate an exception of the engine to an EdgemlError."""
        if isinstance(error, EdgemlError):
            return error
        if is_out_of_memory(error):
            return TargetError(
                f"{self.name}: not enough memory to run the artifact: {error}",
                fix="use a smaller batch_size, or stream the samples.",
            )
        return TargetError(f"{self.name} {self.version} failed to run the artifact: {error}")

    def close(self) -> None:
        """Release the engine. All instances must have been released before."""
        return  # type checkers treat an empty body in a protocol as abstract


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an engine's exception says that memory is exhausted; engines do not have a type for that."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or any(words in text for words in _OUT_OF_MEMORY)


def is_older(version: str, needed: str) -> bool:
    """Return whether the version of an engine is below a needed one; False where one of them is not known."""
    parts = [[int(part) for part in _NUMBERS.findall(text)[:3]] for text in (version, needed)]
    return all(parts) and parts[0] < parts[1]


def check_tensor(
    engine: str,
    kind: Literal["input", "output"],
    spec: TensorSpec,
    shape: tuple[int | None, ...],
    dtype: str,
    quantization: Quantization | None = None,
) -> None:
    """Compare a tensor as reported by an engine with its declaration.

    Raises:
        TargetError: Shape, dtype or quantization differ.
    """
    if (shape, dtype) != (spec.file_shape, spec.dtype):
        raise TargetError(
            f"{engine}: {kind} '{spec.name}' is {dtype} {list(shape)} in the artifact, but declared as {spec.dtype} "
            f"{list(spec.file_shape)}."
        )
    if quantization != spec.quantization:
        raise TargetError(
            f"{engine}: the quantization of {kind} '{spec.name}' is {quantization} in the artifact, but declared as "
            f"{spec.quantization}."
        )
