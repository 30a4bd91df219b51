"""Models that are one matrix product as ONNX, in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError

from ._builder import Container, Nodes, Operator, Scope

__all__ = ["affine_converters"]

_Parts = tuple[Any, Any, Any]
"""Center, matrix ``[features, outputs]`` and bias of ``(x − center) · matrix + bias``."""


def affine_converters() -> dict[type, Any]:
    """The conversion functions that skl2onnx is to use, by class of model."""
    from sklearn.cluster import FeatureAgglomeration
    from sklearn.cross_decomposition import CCA, PLSSVD, PLSCanonical, PLSRegression
    from sklearn.decomposition import FactorAnalysis, FastICA, MiniBatchSparsePCA, SparsePCA
    from sklearn.feature_selection import SequentialFeatureSelector
    from sklearn.random_projection import SparseRandomProjection

    parts: dict[type, Callable[[Any], _Parts]] = {
        CCA: _partial_least_squares,
        FactorAnalysis: _factor_analysis,
        FastICA: lambda model: (model.mean_ if model.whiten else 0.0, model.components_.T, 0.0),
        FeatureAgglomeration: _feature_agglomeration,
        MiniBatchSparsePCA: _sparse_pca,
        PLSCanonical: _partial_least_squares,
        PLSRegression: _partial_least_squares,
        PLSSVD: lambda model: (model._x_mean, model.x_weights_ / model._x_std[:, None], 0.0),  # noqa: SLF001
        SequentialFeatureSelector: lambda model: (0.0, np.eye(len(model.support_))[:, model.support_], 0.0),
        SparsePCA: _sparse_pca,
        SparseRandomProjection: lambda model: (0.0, model.components_.toarray().T, 0.0),
    }
    return {kind: _converter(found) for kind, found in parts.items()}


def _converter(parts: Callable[[Any], _Parts]) -> Any:
    def convert(scope: Scope, operator: Operator, container: Container) -> None:
        center, matrix, bias = parts(operator.raw_operator)
        nodes = Nodes(scope, container)
        rows = nodes("Sub", nodes.double(operator.inputs[0].full_name), nodes.number(center))
        values = nodes("Add", nodes("MatMul", rows, nodes.number(matrix)), nodes.number(bias))
        nodes.single(values, output=operator.outputs[0].full_name)

    return convert


def _partial_least_squares(model: Any) -> _Parts:
    return model._x_mean, model.coef_.T, model.intercept_  # noqa: SLF001  # scikit-learn has no public name for it


def _factor_analysis(model: Any) -> _Parts:
    weighted = model.components_ / model.noise_variance_
    covariance = np.linalg.inv(np.eye(len(model.components_)) + weighted @ model.components_.T)
    return model.mean_, weighted.T @ covariance, 0.0


def _sparse_pca(model: Any) -> _Parts:
    """Ridge regression on the components, whose solution is linear in the row."""
    components = model.components_.astype(np.float64)
    gram = components @ components.T + model.ridge_alpha * np.eye(len(components))
    return model.mean_, np.linalg.solve(gram, components).T, 0.0


def _feature_agglomeration(model: Any) -> _Parts:
    if model.pooling_func is not np.mean:
        raise UnsupportedModelError(
            "A FeatureAgglomeration is converted where it pools by the mean.", fix="train it with pooling_func=np.mean."
        )
    members = model.labels_[:, None] == np.unique(model.labels_)
    return 0.0, members / members.sum(axis=0), 0.0
