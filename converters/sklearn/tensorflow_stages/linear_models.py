"""Linear models and perceptrons of scikit-learn as matrix products."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from ._stage import Classify, Function, Stage, affine, argmax, binary_probabilities, sigmoid, softmax, unsupported

__all__ = ["LINEAR"]


def _linear(model: Any) -> list[Stage]:
    coefficients = model.coef_.toarray() if hasattr(model.coef_, "toarray") else model.coef_
    return [affine(np.atleast_2d(coefficients).T, model.intercept_)]


def _logistic(model: Any) -> list[Stage]:
    if len(model.classes_) == 2:
        return binary_probabilities(_linear(model))
    if (
        getattr(model, "loss", None) == "log_loss"
        or getattr(model, "multi_class", None) == "ovr"
        or getattr(model, "solver", None) == "liblinear"
    ):
        # One-vs-rest probabilities that saturate at 1 no longer distinguish the classes.
        smallest = np.finfo(model.coef_.dtype).smallest_subnormal
        return [*_linear(model), Classify(_one_vs_rest_probabilities(float(np.log(smallest))), argmax)]
    return [*_linear(model), softmax]


def _sgd(model: Any) -> list[Stage]:
    if model.loss == "modified_huber":
        raise unsupported(
            "SGDClassifier: loss='modified_huber' is not supported, since its labels do not follow from its "
            "probabilities, which are clipped at 0 and 1."
        )
    return _logistic(model) if model.loss == "log_loss" else _linear(model)


def _perceptrons(model: Any) -> list[Stage]:
    stages: list[Stage] = []
    for matrix, bias in zip(model.coefs_, model.intercepts_, strict=True):
        stages += [affine(matrix, bias), *_ACTIVATIONS[model.activation]]
    stages = stages[: len(stages) - len(_ACTIVATIONS[model.activation])]
    if model.out_activation_ == "logistic":
        return binary_probabilities(stages)
    return [*stages, *_ACTIVATIONS[model.out_activation_]]


def _one_vs_rest_probabilities(lowest: float) -> Function:
    """Return a function that normalizes sigmoids to a sum of 1.

    Args:
        lowest: Value below which scikit-learn's sigmoid is 0. If all sigmoids are 0, all classes are equally likely.
    """

    def probabilities(value: Any) -> Any:
        import tensorflow as tf

        # Softmax of logarithms, since all sigmoids may be close to 0.
        probability = softmax(tf.minimum(value, 0.0) - tf.math.log(1.0 + tf.exp(-tf.abs(value))))
        all_zero = tf.reduce_max(value, axis=1, keepdims=True) < lowest
        return tf.where(all_zero, tf.ones_like(probability) / int(value.shape[1]), probability)

    return probabilities


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
        "SGDClassifier": _sgd,
    }
)
