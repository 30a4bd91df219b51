"""Building blocks of TensorFlow functions that are equivalent to scikit-learn models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError

__all__ = [
    "Affine",
    "Classify",
    "Function",
    "Impute",
    "Parallel",
    "Stage",
    "affine",
    "apply_stages",
    "argmax",
    "binary_probabilities",
    "concatenate",
    "fold_affine",
    "sigmoid",
    "softmax",
    "sum_outputs",
    "unsupported",
]

Function = Callable[[Any], Any]

# Largest ratio of center to spread for which the center is folded into the bias, which saves a node and, in integers, a
# rounding step. At this ratio, products of float32 inputs lose 5 of their 24 bits.
_MAX_FOLDED_CENTER = 32.0


@dataclass(frozen=True, slots=True)
class Affine:
    """The affine map ``(x − center) · matrix + bias``, with parameters in float64.

    Attributes:
        matrix: ``[inputs, outputs]``, or the diagonal ``[inputs]`` of a diagonal matrix.
        bias: ``[outputs]``.
        center: ``[inputs]``; subtracted first if folding it into the bias would cost precision.
        spread: ``[inputs]``, typical distance of the inputs from the center.
    """

    matrix: np.ndarray
    bias: np.ndarray
    center: np.ndarray
    spread: np.ndarray

    def __call__(self, value: Any) -> Any:
        """Apply the stage as TensorFlow operations, in float32."""
        import tensorflow as tf

        center = self.center.astype(np.float32)
        if self.matrix.ndim == 1 and not self.bias.any():
            # Like scikit-learn, since the next step may depend on the last bit.
            value = value - tf.constant(center) if center.any() else value
            divisor = (1.0 / self.matrix).astype(np.float32)
            return value if (divisor == 1.0).all() else value / tf.constant(divisor)
        if np.all(np.abs(self.center) <= _MAX_FOLDED_CENTER * self.spread):
            center = np.zeros_like(center)
        if center.any():
            value = value - tf.constant(center)
        # The bias absorbs the rounding error of the center.
        bias = tf.constant((self.bias + _product(center - self.center, self.matrix)).astype(np.float32))
        if self.matrix.ndim == 1:
            return (value if (self.matrix == 1.0).all() else value * tf.constant(self.matrix.astype(np.float32))) + bias
        return tf.matmul(value, tf.constant(self.matrix.astype(np.float32))) + bias


@dataclass(frozen=True, slots=True)
class Classify:
    """The last stage of a classifier whose label does not follow from its scores.

    Attributes:
        scores: Function from the stage's input to the scores.
        position: Function from the stage's input to the label's position, int32 ``[batch]``.
    """

    scores: Function
    position: Function


@dataclass(frozen=True, slots=True)
class Parallel:
    """Several models or transformers of the same input, whose outputs are combined.

    Attributes:
        parts: The stages of each of them.
        combine: Function from the list of their outputs to one value.
    """

    parts: tuple[tuple[Stage, ...], ...]
    combine: Callable[[list[Any]], Any]

    def __call__(self, value: Any) -> Any:
        """Apply the stage as TensorFlow operations, in float32."""
        return self.combine([apply_stages(part, value) for part in self.parts])


@dataclass(frozen=True, slots=True)
class Impute:
    """Replacement of NaN, which integer inputs do not have.

    Attributes:
        values: Replacements, float32 ``[features]``.
    """

    values: np.ndarray

    def __call__(self, value: Any) -> Any:
        """Apply the stage as TensorFlow operations, in float32."""
        import tensorflow as tf

        return tf.where(tf.math.is_nan(value), tf.constant(self.values[None]), value)


Stage = Affine | Parallel | Classify | Impute | Function


def unsupported(reason: str) -> UnsupportedModelError:
    """Return the error for a model that only onnx-fp32 supports."""
    return UnsupportedModelError(reason, fix="use onnx-fp32.")


def fold_affine(stages: Sequence[Stage]) -> list[Stage]:
    """Merge consecutive affine stages."""
    folded: list[Stage] = []
    for stage in stages:
        step = _merge(stage) if isinstance(stage, Parallel) else stage
        if folded and isinstance(step, Affine) and isinstance(before := folded[-1], Affine):
            folded[-1] = _compose(before, step)
        else:
            folded.append(step)
    return folded


def apply_stages(stages: Sequence[Stage], value: Any) -> Any:
    """Apply stages to a value, as TensorFlow operations; return scores or values."""
    for stage in stages:
        value = stage.scores(value) if isinstance(stage, Classify) else stage(value)
    return value


def affine(matrix: Any, bias: Any = 0.0, center: Any = 0.0, spread: Any = 1.0) -> Affine:
    """Return an `Affine`, with its parameters broadcast to their shapes."""
    matrix = np.asarray(matrix, dtype=np.float64)
    inputs, outputs = matrix.shape[0], matrix.shape[-1]

    def vector(values: Any, size: int) -> np.ndarray:
        return np.broadcast_to(np.asarray(values, dtype=np.float64), (size,))

    return Affine(matrix, vector(bias, outputs), vector(center, inputs), vector(spread, inputs))


def binary_probabilities(stages: Sequence[Stage]) -> list[Stage]:
    """Add the probabilities of two classes to stages that return a log-odds; ``1 - p`` would lose small values."""
    return [*stages, affine(np.array([[-1.0, 1.0]])), sigmoid]


def softmax(value: Any) -> Any:
    """Return the softmax over the columns."""
    import tensorflow as tf

    return tf.nn.softmax(value)


def concatenate(values: list[Any]) -> Any:
    """Concatenate columns."""
    import tensorflow as tf

    return tf.concat(values, axis=1)


def sum_outputs(values: list[Any]) -> Any:
    """Return the sum of the outputs."""
    import tensorflow as tf

    return tf.add_n(values)


def sigmoid(value: Any) -> Any:
    """Return the logistic function of the value."""
    import tensorflow as tf

    return tf.sigmoid(value)


def argmax(value: Any) -> Any:
    """Return the position of the largest value, int32 ``[batch]``."""
    import tensorflow as tf

    return tf.argmax(value, axis=1, output_type=tf.int32)


def _compose(first: Affine, second: Affine) -> Affine:
    center, spread = first.center, first.spread
    if _is_selection(first):  # the second center can be subtracted before the selection
        center = first.matrix @ second.center
        spread = np.where(first.matrix.any(axis=1), first.matrix @ second.spread, 1.0)
        return Affine(_product(first.matrix, second.matrix), second.bias, center, spread)
    if first.matrix.ndim == 1 and second.matrix.ndim > 1:
        matrix = first.matrix[:, None] * second.matrix
    else:
        matrix = _product(first.matrix, second.matrix)
    return Affine(matrix, _product(first.bias - second.center, second.matrix) + second.bias, center, spread)


def _is_selection(stage: Affine) -> bool:
    """Test whether a stage only selects inputs, each at most once."""
    matrix = stage.matrix
    return bool(
        matrix.ndim == 2
        and not (stage.bias.any() or stage.center.any())
        and np.isin(matrix, (0.0, 1.0)).all()
        and (matrix.sum(axis=0) == 1).all()
        and (matrix.sum(axis=1) <= 1).all()
    )


def _merge(parallel: Parallel) -> Stage:
    """Merge parallel affine stages whose outputs are concatenated."""
    parts = [part[0] for part in parallel.parts if len(part) == 1 and isinstance(part[0], Affine)]
    if len(parts) != len(parallel.parts) or parallel.combine is not concatenate:
        return parallel
    matrices = [np.diag(part.matrix) if part.matrix.ndim == 1 else part.matrix for part in parts]
    center, spread = np.zeros_like(parts[0].center), np.ones_like(parts[0].spread)
    # Each input has one center, that of the first part that uses the input.
    for part, matrix in zip(parts[::-1], matrices[::-1], strict=True):
        used = matrix.any(axis=1)
        center, spread = np.where(used, part.center, center), np.where(used, part.spread, spread)
    biases = [part.bias + (center - part.center) @ matrix for part, matrix in zip(parts, matrices, strict=True)]
    return Affine(np.concatenate(matrices, axis=1), np.concatenate(biases), center, spread)


def _product(values: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return values * matrix if matrix.ndim == 1 else values @ matrix
