"""scikit-learn models made of matrix products, as TensorFlow functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError
from edgeml.core.source import Source

from .graph import Graph
from .sklearn_inputs import in_float32

__all__ = ["graph_of_sklearn"]


@dataclass(frozen=True, slots=True)
class _Affine:
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


_Function = Callable[[Any], Any]
_Stage = _Affine | _Function

# Products of float32 inputs that lie this many times farther from zero than they spread lose 5 of their 24 bits.
# Up to there the center is folded into the bias, which saves a node and, in integers, a rounding.
_FOLDED_CENTER = 32.0


def graph_of_sklearn(source: Source) -> Graph:
    """Rebuilds linear models, perceptrons, scalers, PCA and pipelines of them.

    Steps that only multiply and add are folded into one, in float64.

    Raises:
        UnsupportedModelError: The model is not made of matrix products, or its labels do not follow from
            its scores.
    """
    if any(spec.dtype == "string" for spec in source.info.signature.inputs):
        raise _refused("TFLite runtimes take no text, and half precision and integers hold none; a column is text.")
    stages = _folded(_stages(source.model, last=True))
    (output,) = source.info.signature.outputs

    def function(features: Any) -> dict[str, Any]:
        import tensorflow as tf

        value = features
        for stage in stages:
            value = _apply(stage, value) if isinstance(stage, _Affine) else stage(value)
        return {output.name: tf.squeeze(value, axis=1) if len(output.shape) == 1 else value}

    return Graph(function, in_float32(source.info.signature))


def _stages(model: Any, *, last: bool) -> list[_Stage]:
    name = type(model).__name__
    if name == "Pipeline":
        steps = [step for _, step in model.steps if step is not None and step != "passthrough"]
        return [stage for step in steps for stage in _stages(step, last=last and step is model.steps[-1][1])]
    table = _TRANSFORMERS if not last or name in _TRANSFORMERS else _PREDICTORS
    if type(model).__module__.partition(".")[0] != "sklearn" or name not in table:
        why = _WHY.get(name, "is not among the models that are rebuilt of matrix products")
        raise _refused(f"A {name} {why}; edgeml carries it in float32 ONNX alone.")
    return table[name](model)


def _refused(reason: str) -> UnsupportedModelError:
    return UnsupportedModelError(reason, fix="use onnx-fp32.")


def _folded(stages: list[_Stage]) -> list[_Stage]:
    folded: list[_Stage] = []
    for stage in stages:
        if folded and isinstance(stage, _Affine) and isinstance(before := folded[-1], _Affine):
            folded[-1] = _composed(before, stage)
        else:
            folded.append(stage)
    return folded


def _composed(first: _Affine, second: _Affine) -> _Affine:
    if first.matrix.ndim == 1 and second.matrix.ndim > 1:
        matrix = first.matrix[:, None] * second.matrix
    else:
        matrix = _product(first.matrix, second.matrix)
    return _Affine(
        matrix, _product(first.bias - second.center, second.matrix) + second.bias, first.center, first.spread
    )


def _product(values: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    return values * matrix if matrix.ndim == 1 else values @ matrix


def _apply(stage: _Affine, value: Any) -> Any:
    import tensorflow as tf

    center = stage.center.astype(np.float32)
    if np.all(np.abs(stage.center) <= _FOLDED_CENTER * stage.spread):
        center = np.zeros_like(center)
    if center.any():
        value = value - tf.constant(center)
    # What the center lost when it was rounded goes into the bias.
    bias = tf.constant((stage.bias + _product(center - stage.center, stage.matrix)).astype(np.float32))
    matrix = tf.constant(stage.matrix.astype(np.float32))
    return (value * matrix if stage.matrix.ndim == 1 else tf.matmul(value, matrix)) + bias


def _affine(matrix: Any, bias: Any = 0.0, center: Any = 0.0, spread: Any = 1.0) -> _Affine:
    matrix = np.asarray(matrix, dtype=np.float64)
    inputs, outputs = matrix.shape[0], matrix.shape[-1]

    def vector(values: Any, size: int) -> np.ndarray:
        return np.broadcast_to(np.asarray(values, dtype=np.float64), (size,))

    return _Affine(matrix, vector(bias, outputs), vector(center, inputs), vector(spread, inputs))


def _standard_scaler(model: Any) -> list[_Stage]:
    # scikit-learn 1.9 rounds its mean and scale to the float32 of the rows; the other scalers take float64.
    scale = (model.scale_ if model.with_std else np.ones(model.n_features_in_)).astype(np.float32)
    return [
        _affine(
            1.0 / scale.astype(np.float64),
            spread=scale,
            center=model.mean_.astype(np.float32) if model.with_mean else 0.0,
        )
    ]


def _robust_scaler(model: Any) -> list[_Stage]:
    scale = model.scale_ if model.with_scaling else np.ones(model.n_features_in_)
    return [_affine(1.0 / scale, center=model.center_ if model.with_centering else 0.0, spread=scale)]


def _min_max_scaler(model: Any) -> list[_Stage]:
    low, high = model.feature_range
    scaled = _affine(model.scale_, low, model.data_min_, (high - low) / model.scale_)
    return [scaled, _clip(low, high)] if model.clip else [scaled]


def _max_abs_scaler(model: Any) -> list[_Stage]:
    return [_affine(1.0 / model.scale_), *([_clip(-1.0, 1.0)] if getattr(model, "clip", False) else [])]


def _pca(model: Any) -> list[_Stage]:
    components = np.asarray(model.components_, dtype=np.float64)
    variances = np.asarray(model.explained_variance_)
    spread = np.sqrt(np.square(components).T @ variances)
    if model.whiten:
        components = components / np.maximum(np.sqrt(variances), np.finfo(variances.dtype).eps)[:, None]
    return [_affine(components.T, center=model.mean_, spread=spread)]


def _truncated_svd(model: Any) -> list[_Stage]:
    return [_affine(model.components_.T)]


def _linear(model: Any) -> list[_Stage]:
    coefficients = model.coef_.toarray() if hasattr(model.coef_, "toarray") else model.coef_
    return [_affine(np.atleast_2d(coefficients).T, model.intercept_)]


def _logistic(model: Any) -> list[_Stage]:
    if len(model.classes_) == 2:
        return _binary(_linear(model))
    if (
        getattr(model, "loss", None) == "log_loss"
        or getattr(model, "multi_class", None) == "ovr"
        or getattr(model, "solver", None) == "liblinear"
    ):
        raise _refused(
            f"The {type(model).__name__} has probabilities of one class against the rest, which no longer "
            "tell the classes apart where they reach 1; its labels come from what is before them."
        )
    return [*_linear(model), _softmax]


def _stochastic_gradient(model: Any) -> list[_Stage]:
    if model.loss == "modified_huber":
        raise _refused(
            "The probabilities of an SGDClassifier with the loss 'modified_huber' are cut off at 0 and 1; "
            "its labels come from what is before them."
        )
    return _logistic(model) if model.loss == "log_loss" else _linear(model)


def _perceptrons(model: Any) -> list[_Stage]:
    stages: list[_Stage] = []
    for matrix, bias in zip(model.coefs_, model.intercepts_, strict=True):
        stages += [_affine(matrix, bias), *_ACTIVATIONS[model.activation]]
    stages = stages[: len(stages) - len(_ACTIVATIONS[model.activation])]
    if model.out_activation_ == "logistic":
        return _binary(stages)
    return [*stages, *_ACTIVATIONS[model.out_activation_]]


def _binary(stages: list[_Stage]) -> list[_Stage]:
    """Probabilities of both classes from one log-odds; taking one from 1 would lose what is small."""
    return [*stages, _affine(np.array([[-1.0, 1.0]])), _sigmoid]


def _softmax(value: Any) -> Any:
    import tensorflow as tf

    return tf.nn.softmax(value)


def _sigmoid(value: Any) -> Any:
    import tensorflow as tf

    return tf.sigmoid(value)


def _tanh(value: Any) -> Any:
    import tensorflow as tf

    return tf.tanh(value)


def _relu(value: Any) -> Any:
    import tensorflow as tf

    return tf.nn.relu(value)


def _exp(value: Any) -> Any:
    import tensorflow as tf

    return tf.exp(value)


def _clip(low: float, high: float) -> _Function:
    def clip(value: Any) -> Any:
        import tensorflow as tf

        return tf.minimum(tf.maximum(value, low), high)

    return clip


_ACTIVATIONS: Mapping[str, list[_Stage]] = MappingProxyType(
    {
        "exp": [_exp],
        "identity": [],
        "logistic": [_sigmoid],
        "relu": [_relu],
        "softmax": [_softmax],
        "tanh": [_tanh],
    }
)

_Builders = Mapping[str, Callable[[Any], list[_Stage]]]

_TRANSFORMERS: _Builders = MappingProxyType(
    {
        "StandardScaler": _standard_scaler,
        "MinMaxScaler": _min_max_scaler,
        "MaxAbsScaler": _max_abs_scaler,
        "RobustScaler": _robust_scaler,
        "PCA": _pca,
        "TruncatedSVD": _truncated_svd,
    }
)

_PREDICTORS: _Builders = MappingProxyType(
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

_TREES = "compares features with thresholds, and rounding sends rows down another branch"
_NEIGHBORS = "keeps its training rows, and rounding changes which are the nearest"
_KERNELS = "is a sum over its support vectors, in whose kernels rounding grows"

_WHY: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(
            (
                "AdaBoostClassifier",
                "AdaBoostRegressor",
                "DecisionTreeClassifier",
                "DecisionTreeRegressor",
                "ExtraTreeClassifier",
                "ExtraTreeRegressor",
                "ExtraTreesClassifier",
                "ExtraTreesRegressor",
                "GradientBoostingClassifier",
                "GradientBoostingRegressor",
                "HistGradientBoostingClassifier",
                "HistGradientBoostingRegressor",
                "RandomForestClassifier",
                "RandomForestRegressor",
            ),
            _TREES,
        ),
        **dict.fromkeys(("KNeighborsClassifier", "KNeighborsRegressor"), _NEIGHBORS),
        **dict.fromkeys(("NuSVC", "NuSVR", "SVC", "SVR"), _KERNELS),
    }
)
