"""The contract between a session and the engine that it holds, for edgeml's own engines and for plug-ins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Literal, Protocol

import numpy as np
from msgspec import Struct

from edgeml.core.artifact import Needs
from edgeml.core.errors import EdgemlError, TargetError
from edgeml.core.placement import Placed
from edgeml.core.recipe import Precision
from edgeml.core.system.machine import installed_version
from edgeml.core.tensors import Quantization, Signature, TensorSpec

__all__ = ["ArrayInstance", "EngineAdapter", "EngineInstance", "TinyModel", "check_tensor"]

_OUT_OF_MEMORY = ("failed to allocate", "allocation failed", "bad allocation", "bad_alloc", "out of memory")


class TinyModel(Struct, frozen=True):
    """A model that shows whether an engine runs on a target.

    Attributes:
        data: The artifact's bytes.
        signature: Its tensors: one input and one output.
        needs: Its needs.
        sample: float32 ``[1, ...]``.
        answer: The right output of the sample, ``[1, ...]``.
    """

    data: bytes
    signature: Signature
    needs: Needs
    sample: np.ndarray
    answer: np.ndarray


class EngineInstance:
    """One use of an engine with fixed shapes, for one thread at a time.

    Args:
        inputs: Arrays ``[batch, ...]`` that the engine reads, in the artifact's dtypes and the signature's order: the
            engine's own memory, or memory that `run` copies from.
        outputs: Arrays ``[batch, ...]`` that hold the answers after `run`, likewise.
        run: Run the engine on the values of the inputs.
        keep: An object that must live as long as the instance, for instance the owner of the arrays' memory.
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
        """Answer one batch of exactly the instance's shapes and dtypes, in arrays of the caller's own."""
        for place, value in zip(self.inputs, values, strict=True):
            place[...] = value
        self.run()
        return [output.copy() for output in self.outputs]


class ArrayInstance(EngineInstance):
    """One use of an engine that takes arrays of any shape and returns new ones.

    Args:
        call: A function from arrays in the signature's order to arrays of the caller's own.
        put: A function that writes the answers to the arrays of its first argument into those of its second, which
            are C-contiguous, in the artifact's dtypes and of the signature's shapes; None where the engine cannot.
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
        """Answer a batch of any length, in arrays of the caller's own."""
        return self._call(values)


class EngineAdapter(Protocol):
    """An artifact loaded by an engine on a target.

    A class of this protocol is what the registry and the entry points of plug-ins name. Its construction loads an
    artifact; a session holds the object, and gives it back by `close`. The adapter knows nothing of the session.
    Deriving from this class brings the defaults.

    Args:
        data: The artifact's bytes.
        signature: The artifact's tensors, as the package declares them. The adapter holds the engine's own account of
            each to it, by `check_tensor`.
        needs: The artifact's needs.
        target: One of `targets`.
        threads: Threads of the engine for a single sample.

    Raises:
        TargetError: The engine cannot load the artifact, or finds other tensors in it.
        MissingDependencyError: The engine is not installed.
    """

    name: ClassVar[str]
    """The engine's name on PyPI."""
    family: str
    """The name of the arithmetic: engines of one family give the same answers, up to rounding."""
    targets: ClassVar[tuple[str, ...]] = ("cpu",)
    precisions: ClassVar[tuple[Precision, ...]] = ("fp32", "fp16", "dynamic", "int8", "int16x8")
    """The precisions of artifacts that the engine is known to take."""
    resizes: ClassVar[bool] = False
    """Whether `instance` may be asked for a larger batch than the artifact's."""
    errors: ClassVar[tuple[type[Exception], ...]] = (ValueError, RuntimeError)
    """The exceptions that the engine raises."""
    takes_all: bool = False
    """Whether loading has shown that the target takes all operators. Else a session asks `placement`."""

    def __init__(self, data: bytes, signature: Signature, *, needs: Needs, target: str, threads: int) -> None: ...

    @classmethod
    def obstacle(cls, target: str) -> EdgemlError | None:  # noqa: ARG003  # for engines that need more than their module
        """The reason that the target cannot be used on this machine, with its fix; None where none is known."""
        return None

    @classmethod
    def tiny_model(cls, target: str) -> TinyModel | None:  # noqa: ARG003  # for engines of accelerators
        """A model by which the target is tried before it is called available; None where `obstacle` tells enough."""
        return None

    @property
    def version(self) -> str:
        """The engine's version."""
        return installed_version(self.name) or "unknown"

    def instance(self, batch: int | None, threads: int) -> EngineInstance:
        """Make one more use of the engine, for one thread at a time.

        Args:
            batch: Samples at a time; None for any number, where the artifact leaves its batch free.
            threads: Threads of the engine.
        """
        ...

    def placement(self) -> tuple[Placed, ...]:
        """Return the operators by place, from the engine's own account, as `core.placement.placed` counts them.

        Raises:
            TargetError: This version of the engine has no such account.
        """
        ...

    def arena_bytes(self) -> int | None:
        """Return the size of the memory that a microcontroller needs; None for other engines."""
        return None

    def translate(self, error: Exception) -> EdgemlError:
        """Return the error of edgeml that stands for one of the engine's own."""
        if isinstance(error, EdgemlError):
            return error
        text = str(error).lower()
        if isinstance(error, MemoryError) or any(words in text for words in _OUT_OF_MEMORY):
            return TargetError(
                f"{self.name}: memory does not suffice to run the artifact: {error}",
                fix="give a smaller batch_size, or stream the samples.",
            )
        return TargetError(f"{self.name} {self.version} failed to run the artifact: {error}")

    def close(self) -> None:
        """Let go of the engine. The instances are gone already."""
        return  # type checkers take an empty body of a protocol as abstract


def check_tensor(
    engine: str,
    kind: Literal["input", "output"],
    spec: TensorSpec,
    shape: tuple[int | None, ...],
    dtype: str,
    quantization: Quantization | None = None,
) -> None:
    """Hold the engine's account of a tensor to the declared one.

    Raises:
        TargetError: They differ.
    """
    if (shape, dtype) != (spec.shape, spec.dtype):
        raise TargetError(
            f"{engine} finds {kind} '{spec.name}' to be {dtype} {list(shape)}, and "
            f"{spec.dtype} {list(spec.shape)} is declared."
        )
    if quantization != spec.quantization:
        raise TargetError(
            f"{engine} finds the quantization of {kind} '{spec.name}' to be {quantization}, and "
            f"{spec.quantization} is declared."
        )
