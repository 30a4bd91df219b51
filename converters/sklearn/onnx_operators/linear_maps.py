"""Models that are a single matrix product, as ONNX in float64."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError

from ._builder import Container, GraphBuilder, Operator, Scope

__all__ = ["affine_converters"]

_AffineParameters = tuple[Any, Any, Any]
"""A center, a matrix ``[features, outputs]`` and a bias, for ``(x − center) · matrix + bias``."""


def affine_converters() -> dict[type, Any]:
    """Return the skl2onnx conversion functions by estimator class."""
    from sklearn.cluster import FeatureAgglomeration
    from sklearn.cross_decomposition import CCA, PLSSVD, PLSCanonical, PLSRegression
    from sklearn.decomposition import FactorAnalysis, FastICA, MiniBatchSparsePCA, SparsePCA
    from sklearn.feature_selection import SequentialFeatureSelector
    from sklearn.random_projection import SparseRandomProjection

    functions: dict[type, Callable[[Any], _AffineParameters]] = {
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
    return {estimator: _converter(parameters) for estimator, parameters in functions.items()}


def _converter(parameters: Callable[[Any], _AffineParameters]) -> Any:
    def convert(scope: Scope, operator: Operator, container: Container) -> None:
        center, matrix, bias = parameters(operator.raw_operator)
        graph = GraphBuilder(scope, container)
        rows = graph("Sub", graph.double(operator.inputs[0].full_name), graph.number(center))
        values = graph("Add", graph("MatMul", rows, graph.number(matrix)), graph.number(bias))
        graph.single(values, output=operator.outputs[0].full_name)

    return convert


def _partial_least_squares(model: Any) -> _AffineParameters:
    return model._x_mean, model.coef_.T, model.intercept_  # noqa: SLF001  # no public attribute


def _factor_analysis(model: Any) -> _AffineParameters:
    weighted = model.components_ / model.noise_variance_
    covariance = np.linalg.inv(np.eye(len(model.components_)) + weighted @ model.components_.T)
    return model.mean_, weighted.T @ covariance, 0.0


def _sparse_pca(model: Any) -> _AffineParameters:
    """Solve the ridge regression on the components, which is linear in the input."""
    components = model.components_.astype(np.float64)
    gram = components @ components.T + model.ridge_alpha * np.eye(len(components))
    return model.mean_, np.linalg.solve(gram, components).T, 0.0


def _feature_agglomeration(model: Any) -> _AffineParameters:
    if model.pooling_func is not np.mean:
        raise UnsupportedModelError(
            "FeatureAgglomeration: only pooling_func=np.mean is supported in ONNX.",
            fix="train it with pooling_func=np.mean.",
        )
    members = model.labels_[:, None] == np.unique(model.labels_)
    return 0.0, members / members.sum(axis=0), 0.0
