"""What all sessions share: checks, batches, quantization, labels. An engine adds how to open and invoke."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Literal

import numpy as np

from edgeml.core import registry
from edgeml.core.artifact import Needs
from edgeml.core.encoding import encoder
from edgeml.core.errors import EdgemlError, InputError, TargetError
from edgeml.core.machine import missing_features
from edgeml.core.placement import Placed, Placement
from edgeml.core.preprocessing import Declaration, Table
from edgeml.core.recipe import Precision
from edgeml.core.tensors import (
    DECIDED,
    Decision,
    Quantization,
    Signature,
    TensorSpec,
    arrays_by_input,
    decide,
    dequantize,
    quantize,
)

__all__ = ["BaseSession"]


class BaseSession(ABC):
    """An artifact made ready on a target.

    Takes and gives floats in the source's own units, and text where an input is text, whatever the artifact's
    dtypes: inputs are encoded where the signature says so, and quantized with rounding and clipping; outputs are
    dequantized. Safe to use from several threads, one call at a time.

    Args:
        data: The artifact's bytes.
        signature: Its tensors, as the package declares them; the engine's own account must agree.
        needs: What it needs of the machine.
        decision: The source's labels, for `classify`.
        preprocessing: How raw input becomes the values of an input, by its name.
        target: Where to run.
        threads: Threads of the engine.
        allow_fallback: Whether operators that the target does not take may run elsewhere; `placement` tells.

    Raises:
        TargetError: The engine does not know the target, cannot load the artifact, finds other tensors in it,
            the machine lacks what it needs, or the target does not take all operators.
        MissingDependencyError: The engine is not installed.
    """

    engine: ClassVar[str]
    """The engine's name on PyPI."""
    family: ClassVar[str]
    """Whose arithmetic it uses: sessions of one family give the same answers, up to rounding."""
    targets: ClassVar[tuple[str, ...]] = ("cpu",)
    precisions: ClassVar[tuple[Precision, ...]] = ("fp32", "fp16", "dynamic", "int8", "int16x8")
    """Those that it is known to take."""

    reason: str = ""
    """Why this artifact and target were chosen; empty where the caller named both."""

    def __init__(
        self,
        data: bytes,
        signature: Signature,
        *,
        needs: Needs,
        decision: Decision | None = None,
        preprocessing: Mapping[str, Declaration] | None = None,
        target: str = "cpu",
        threads: int = 1,
        allow_fallback: bool = False,
    ) -> None:
        if target not in self.targets:
            raise TargetError(f"{self.engine} has no target '{target}'.", fix=f"take {' or '.join(self.targets)}.")
        obstacle = self.obstacle(target)
        if obstacle is not None:
            raise obstacle
        if threads < 1:
            raise InputError(f"threads is {threads}, expected at least 1.")
        lacking = missing_features(needs.cpu_features)
        if lacking:
            raise TargetError(
                f"The artifact gives other answers on CPUs without {', '.join(lacking)}, and this is one.",
                fix="use an artifact without that need, or build the package on a CPU like this one.",
            )
        self.signature = signature
        self.decision = decision
        self.preprocessing: Mapping[str, Declaration] = dict(preprocessing or {})
        self.target = target
        self._encoders = [encoder(spec.encoding) for spec in signature.inputs]
        self._lock = threading.Lock()
        self._open(data, needs, threads)
        if target != "cpu" and not allow_fallback:
            self._refuse_fallback()

    @classmethod
    def obstacle(cls, target: str) -> EdgemlError | None:  # noqa: ARG003  # for those that need more than their module
        """Why the target cannot be used on this machine, with what mends it; None where nothing is known against it."""
        return None

    @property
    def placement(self) -> Placement:
        """Which operators run where, from the engine's own account.

        Raises:
            TargetError: This version of the engine does not tell.

        Example:
            >>> print(session.placement)
            8 of 8 operators on cpu (XNNPACK: CONV_2D ×3, FULLY_CONNECTED ×2, MAX_POOL_2D, RESHAPE, SOFTMAX)
        """
        return Placement(self.target, self._placed())

    @property
    @abstractmethod
    def engine_version(self) -> str:
        """The engine's version."""

    @abstractmethod
    def _open(self, data: bytes, needs: Needs, threads: int) -> None:
        """Loads the artifact and passes each of its tensors to `_agree`."""

    @abstractmethod
    def _placed(self) -> tuple[Placed, ...]:
        """The operators by place, as `core.placement.placed` counts them."""

    @abstractmethod
    def _invoke(self, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """Runs one batch of arrays in the artifact's dtypes and gives arrays of the caller's own."""

    def run(self, inputs: Mapping[str, object], *, batch_size: int = 32) -> dict[str, np.ndarray]:
        """Runs any number of samples.

        Args:
            inputs: Arrays ``[samples, ...]`` by input name, in the source's own units.
            batch_size: Samples at a time, where the artifact leaves its batch free.

        Returns:
            Arrays ``[samples, ...]`` by output name: float32, or the labels of an output that gives labels.

        Raises:
            InputError: Another set of names, another shape, not numbers, infinite, or a gap (NaN, or "" among text)
                where the model takes none.

        Example:
            >>> session.run({"image": x})["scores"].shape
            (100, 10)
        """
        raw = self.run_raw(inputs, batch_size=batch_size)
        return {spec.name: _real(raw[spec.name], spec) for spec in self.signature.outputs}

    def run_raw(self, inputs: Mapping[str, object], *, batch_size: int = 32) -> dict[str, np.ndarray]:
        """Like `run`, but gives the outputs in the artifact's own dtypes."""
        arrays = list(arrays_by_input(inputs, self.signature, "data").values())
        batch = self.signature.inputs[0].shape[0]
        step = batch or batch_size
        if step < 1:
            raise InputError(f"batch_size is {batch_size}, expected at least 1.")
        count = len(arrays[0])
        parts: list[list[np.ndarray]] = []
        for start in range(0, count, step):
            chunk = [
                _stored(encode(array[start : start + step]), spec)
                for array, encode, spec in zip(arrays, self._encoders, self.signature.inputs, strict=True)
            ]
            missing = step - len(chunk[0]) if batch else 0
            if missing:  # the last samples fill a fixed batch up
                chunk = [np.concatenate([part, np.repeat(part[-1:], missing, axis=0)]) for part in chunk]
            with self._lock:
                outputs = self._invoke(chunk)
            parts.append([output[: step - missing] for output in outputs] if missing else outputs)
        if not parts:
            return {
                spec.name: np.empty((0, *(size or 0 for size in spec.shape[1:])), _numpy_dtype(spec))
                for spec in self.signature.outputs
            }
        return {
            spec.name: np.concatenate(column) if len(column) > 1 else column[0]
            for spec, column in zip(self.signature.outputs, zip(*parts, strict=True), strict=True)
        }

    def predict(self, data: object, *, batch_size: int = 32, raw: bool = False) -> np.ndarray | dict[str, np.ndarray]:
        """What the source's own reference gives: probabilities, scores, values.

        Args:
            data: One array ``[samples, ...]``, or a mapping from input names where there are several.
            batch_size: Samples at a time, where the artifact leaves its batch free.
            raw: The data are images, sound or rows, and become the model's numbers as the package declares:
                images as uint8 arrays ``[height, width, channels]`` of any size, sound as float or int16 samples
                ``[length]``, rows as mappings from column names or as sequences; or lists of these. A table may also
                be a mapping from column names to columns, or a data frame; inputs that are all columns of one table
                are given together as that table.

        Returns:
            A float32 array ``[samples, ...]``, or one by output name, in the source's order, where there are
            several.

        Raises:
            InputError: As `run`, or raw data that are not what the package declares.

        Example:
            >>> session.predict(photo, raw=True)  # uint8 [480, 640, 3]
        """
        arrays = self.prepared(data, raw=raw)
        outputs = self.run(arrays, batch_size=batch_size)
        wanted = {spec.name: outputs[spec.name] for spec in self.signature.outputs if spec.meaning not in DECIDED}
        return next(iter(wanted.values())) if len(wanted) == 1 else wanted

    def classify(self, data: object, *, batch_size: int = 32, raw: bool = False) -> np.ndarray:
        """The source's own labels ``[samples]``, as its `predict` gives them.

        Args:
            data: As for `predict`. So are `batch_size` and `raw`.
            batch_size: Samples at a time.
            raw: Whether the data are raw.

        Raises:
            InputError: As `predict`, or the model does not classify.
        """
        if self.decision is None:
            raise InputError("The model does not classify: it has no labels.", fix="use predict.")
        outputs = self.run(self.prepared(data, raw=raw), batch_size=batch_size)
        return decide(outputs, self.signature.outputs, self.decision)

    def prepared(self, data: object, *, raw: bool = False) -> dict[str, np.ndarray]:
        """Inputs as `run` takes them: float32 arrays ``[samples, ...]`` by name, made of raw ones where they are.

        Args:
            data: As for `predict`.
            raw: Whether the package's preprocessing is to be applied.

        Raises:
            InputError: The data are not what the model takes, or the package declares no preprocessing.
        """
        if not raw:
            return arrays_by_input(data, self.signature, "data")
        if not self.preprocessing:
            raise InputError(
                "The package does not declare what its inputs' numbers mean, so raw input cannot be taken.",
                fix="give arrays as the model takes them, or build the package with preprocessing.",
            )
        names = [spec.name for spec in self.signature.inputs]
        named = isinstance(data, Mapping) and set(data) == set(names)
        one_table = len(names) > 1 and all(isinstance(self.preprocessing.get(name), Table) for name in names)
        several = not one_table and (len(names) > 1 or named)
        if several and not isinstance(data, Mapping):
            raise InputError(
                f"raw input: the model has {len(names)} inputs.", fix=f"give a mapping from {', '.join(names)}."
            )
        given = dict(data) if several and isinstance(data, Mapping) else dict.fromkeys(names, data)
        for spec in self.signature.inputs:
            if spec.name in self.preprocessing and spec.name in given:
                declaration = self.preprocessing[spec.name]
                prepare = registry.resolve(registry.PREPROCESSORS[str(declaration.__struct_config__.tag)])
                given[spec.name] = prepare(declaration, given[spec.name], spec)
        return arrays_by_input(given, self.signature, "data")

    def _refuse_fallback(self) -> None:
        elsewhere = self.placement.elsewhere
        if elsewhere:
            named = ", ".join(f"{item.operator} ×{item.count} ({item.place})" for item in elsewhere)
            raise TargetError(
                f"Target '{self.target}' does not take all of the artifact; these operators would run elsewhere: "
                f"{named}.",
                fix="take another artifact or target, or allow it: allow_fallback=True.",
            )

    def _agree(
        self,
        kind: Literal["input", "output"],
        spec: TensorSpec,
        shape: tuple[int | None, ...],
        dtype: str,
        quantization: Quantization | None = None,
    ) -> None:
        """Raises TargetError where the engine's account of a tensor is not the declared one."""
        if (shape, dtype) != (spec.shape, spec.dtype):
            raise TargetError(
                f"{self.engine} finds {kind} '{spec.name}' to be {dtype} {list(shape)}, and "
                f"{spec.dtype} {list(spec.shape)} is declared."
            )
        if quantization != spec.quantization:
            raise TargetError(
                f"{self.engine} finds the quantization of {kind} '{spec.name}' to be {quantization}, and "
                f"{spec.quantization} is declared."
            )


def _stored(values: np.ndarray, spec: TensorSpec) -> np.ndarray:
    if spec.quantization is not None:
        return quantize(values, spec.quantization, spec.dtype)
    return values if spec.dtype == "string" else values.astype(spec.dtype, copy=False)


def _real(values: np.ndarray, spec: TensorSpec) -> np.ndarray:
    if spec.meaning in DECIDED:
        return values
    if spec.quantization is not None:
        return dequantize(values, spec.quantization)
    return values.astype(np.float32, copy=False)


def _numpy_dtype(spec: TensorSpec) -> str:
    return "U1" if spec.dtype == "string" else spec.dtype
