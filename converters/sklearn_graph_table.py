"""scikit-learn's transformers of tables as TensorFlow operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from .sklearn_stages import Function, Stage, affine

__all__ = ["TRANSFORMERS", "monotone"]


def monotone(step: Any) -> bool:
    """Whether each column of a transformer's answer rises with the same column of its rows, or stays."""
    name = type(step).__name__
    if name == "SimpleImputer":
        return _plain_imputer(step)
    if name == "KBinsDiscretizer":
        return bool(step.encode == "ordinal")
    if name == "PowerTransformer":
        return bool(step.method == "yeo-johnson")
    return name in _MONOTONE


_MONOTONE = frozenset(
    {"Binarizer", "MaxAbsScaler", "MinMaxScaler", "QuantileTransformer", "RobustScaler", "StandardScaler"}
)


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
    }
)
