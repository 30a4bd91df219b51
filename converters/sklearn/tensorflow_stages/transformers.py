"""scikit-learn's transformers of tables as TensorFlow operations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from ._stage import Filled, Function, Stage, affine, refused

__all__ = ["TRANSFORMERS", "parts_of", "risen_through"]


def risen_through(steps: Iterable[Any], inputs: int) -> np.ndarray | None:
    """From which column of the rows each column comes that the steps give together, rising with it or staying.

    None where a column comes of several or falls, or two come of the same.
    """
    origin = np.arange(inputs)
    for step in steps:
        own = _risen_from(step, len(origin))
        if own is None:
            return None
        origin = origin[own]
    return origin


def _risen_from(step: Any, inputs: int) -> np.ndarray | None:
    name = type(step).__name__
    if name == "Pipeline":
        return risen_through((inner for _, inner in step.steps), inputs)
    if name == "ColumnTransformer":
        return _risen_in_columns(step)
    if isinstance(step, str) or name in _MONOTONE or (name == "FunctionTransformer" and step.func is None):
        return np.arange(inputs)
    if hasattr(step, "get_support"):
        return np.asarray(step.get_support(indices=True))
    rises = _plain_imputer(step) if name == "SimpleImputer" else _RISING.get(name) in _options(step)
    return np.arange(inputs) if rises else None


def _options(step: Any) -> set[tuple[str, str]]:
    return {(name, value) for name, value in vars(step).items() if isinstance(value, str)}


_RISING = {"KBinsDiscretizer": ("encode", "ordinal"), "PowerTransformer": ("method", "yeo-johnson")}
_MONOTONE = frozenset(
    {"Binarizer", "MaxAbsScaler", "MinMaxScaler", "QuantileTransformer", "RobustScaler", "StandardScaler"}
)


def _risen_in_columns(model: Any) -> np.ndarray | None:
    found: list[int] = []
    for step, columns in parts_of(model):
        own = _risen_from(step, len(columns))
        if own is None:
            return None
        found += columns[own].tolist()
    return np.array(found, dtype=np.intp) if len(set(found)) == len(found) else None


def parts_of(model: Any) -> list[tuple[Any, np.ndarray]]:
    """The transformers of a ColumnTransformer in their order, each with the numbers of its columns."""
    places = model._transformer_to_input_indices  # noqa: SLF001  # scikit-learn has no public name for it
    return [
        (step, np.asarray(places[name], dtype=np.intp))
        for name, step, _ in model.transformers_
        if len(places[name]) and not (isinstance(step, str) and step == "drop")
    ]


def _plain_imputer(model: Any) -> bool:
    """Whether an imputer only fills gaps in, and drops and adds no column."""
    gaps = isinstance(model.missing_values, float) and np.isnan(model.missing_values)
    kinds = np.asarray(model.statistics_).dtype.kind
    return bool(gaps and not model.add_indicator and kinds == "f" and not np.isnan(model.statistics_).any())


def _standard_scaler(model: Any) -> list[Stage]:
    # scikit-learn 1.9 rounds its mean and scale to the float32 of the rows; the other scalers take float64.
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


def _selected(model: Any) -> list[Stage]:
    return [affine(np.eye(model.n_features_in_)[:, model.get_support()])]


def _imputer(model: Any) -> list[Stage]:
    if not _plain_imputer(model):
        raise refused("A SimpleImputer that marks gaps, drops columns or looks for other than NaN is not rebuilt.")
    return [Filled(model.statistics_.astype(np.float32))]


def _binarizer(model: Any) -> list[Stage]:
    return [above(model.threshold)]


def above(threshold: float) -> Function:
    """1 where a value is above the threshold, else 0; parted as scikit-learn parts float32 values."""

    def binary(value: Any) -> Any:
        import tensorflow as tf

        return tf.where(value > np.float32(threshold), tf.ones_like(value), tf.zeros_like(value))

    return binary


def _normalizer(model: Any) -> list[Stage]:
    def normalized(value: Any) -> Any:
        import tensorflow as tf

        sizes = tf.abs(value)
        if model.norm == "l2":
            length = tf.sqrt(tf.reduce_sum(value * value, axis=1, keepdims=True))
        elif model.norm == "l1":
            length = tf.reduce_sum(sizes, axis=1, keepdims=True)
        else:
            length = tf.reduce_max(sizes, axis=1, keepdims=True)
        return value / tf.where(length > 0.0, length, tf.ones_like(length))

    return [normalized]


def _polynomial(model: Any) -> list[Stage]:
    powers = model.powers_
    # Each product has as many factors as the degree, the column of ones in front where it needs fewer.
    factors = np.zeros((len(powers), max(int(powers.sum(axis=1).max()), 1)), dtype=np.int32)
    for row, own in zip(factors, powers, strict=True):
        columns = np.repeat(np.arange(1, powers.shape[1] + 1), own)
        row[: len(columns)] = columns

    def products(value: Any) -> Any:
        import tensorflow as tf

        table = tf.concat([tf.ones_like(value[:, :1]), value], axis=1)
        made = tf.gather(table, factors[:, 0], axis=1)
        for factor in factors.T[1:]:
            made = made * tf.gather(table, factor, axis=1)
        return made

    return [products]


def _bins(model: Any) -> list[Stage]:
    edges = [np.asarray(own, dtype=np.float64)[1:-1] for own in model.bin_edges_]
    table = np.full((len(edges), max(1, *map(len, edges))), np.inf, dtype=np.float32)
    for row, own in zip(table, edges, strict=True):
        nearest = own.astype(np.float32)  # x >= edge for float32 x, where the edge is rounded up
        row[: len(own)] = np.where(nearest < own, np.nextafter(nearest, np.float32(np.inf)), nearest)

    def ordinal(value: Any) -> Any:
        import tensorflow as tf

        return tf.reduce_sum(tf.cast(value[:, :, None] >= tf.constant(table[None]), tf.float32), axis=2)

    if model.encode == "ordinal":
        return [ordinal]
    counts = np.asarray(model.n_bins_)
    return [ordinal, _marks([np.arange(count, dtype=np.float32) for count in counts])]


def _one_hot(model: Any) -> list[Stage]:
    frequent = model.min_frequency is None and model.max_categories is None
    simple = model.handle_unknown == "ignore" and model.drop is None and frequent
    categories = [np.asarray(own) for own in model.categories_]
    exact = all(own.dtype.kind in "fiub" and (own.astype(np.float32) == own).all() for own in categories)
    if not (simple and exact):
        raise refused("A OneHotEncoder is rebuilt with handle_unknown='ignore' and plain numbers alone.")
    return [_marks([own.astype(np.float32) for own in categories])]


def _marks(kinds: list[np.ndarray]) -> Function:
    """A column for each kind of each feature: 1 where the feature is of it."""
    columns = np.repeat(np.arange(len(kinds)), [len(own) for own in kinds]).astype(np.int32)
    values = np.concatenate(kinds)[None]

    def marks(value: Any) -> Any:
        import tensorflow as tf

        return tf.cast(tf.equal(tf.gather(value, columns, axis=1), tf.constant(values)), tf.float32)

    return marks


def _same(model: Any) -> list[Stage]:
    if model.func is not None:
        raise refused("A FunctionTransformer with a function of its own is not rebuilt.")
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
        "FunctionTransformer": _same,
        "KBinsDiscretizer": _bins,
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
            _selected,
        ),
    }
)
