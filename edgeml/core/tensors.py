"""Named tensors, their quantization, and how a model's outputs become labels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal

import numpy as np
from msgspec import Struct

from edgeml.core.encoding import Encoding
from edgeml.core.errors import InputError, TargetError

__all__ = [
    "DECIDED",
    "DType",
    "Decision",
    "Label",
    "Meaning",
    "Quantization",
    "Signature",
    "TensorSpec",
    "arrays_by_input",
    "decide",
    "dequantize",
    "plain_name",
    "plain_names",
    "positions",
    "quantize",
]

Label = bool | int | float | str
Meaning = Literal["values", "scores", "label", "position"]
DECIDED: frozenset[Meaning] = frozenset({"label", "position"})
"""What an output means that gives the decision itself, which the source's own outputs do not hold."""
DType = Literal["bool", "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "string"]


class Quantization(Struct, frozen=True, forbid_unknown_fields=True):
    """Affine quantization of a whole tensor: ``real = scale * (quantized - zero_point)``."""

    scale: float
    zero_point: int


class TensorSpec(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One input or output.

    Attributes:
        name: The name by which `Session.run` takes or gives it.
        shape: Sizes with the batch first; None where any size is taken.
        dtype: The numpy name of what the artifact itself takes or gives.
        quantization: How its integers stand for real numbers; None for floats.
        meaning: ``values`` for inputs and plain outputs, ``scores`` where a decision reads them,
            ``label`` where the model itself outputs the label, ``position`` where it outputs the label's
            position in the decision's labels.
        encoding: Of an input, what is to be done to the source's numbers before they are quantized and given to
            the artifact; None where it takes them as they are.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: DType
    quantization: Quantization | None = None
    meaning: Meaning = "values"
    encoding: Encoding | None = None


class Signature(Struct, frozen=True, forbid_unknown_fields=True):
    """The named inputs and outputs of a source or an artifact, in the source's order."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


class Decision(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How scores become labels.

    Attributes:
        labels: The source's own labels, in the order of the scores.
        threshold: None where the largest score wins. Else the model has one score and two labels,
            and scores above the threshold mean the second one.
    """

    labels: tuple[Label, ...]
    threshold: float | None = None


def plain_name(name: str, taken: set[str]) -> str:
    """A name that TensorFlow, TFLite and ONNX all leave as it is, and no other tensor has.

    Args:
        name: What the model calls the tensor.
        taken: The names given so far, in lower case; the new one is added.
    """
    base = re.sub(r"\W", "_", name, flags=re.ASCII)
    if not base or not base[0].isalpha():
        base = f"tensor_{base}"
    unique, count = base, 1
    while unique.lower() in taken:  # TensorFlow takes names that differ in case alone for one
        count += 1
        unique = f"{base}_{count}"
    taken.add(unique.lower())
    return unique


def plain_names(names: Iterable[str]) -> list[str]:
    """The plain names of several tensors, in their order: the same at every call, and of plain names the same."""
    taken: set[str] = set()
    return [plain_name(name, taken) for name in names]


def quantize(values: np.ndarray, quantization: Quantization, dtype: str) -> np.ndarray:
    """Real numbers to the integers of a tensor: rounded to the nearest, clipped to the dtype's range."""
    limits = np.iinfo(dtype)
    with np.errstate(over="ignore"):  # what overflows is clipped
        steps = np.rint(values / np.float32(quantization.scale)) + quantization.zero_point
    return np.clip(steps, limits.min, limits.max).astype(dtype)


def dequantize(values: np.ndarray, quantization: Quantization) -> np.ndarray:
    """A tensor's integers to the real numbers that they stand for, as float32."""
    return (values.astype(np.float32) - np.float32(quantization.zero_point)) * np.float32(quantization.scale)


def decide(outputs: Mapping[str, np.ndarray], specs: tuple[TensorSpec, ...], decision: Decision) -> np.ndarray:
    """The label of each sample, from the model's label output where it has one, else from its scores.

    Args:
        outputs: Arrays ``[samples, ...]`` by output name.
        specs: The outputs' specs.
        decision: The source's labels and threshold.

    Returns:
        Labels ``[samples]``, of the dtype that numpy gives the decision's labels.
    """
    labels = np.array(decision.labels)
    for spec in specs:
        if spec.meaning == "label":
            return outputs[spec.name].reshape(-1).astype(labels.dtype)
        if spec.meaning == "position":
            return labels[_checked_positions(outputs[spec.name], len(labels))]
    return labels[positions(outputs, specs, decision)]


def _checked_positions(values: np.ndarray, count: int) -> np.ndarray:
    flat = values.reshape(-1)
    if flat.size and not 0 <= flat.min() <= flat.max() < count:
        raise TargetError(
            f"The artifact gives positions of labels from {flat.min()} to {flat.max()}, of {count} labels."
        )
    return flat


def positions(outputs: Mapping[str, np.ndarray], specs: tuple[TensorSpec, ...], decision: Decision) -> np.ndarray:
    """Like `decide`, but gives positions in the decision's labels; -1 for a label that is not among them."""
    for spec in specs:
        if spec.meaning == "label":
            known = {label: position for position, label in enumerate(decision.labels)}
            return np.array([known.get(label, -1) for label in outputs[spec.name].reshape(-1).tolist()], dtype=np.int64)
        if spec.meaning == "position":
            found = outputs[spec.name].reshape(-1).astype(np.int64)
            return np.where((found >= 0) & (found < len(decision.labels)), found, -1)
    scores = next(outputs[spec.name] for spec in specs if spec.meaning == "scores")
    if decision.threshold is not None:
        return (scores.reshape(len(scores)) > decision.threshold).astype(np.int64)
    return scores.argmax(axis=1)


def arrays_by_input(data: object, signature: Signature, what: str) -> dict[str, np.ndarray]:
    """What a caller gave as the inputs of samples, checked and made float32.

    Args:
        data: One array ``[samples, ...]`` for a model with one input, or a mapping from input names.
        signature: The source's signature.
        what: What to call the data in messages, for instance ``calibration``.

    Returns:
        C-contiguous float32 arrays ``[samples, ...]`` in the signature's order.

    Raises:
        InputError: Another set of names, another shape, not numbers, not finite, or not the same
            number of samples in each.
    """
    names = [spec.name for spec in signature.inputs]
    if isinstance(data, Mapping):
        given = dict(data)
    elif len(names) == 1:
        given = {names[0]: data}
    else:
        raise InputError(
            f"{what}: the model has {len(names)} inputs ({', '.join(names)}), and one array was given.",
            fix="give a mapping from input names to arrays.",
        )
    if sorted(given) != sorted(names):
        raise InputError(f"{what}: got inputs {sorted(map(str, given))}, expected {sorted(names)}.")
    arrays = {spec.name: _checked(given[spec.name], spec, what) for spec in signature.inputs}
    counts = {name: len(array) for name, array in arrays.items()}
    if len(set(counts.values())) > 1:
        raise InputError(f"{what}: the inputs have different numbers of samples: {counts}.")
    return arrays


def _checked(data: object, spec: TensorSpec, what: str) -> np.ndarray:
    where = f"{what}, input '{spec.name}'"
    try:
        array = np.asarray(data)
    except ValueError as error:
        raise InputError(f"{where}: is no regular array ({error}).") from error
    if array.dtype.kind not in "fiub":
        raise InputError(f"{where}: got dtype {array.dtype}, expected numbers.")
    expected = "[samples, " + ", ".join("any" if n is None else str(n) for n in spec.shape[1:]) + "]"
    fits = array.ndim == len(spec.shape) and all(
        want is None or got == want for got, want in zip(array.shape[1:], spec.shape[1:], strict=False)
    )
    if not fits:
        one_sample = array.ndim == len(spec.shape) - 1
        raise InputError(
            f"{where}: got shape {list(array.shape)}, expected {expected}.",
            fix="add the axis of samples in front: x[None]." if one_sample else "",
        )
    with np.errstate(over="ignore"):  # what is too large becomes an infinity, and is found
        array = np.ascontiguousarray(array, dtype=np.float32)
    if array.size and not np.isfinite([array.min(), array.max()]).all():  # a NaN is both
        finite = np.isfinite(array.reshape(len(array), -1)).all(axis=1)
        if not finite.all():
            raise InputError(
                f"{where}: sample {int(np.argmin(finite))} holds NaN or infinity "
                f"({int((~finite).sum())} of {len(array)} samples do)."
            )
    return array
