"""The stages that rebuilt scikit-learn models are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError

__all__ = [
    "Affine",
    "Branches",
    "Decided",
    "Filled",
    "Function",
    "Stage",
    "added",
    "affine",
    "applied",
    "both_classes",
    "folded",
    "largest",
    "refused",
    "side_by_side",
    "sigmoid",
    "softmax",
]

Function = Callable[[Any], Any]

# Products of float32 inputs that lie this many times farther from zero than they spread lose 5 of their 24 bits.
# Up to there the center is folded into the bias, which saves a node and, in integers, a rounding.
_FOLDED_CENTER = 32.0


@dataclass(frozen=True, slots=True)
class Affine:
    """``(x − center) · matrix + bias``, in float64.

    Attributes:
        matrix: ``[inputs, outputs]``, or its diagonal.
        center: ``[inputs]``; subtracted first where folding it into the bias would cost precision.
        spread: ``[inputs]``, how far the inputs usually lie from the center.
    """

    matrix: np.ndarray
    bias: np.ndarray
    center: np.ndarray
    spread: np.ndarray

    def __call__(self, value: Any) -> Any:
        """The stage as TensorFlow operations, float32."""
        import tensorflow as tf

        center = self.center.astype(np.float32)
        if self.matrix.ndim == 1 and not self.bias.any():
            # As scikit-learn does it: what comes after may tell the last bit.
            value = value - tf.constant(center) if center.any() else value
            divisor = (1.0 / self.matrix).astype(np.float32)
            return value if (divisor == 1.0).all() else value / tf.constant(divisor)
        if np.all(np.abs(self.center) <= _FOLDED_CENTER * self.spread):
            center = np.zeros_like(center)
        if center.any():
            value = value - tf.constant(center)
        # What the center lost when it was rounded goes into the bias.
        bias = tf.constant((self.bias + _product(center - self.center, self.matrix)).astype(np.float32))
        if self.matrix.ndim == 1:
            return (value if (self.matrix == 1.0).all() else value * tf.constant(self.matrix.astype(np.float32))) + bias
        return tf.matmul(value, tf.constant(self.matrix.astype(np.float32))) + bias


@dataclass(frozen=True, slots=True)
class Decided:
    """A last stage whose scores do not decide by themselves.

    Attributes:
        scores: From the value before it to the scores.
        position: From the same to the label's position, int32 ``[batch]``.
    """

    scores: Function
    position: Function


@dataclass(frozen=True, slots=True)
class Branches:
    """Several models or transformers of the same value, and how their answers become one."""

    parts: tuple[tuple[Stage, ...], ...]
    joined: Callable[[list[Any]], Any]

    def __call__(self, value: Any) -> Any:
        """The stage as TensorFlow operations, float32."""
        return self.joined([applied(part, value) for part in self.parts])


@dataclass(frozen=True, slots=True)
class Filled:
    """Puts a number ``[features]`` in the place of each NaN; integers have none."""

    values: np.ndarray

    def __call__(self, value: Any) -> Any:
        """The stage as TensorFlow operations, float32."""
        import tensorflow as tf

        return tf.where(tf.math.is_nan(value), tf.constant(self.values[None]), value)


Stage = Affine | Branches | Decided | Filled | Function


def refused(reason: str) -> UnsupportedModelError:
    """The error for what only skl2onnx and the routes beside it carry."""
    return UnsupportedModelError(reason, fix="use onnx-fp32.")


def folded(stages: Sequence[Stage]) -> list[Stage]:
    """Steps that only multiply and add are made one."""
    made: list[Stage] = []
    for stage in stages:
        own = _merged(stage) if isinstance(stage, Branches) else stage
        if made and isinstance(own, Affine) and isinstance(before := made[-1], Affine):
            made[-1] = _composed(before, own)
        else:
            made.append(own)
    return made


def applied(stages: Sequence[Stage], value: Any) -> Any:
    """The scores or values of stages, as TensorFlow operations."""
    for stage in stages:
        value = stage.scores(value) if isinstance(stage, Decided) else stage(value)
    return value


def affine(matrix: Any, bias: Any = 0.0, center: Any = 0.0, spread: Any = 1.0) -> Affine:
    """An `Affine` of what numpy can broadcast."""
    matrix = np.asarray(matrix, dtype=np.float64)
    inputs, outputs = matrix.shape[0], matrix.shape[-1]

    def vector(values: Any, size: int) -> np.ndarray:
        return np.broadcast_to(np.asarray(values, dtype=np.float64), (size,))

    return Affine(matrix, vector(bias, outputs), vector(center, inputs), vector(spread, inputs))


def both_classes(stages: Sequence[Stage]) -> list[Stage]:
    """Probabilities of both classes from one log-odds; taking one from 1 would lose what is small."""
    return [*stages, affine(np.array([[-1.0, 1.0]])), sigmoid]


def softmax(value: Any) -> Any:
    """Over the columns."""
    import tensorflow as tf

    return tf.nn.softmax(value)


def side_by_side(values: list[Any]) -> Any:
    """All columns, in order."""
    import tensorflow as tf

    return tf.concat(values, axis=1)


def added(values: list[Any]) -> Any:
    """The sum."""
    import tensorflow as tf

    return tf.add_n(values)


def sigmoid(value: Any) -> Any:
    """The logistic function."""
    import tensorflow as tf

    return tf.sigmoid(value)


def largest(value: Any) -> Any:
    """The position of the largest, int32 ``[batch]``."""
    import tensorflow as tf

    return tf.argmax(value, axis=1, output_type=tf.int32)


def _composed(first: Affine, second: Affine) -> Affine:
    center, spread = first.center, first.spread
    if _selects(first):  # what is taken off afterwards may as well be before
        center = first.matrix @ second.center
        spread = np.where(first.matrix.any(axis=1), first.matrix @ second.spread, 1.0)
        return Affine(_product(first.matrix, second.matrix), second.bias, center, spread)
    if first.matrix.ndim == 1 and second.matrix.ndim > 1:
        matrix = first.matrix[:, None] * second.matrix
    else:
        matrix = _product(first.matrix, second.matrix)
    return Affine(matrix, _product(first.bias - second.center, second.matrix) + second.bias, center, spread)


def _selects(stage: Affine) -> bool:
    """Whether it gives some of its inputs, each once, as they are."""
    matrix = stage.matrix
    return bool(
        matrix.ndim == 2
        and not (stage.bias.any() or stage.center.any())
        and np.isin(matrix, (0.0, 1.0)).all()
        and (matrix.sum(axis=0) == 1).all()
        and (matrix.sum(axis=1) <= 1).all()
    )


def _merged(branches: Branches) -> Stage:
    """Branches side by side that only multiply and add, as one matrix."""
    parts = [part[0] for part in branches.parts if len(part) == 1 and isinstance(part[0], Affine)]
    if len(parts) != len(branches.parts) or branches.joined is not side_by_side:
        return branches
    matrices = [np.diag(part.matrix) if part.matrix.ndim == 1 else part.matrix for part in parts]
    center, spread = np.zeros_like(parts[0].center), np.ones_like(parts[0].spread)
    for part, matrix in zip(parts[::-1], matrices[::-1], strict=True):  # one center for each input: the first one's
        used = matrix.any(axis=1)
        center, spread = np.where(used, part.center, center), np.where(used, part.spread, spread)
    biases = [part.bias + (center - part.center) @ matrix for part, matrix in zip(parts, matrices, strict=True)]
    return Affine(np.concatenate(matrices, axis=1), np.concatenate(biases), center, spread)


def _product(values: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return values * matrix if matrix.ndim == 1 else values @ matrix
