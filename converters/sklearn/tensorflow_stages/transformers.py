"""Transformers of scikit-learn as TensorFlow operations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from ._stage import Function, Impute, Stage, affine, unsupported

__all__ = ["TRANSFORMERS", "column_transformers", "monotone_column_origins"]


def monotone_column_origins(steps: Iterable[Any], inputs: int) -> np.ndarray | None:
    """Return, for each output column of the steps, the input column of which it is a non-decreasing function.

    Return None if an output column depends on several input columns or decreases, or if two depend on the same one.
    """
    origin = np.arange(inputs)
    for step in steps:
        step_origin = _step_origins(step, len(origin))
        if step_origin is None:
            return None
        origin = origin[step_origin]
    return origin


def _step_origins(step: Any, inputs: int) -> np.ndarray | None:
    name = type(step).__name__
    if name == "Pipeline":
        return monotone_column_origins((inner for _, inner in step.steps), inputs)
    if name == "ColumnTransformer":
        return _column_transformer_origins(step)
    if isinstance(step, str) or name in _MONOTONE or (name == "FunctionTransformer" and step.func is None):
        return np.arange(inputs)
    if hasattr(step, "get_support"):
        return np.asarray(step.get_support(indices=True))
    monotone = (
        _is_simple_imputer(step)
        if name == "SimpleImputer"
        else _MONOTONE_WITH_OPTION.get(name) in _string_options(step)
    )
    return np.arange(inputs) if monotone else None


def _string_options(step: Any) -> set[tuple[str, str]]:
    return {(name, value) for name, value in vars(step).items() if isinstance(value, str)}


_MONOTONE_WITH_OPTION = {"KBinsDiscretizer": ("encode", "ordinal"), "PowerTransformer": ("method", "yeo-johnson")}
_MONOTONE = frozenset(
    {"Binarizer", "MaxAbsScaler", "MinMaxScaler", "QuantileTransformer", "RobustScaler", "StandardScaler"}
)


def _column_transformer_origins(model: Any) -> np.ndarray | None:
    origins: list[int] = []
    for step, columns in column_transformers(model):
        step_origin = _step_origins(step, len(columns))
        if step_origin is None:
            return None
        origins += columns[step_origin].tolist()
    return np.array(origins, dtype=np.intp) if len(set(origins)) == len(origins) else None


def column_transformers(model: Any) -> list[tuple[Any, np.ndarray]]:
    """Return the transformers of a ColumnTransformer in order, each with the indices of its columns."""
    indices = model._transformer_to_input_indices  # noqa: SLF001  # no public attribute
    return [
        (step, np.asarray(indices[name], dtype=np.intp))
        for name, step, _ in model.transformers_
        if len(indices[name]) and not (isinstance(step, str) and step == "drop")
    ]


def _is_simple_imputer(model: Any) -> bool:
    """Test whether an imputer only replaces NaN, without dropping or adding columns."""
    marks_nan = isinstance(model.missing_values, float) and np.isnan(model.missing_values)
    kind = np.asarray(model.statistics_).dtype.kind
    return bool(marks_nan and not model.add_indicator and kind == "f" and not np.isnan(model.statistics_).any())


def _standard_scaler(model: Any) -> list[Stage]:
    # scikit-learn 1.9 rounds mean and scale to float32 for float32 rows; the other scalers use float64.
    scale = (model.scale_ if model.with_std else np.ones(model.n_features_in_)).astype(np.float32)
    return [
        affine(
            1.0 / scale.astype(np.float64),
            spread=scale,
            center=model.mean_.astype(np.float32) if model.with_mean else 0.0,
        )
    ]


def _robust_scaler(model: Any) -> list[Stage]:
    scale = model.scale_ if model.with_scaling else np.ones(model.n_features_in_)
    return [affine(1.0 / scale, center=model.center_ if model.with_centering else 0.0, spread=scale)]


def _min_max_scaler(model: Any) -> list[Stage]:
    low, high = model.feature_range
    scaled = affine(model.scale_, low, model.data_min_, (high - low) / model.scale_)
    return [scaled, _clip(low, high)] if model.clip else [scaled]


def _max_abs_scaler(model: Any) -> list[Stage]:
    return [affine(1.0 / model.scale_), *([_clip(-1.0, 1.0)] if getattr(model, "clip", False) else [])]


def _pca(model: Any) -> list[Stage]:
    components = np.asarray(model.components_, dtype=np.float64)
    variances = np.asarray(model.explained_variance_)
    spread = np.sqrt(np.square(components).T @ variances)
    if model.whiten:
        components = components / np.maximum(np.sqrt(variances), np.finfo(variances.dtype).eps)[:, None]
    return [affine(components.T, center=model.mean_, spread=spread)]


def _truncated_svd(model: Any) -> list[Stage]:
    return [affine(model.components_.T)]


def _select(model: Any) -> list[Stage]:
    return [affine(np.eye(model.n_features_in_)[:, model.get_support()])]


def _imputer(model: Any) -> list[Stage]:
    if not _is_simple_imputer(model):
        raise unsupported(
            "SimpleImputer: add_indicator, dropped columns and missing_values other than NaN are not supported."
        )
    return [Impute(model.statistics_.astype(np.float32))]


def _binarizer(model: Any) -> list[Stage]:
    return [greater_than(model.threshold)]


def greater_than(threshold: float) -> Function:
    """Return a function that maps values above the threshold to 1, others to 0, like scikit-learn for float32."""

    def binary(value: Any) -> Any:
        import tensorflow as tf

        return tf.where(value > np.float32(threshold), tf.ones_like(value), tf.zeros_like(value))

    return binary


def _normalizer(model: Any) -> list[Stage]:
    def normalize(value: Any) -> Any:
        import tensorflow as tf

        sizes = tf.abs(value)
        if model.norm == "l2":
            length = tf.sqrt(tf.reduce_sum(value * value, axis=1, keepdims=True))
        elif model.norm == "l1":
            length = tf.reduce_sum(sizes, axis=1, keepdims=True)
        else:
            length = tf.reduce_max(sizes, axis=1, keepdims=True)
        return value / tf.where(length > 0.0, length, tf.ones_like(length))

    return [normalize]


def _polynomial(model: Any) -> list[Stage]:
    powers = model.powers_
    # Each product has as many factors as the degree, padded with index 0, a column of ones.
    factors = np.zeros((len(powers), max(int(powers.sum(axis=1).max()), 1)), dtype=np.int32)
    for row, exponents in zip(factors, powers, strict=True):
        columns = np.repeat(np.arange(1, powers.shape[1] + 1), exponents)
        row[: len(columns)] = columns

    def products(value: Any) -> Any:
        import tensorflow as tf

        table = tf.concat([tf.ones_like(value[:, :1]), value], axis=1)
        product = tf.gather(table, factors[:, 0], axis=1)
        for factor in factors.T[1:]:
            product = product * tf.gather(table, factor, axis=1)
        return product

    return [products]


def _discretizer(model: Any) -> list[Stage]:
    edges = [np.asarray(column_edges, dtype=np.float64)[1:-1] for column_edges in model.bin_edges_]
    table = np.full((len(edges), max(1, *map(len, edges))), np.inf, dtype=np.float32)
    for row, column_edges in zip(table, edges, strict=True):
        nearest = column_edges.astype(np.float32)  # rounding the edge up keeps x >= edge for float32 x
        row[: len(column_edges)] = np.where(nearest < column_edges, np.nextafter(nearest, np.float32(np.inf)), nearest)

    def ordinal(value: Any) -> Any:
        import tensorflow as tf

        return tf.reduce_sum(tf.cast(value[:, :, None] >= tf.constant(table[None]), tf.float32), axis=2)

    if model.encode == "ordinal":
        return [ordinal]
    counts = np.asarray(model.n_bins_)
    return [ordinal, _one_hot_columns([np.arange(count, dtype=np.float32) for count in counts])]


def _one_hot(model: Any) -> list[Stage]:
    frequent = model.min_frequency is None and model.max_categories is None
    simple = model.handle_unknown == "ignore" and model.drop is None and frequent
    categories = [np.asarray(values) for values in model.categories_]
    exact = all(values.dtype.kind in "fiub" and (values.astype(np.float32) == values).all() for values in categories)
    if not (simple and exact):
        raise unsupported("OneHotEncoder: only numeric categories with handle_unknown='ignore' are supported.")
    return [_one_hot_columns([values.astype(np.float32) for values in categories])]


def _one_hot_columns(categories: list[np.ndarray]) -> Function:
    """Return a function for one-hot columns, one per category of each feature."""
    columns = np.repeat(
        np.arange(len(categories)), [len(column_categories) for column_categories in categories]
    ).astype(np.int32)
    values = np.concatenate(categories)[None]

    def marks(value: Any) -> Any:
        import tensorflow as tf

        return tf.cast(tf.equal(tf.gather(value, columns, axis=1), tf.constant(values)), tf.float32)

    return marks


def _identity(model: Any) -> list[Stage]:
    if model.func is not None:
        raise unsupported("FunctionTransformer: custom functions are not supported.")
    return []


def _clip(low: float, high: float) -> Function:
    def clip(value: Any) -> Any:
        import tensorflow as tf

        return tf.minimum(tf.maximum(value, low), high)

    return clip


TRANSFORMERS: Mapping[str, Callable[[Any], list[Stage]]] = MappingProxyType(
    {
        "StandardScaler": _standard_scaler,
        "MinMaxScaler": _min_max_scaler,
        "MaxAbsScaler": _max_abs_scaler,
        "RobustScaler": _robust_scaler,
        "PCA": _pca,
        "TruncatedSVD": _truncated_svd,
        "Binarizer": _binarizer,
        "FunctionTransformer": _identity,
        "KBinsDiscretizer": _discretizer,
        "Normalizer": _normalizer,
        "OneHotEncoder": _one_hot,
        "PolynomialFeatures": _polynomial,
        "SimpleImputer": _imputer,
        **dict.fromkeys(
            (
                "GenericUnivariateSelect",
                "RFE",
                "RFECV",
                "SelectFdr",
                "SelectFpr",
                "SelectFromModel",
                "SelectFwe",
                "SelectKBest",
                "SelectPercentile",
                "SequentialFeatureSelector",
                "VarianceThreshold",
            ),
            _select,
        ),
    }
)
