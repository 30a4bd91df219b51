"""Linear models and perceptrons of scikit-learn as matrix products."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from ._stage import Decided, Function, Stage, affine, both_classes, largest, refused, sigmoid, softmax

__all__ = ["LINEAR"]


def _linear(model: Any) -> list[Stage]:
    coefficients = model.coef_.toarray() if hasattr(model.coef_, "toarray") else model.coef_
    return [affine(np.atleast_2d(coefficients).T, model.intercept_)]


def _logistic(model: Any) -> list[Stage]:
    if len(model.classes_) == 2:
        return both_classes(_linear(model))
    if (
        getattr(model, "loss", None) == "log_loss"
        or getattr(model, "multi_class", None) == "ovr"
        or getattr(model, "solver", None) == "liblinear"
    ):
        # Where probabilities of one class against the rest reach 1, they no longer tell the classes apart.
        least = np.finfo(model.coef_.dtype).smallest_subnormal
        return [*_linear(model), Decided(_against_the_rest(float(np.log(least))), largest)]
    return [*_linear(model), softmax]


def _stochastic_gradient(model: Any) -> list[Stage]:
    if model.loss == "modified_huber":
        raise refused(
            "The probabilities of an SGDClassifier with the loss 'modified_huber' are cut off at 0 and 1; "
            "its labels come from what is before them."
        )
    return _logistic(model) if model.loss == "log_loss" else _linear(model)


def _perceptrons(model: Any) -> list[Stage]:
    stages: list[Stage] = []
    for matrix, bias in zip(model.coefs_, model.intercepts_, strict=True):
        stages += [affine(matrix, bias), *_ACTIVATIONS[model.activation]]
    stages = stages[: len(stages) - len(_ACTIVATIONS[model.activation])]
    if model.out_activation_ == "logistic":
        return both_classes(stages)
    return [*stages, *_ACTIVATIONS[model.out_activation_]]


def _against_the_rest(lowest: float) -> Function:
    """Sigmoids divided by their sum.

    Args:
        lowest: Below it scikit-learn's own sigmoid is 0; where all are, it takes the classes for equally likely.
    """

    def shares(value: Any) -> Any:
        import tensorflow as tf

        # As a softmax of logarithms, for all sigmoids may be next to nothing.
        share = softmax(tf.minimum(value, 0.0) - tf.math.log(1.0 + tf.exp(-tf.abs(value))))
        nothing = tf.reduce_max(value, axis=1, keepdims=True) < lowest
        return tf.where(nothing, tf.ones_like(share) / int(value.shape[1]), share)

    return shares


def _tanh(value: Any) -> Any:
    import tensorflow as tf

    return tf.tanh(value)


def _relu(value: Any) -> Any:
    import tensorflow as tf

    return tf.nn.relu(value)


def _exp(value: Any) -> Any:
    import tensorflow as tf

    return tf.exp(value)


_ACTIVATIONS: Mapping[str, list[Stage]] = MappingProxyType(
    {
        "exp": [_exp],
        "identity": [],
        "logistic": [sigmoid],
        "relu": [_relu],
        "softmax": [softmax],
        "tanh": [_tanh],
    }
)

LINEAR: Mapping[str, Callable[[Any], list[Stage]]] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "ARDRegression",
                "BayesianRidge",
                "ElasticNet",
                "ElasticNetCV",
                "HuberRegressor",
                "Lars",
                "LarsCV",
                "Lasso",
                "LassoCV",
                "LassoLars",
                "LassoLarsCV",
                "LassoLarsIC",
                "LinearRegression",
                "LinearSVC",
                "LinearSVR",
                "MultiTaskElasticNet",
                "MultiTaskElasticNetCV",
                "MultiTaskLasso",
                "MultiTaskLassoCV",
                "OrthogonalMatchingPursuit",
                "OrthogonalMatchingPursuitCV",
                "PassiveAggressiveClassifier",
                "PassiveAggressiveRegressor",
                "Perceptron",
                "QuantileRegressor",
                "Ridge",
                "RidgeCV",
                "RidgeClassifier",
                "RidgeClassifierCV",
                "SGDRegressor",
                "TheilSenRegressor",
            ),
            _linear,
        ),
        "LinearDiscriminantAnalysis": _logistic,
        "LogisticRegression": _logistic,
        "LogisticRegressionCV": _logistic,
        "MLPClassifier": _perceptrons,
        "MLPRegressor": _perceptrons,
        "SGDClassifier": _stochastic_gradient,
    }
)
