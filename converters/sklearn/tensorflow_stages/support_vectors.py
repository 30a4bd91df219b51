"""Support vector machines of scikit-learn as sums over their support vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations
from types import MappingProxyType
from typing import Any

import numpy as np

from ._stage import Decided, Function, Stage, affine, largest, refused
from .transformers import above

__all__ = ["KERNELS"]


def _regressor(model: Any) -> list[Stage]:
    return [*_kernel(model), affine(_dense(model.dual_coef_).T, model.intercept_)]


def _classifier(model: Any) -> list[Stage]:
    if hasattr(model, "predict_proba"):
        raise refused(
            f"A {type(model).__name__}(probability=True) couples probabilities of pairs by solving a system for each "
            "row, and its labels do not follow from them."
        )
    count = len(model.classes_)
    if count == 2:
        return _regressor(model)
    pairs = list(combinations(range(count), 2))
    margins = [*_kernel(model), affine(_pair_weights(model, pairs), model.intercept_)]
    # For each pair what is above 0 is a vote for its first class, and the rest for its second.
    sides = np.zeros((len(pairs), count))
    for row, (first, second) in enumerate(pairs):
        sides[row, first], sides[row, second] = 1.0, -1.0

    def votes(value: Any) -> Any:
        return affine(sides, (sides < 0).sum(axis=0))(above(0.0)(value))

    def ranking(value: Any) -> Any:
        """Votes, and where they are equal the sum of the margins, as `_ovr_decision_function` has them."""
        import tensorflow as tf

        total = affine(sides)(value)
        return votes(value) + total / (3.0 * (tf.abs(total) + 1.0))

    def position(value: Any) -> Any:
        return largest(ranking(value) if model.break_ties else votes(value))

    return [*margins, Decided(_same if model.decision_function_shape == "ovo" else ranking, position)]


def _same(value: Any) -> Any:
    return value


def _pair_weights(model: Any, pairs: list[tuple[int, int]]) -> np.ndarray:
    """``[support vectors, pairs]``: libsvm keeps a vector's weights against each of the other classes in one column."""
    weights = _dense(model.dual_coef_)
    ends = np.cumsum(model.n_support_)
    made = np.zeros((weights.shape[1], len(pairs)))
    for column, (first, second) in enumerate(pairs):
        for own, other in ((first, second - 1), (second, first)):
            rows = slice(ends[own] - model.n_support_[own], ends[own])
            made[rows, column] = weights[other, rows]
    return made


def _kernel(model: Any) -> list[Stage]:
    """From rows to their kernels with the support vectors, ``[batch, support vectors]``."""
    vectors = _dense(model.support_vectors_)
    gamma, coef0, degree = model._gamma, model.coef0, model.degree  # noqa: SLF001  # 'scale' has no public number
    if model.kernel == "linear":
        return [affine(vectors.T)]
    if model.kernel == "rbf":
        # Squared distances lose fewest digits about the middle of what they lie between.
        center = vectors.mean(axis=0)
        return [affine(np.ones(vectors.shape[1]), center=center), _rbf(vectors - center, gamma)]
    if model.kernel not in {"poly", "sigmoid"}:
        raise refused(f"A {type(model).__name__} with the kernel {model.kernel!r} is not among those that are rebuilt.")
    inner = affine(gamma * vectors.T, coef0)
    return [inner, _tanh if model.kernel == "sigmoid" else _power(degree)]


def _rbf(vectors: np.ndarray, gamma: float) -> Function:
    products = affine(2.0 * gamma * vectors.T, -gamma * np.square(vectors).sum(axis=1))

    def kernel(value: Any) -> Any:
        import tensorflow as tf

        own = tf.reduce_sum(value * value, axis=1, keepdims=True) * np.float32(gamma)
        return tf.exp(products(value) - own)

    return kernel


def _power(degree: float) -> Function:
    def power(value: Any) -> Any:
        import tensorflow as tf

        if degree != int(degree) or not 1 <= degree <= 8:
            return tf.pow(value, np.float32(degree))
        made = value
        for _ in range(int(degree) - 1):
            made = made * value
        return made

    return power


def _tanh(value: Any) -> Any:
    import tensorflow as tf

    return tf.tanh(value)


def _dense(values: Any) -> np.ndarray:
    return np.asarray(values.toarray() if hasattr(values, "toarray") else values, dtype=np.float64)


KERNELS: Mapping[str, Callable[[Any], list[Stage]]] = MappingProxyType(
    {"NuSVC": _classifier, "NuSVR": _regressor, "SVC": _classifier, "SVR": _regressor}
)
