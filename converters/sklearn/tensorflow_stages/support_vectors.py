"""Support vector machines of scikit-learn as sums over their support vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import combinations
from types import MappingProxyType
from typing import Any

import numpy as np

from ._stage import Classify, Function, Stage, affine, argmax, unsupported
from .transformers import greater_than

__all__ = ["KERNELS"]


def _regressor(model: Any) -> list[Stage]:
    return [*_kernel(model), affine(_dense(model.dual_coef_).T, model.intercept_)]


def _classifier(model: Any) -> list[Stage]:
    if hasattr(model, "predict_proba"):
        raise unsupported(
            f"{type(model).__name__}: probability=True is not supported, since it solves a system of equations for "
            "each row, and its labels do not follow from its probabilities."
        )
    count = len(model.classes_)
    if count == 2:
        return _regressor(model)
    pairs = list(combinations(range(count), 2))
    margins = [*_kernel(model), affine(_pair_weights(model, pairs), model.intercept_)]
    # For each pair, a margin above 0 is a vote for the first class, else for the second.
    sides = np.zeros((len(pairs), count))
    for row, (first, second) in enumerate(pairs):
        sides[row, first], sides[row, second] = 1.0, -1.0

    def votes(value: Any) -> Any:
        return affine(sides, (sides < 0).sum(axis=0))(greater_than(0.0)(value))

    def ranking(value: Any) -> Any:
        """Return votes, with sums of margins as tie-breakers, like scikit-learn's `_ovr_decision_function`."""
        import tensorflow as tf

        total = affine(sides)(value)
        return votes(value) + total / (3.0 * (tf.abs(total) + 1.0))

    def position(value: Any) -> Any:
        return argmax(ranking(value) if model.break_ties else votes(value))

    return [*margins, Classify(_identity if model.decision_function_shape == "ovo" else ranking, position)]


def _identity(value: Any) -> Any:
    return value


def _pair_weights(model: Any, pairs: list[tuple[int, int]]) -> np.ndarray:
    """Rearrange libsvm's dual coefficients, a column per other class, to ``[support vectors, pairs]``."""
    weights = _dense(model.dual_coef_)
    ends = np.cumsum(model.n_support_)
    pair_weights = np.zeros((weights.shape[1], len(pairs)))
    for column, (first, second) in enumerate(pairs):
        for label, other in ((first, second - 1), (second, first)):
            rows = slice(ends[label] - model.n_support_[label], ends[label])
            pair_weights[rows, column] = weights[other, rows]
    return pair_weights


def _kernel(model: Any) -> list[Stage]:
    """Return stages for the kernel between rows and support vectors, ``[batch, support vectors]``."""
    vectors = _dense(model.support_vectors_)
    gamma, coef0, degree = model._gamma, model.coef0, model.degree  # noqa: SLF001  # no public attribute
    if model.kernel == "linear":
        return [affine(vectors.T)]
    if model.kernel == "rbf":
        # Centering limits cancellation in squared distances.
        center = vectors.mean(axis=0)
        return [affine(np.ones(vectors.shape[1]), center=center), _rbf(vectors - center, gamma)]
    if model.kernel not in {"poly", "sigmoid"}:
        raise unsupported(f"{type(model).__name__}: the kernel {model.kernel!r} is not supported.")
    inner = affine(gamma * vectors.T, coef0)
    return [inner, _tanh if model.kernel == "sigmoid" else _power(degree)]


def _rbf(vectors: np.ndarray, gamma: float) -> Function:
    products = affine(2.0 * gamma * vectors.T, -gamma * np.square(vectors).sum(axis=1))

    def kernel(value: Any) -> Any:
        import tensorflow as tf

        norms = tf.reduce_sum(value * value, axis=1, keepdims=True) * np.float32(gamma)
        return tf.exp(products(value) - norms)

    return kernel


def _power(degree: float) -> Function:
    def power(value: Any) -> Any:
        import tensorflow as tf

        if degree != int(degree) or not 1 <= degree <= 8:
            return tf.pow(value, np.float32(degree))
        result = value
        for _ in range(int(degree) - 1):
            result = result * value
        return result

    return power


def _tanh(value: Any) -> Any:
    import tensorflow as tf

    return tf.tanh(value)


def _dense(values: Any) -> np.ndarray:
    return np.asarray(values.toarray() if hasattr(values, "toarray") else values, dtype=np.float64)


KERNELS: Mapping[str, Callable[[Any], list[Stage]]] = MappingProxyType(
    {"NuSVC": _classifier, "NuSVR": _regressor, "SVC": _classifier, "SVR": _regressor}
)
