"""The stages that rebuilt scikit-learn models are made of."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError

__all__ = [
    "Affine",
    "Decided",
    "Function",
    "Stage",
    "affine",
    "applied",
    "both_classes",
    "folded",
    "largest",
    "refused",
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


Stage = Affine | Decided | Function


def refused(reason: str) -> UnsupportedModelError:
    """The error for what only skl2onnx and the routes beside it carry."""
    return UnsupportedModelError(reason, fix="use onnx-fp32.")


def folded(stages: Sequence[Stage]) -> list[Stage]:
    """Steps that only multiply and add are made one."""
    made: list[Stage] = []
    for stage in stages:
        if made and isinstance(stage, Affine) and isinstance(before := made[-1], Affine):
            made[-1] = _composed(before, stage)
        else:
            made.append(stage)
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


def sigmoid(value: Any) -> Any:
    """The logistic function."""
    import tensorflow as tf

    return tf.sigmoid(value)


def largest(value: Any) -> Any:
    """The position of the largest, int32 ``[batch]``."""
    import tensorflow as tf

    return tf.argmax(value, axis=1, output_type=tf.int32)


def _composed(first: Affine, second: Affine) -> Affine:
    if first.matrix.ndim == 1 and second.matrix.ndim > 1:
        matrix = first.matrix[:, None] * second.matrix
    else:
        matrix = _product(first.matrix, second.matrix)
    return Affine(matrix, _product(first.bias - second.center, second.matrix) + second.bias, first.center, first.spread)


def _product(values: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return values * matrix if matrix.ndim == 1 else values @ matrix
