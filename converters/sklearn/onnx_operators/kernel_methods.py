"""Kernel methods as ONNX, in float64."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError

from ._builder import DOUBLE, Container, GraphBuilder, Operator, Scope

__all__ = ["kernel_converters"]

_ROUNDING = 1e-10  # noise-to-signal ratio; fp32 requires 90 dB, 1e-9


def kernel_converters() -> dict[type, Any]:
    """Return the skl2onnx conversion functions by estimator class."""
    from sklearn.decomposition import KernelPCA
    from sklearn.kernel_approximation import Nystroem
    from sklearn.kernel_ridge import KernelRidge
    from sklearn.manifold import Isomap
    from sklearn.semi_supervised import LabelPropagation, LabelSpreading

    return {
        Isomap: _isomap,
        KernelPCA: _kernel_pca,
        KernelRidge: _kernel_ridge,
        LabelPropagation: _label_propagation,
        LabelSpreading: _label_propagation,
        Nystroem: _nystroem,
    }


def _kernel_ridge(scope: Scope, operator: Operator, container: Container) -> None:
    model, graph = operator.raw_operator, GraphBuilder(scope, container)
    _check_rounding(model, "X_fit_", "dual_coef_", "predict")
    kernel = _kernel(graph, operator, model, model.X_fit_)
    weights = model.dual_coef_.reshape(len(model.dual_coef_), -1)
    graph.single(graph("MatMul", kernel, graph.number(weights)), output=operator.outputs[0].full_name)


def _check_rounding(model: Any, points: str, weights: str, method: str) -> None:
    """Reject a model whose own predictions, sums of large terms in float32, are less exact than fp32 requires.

    With float32 training rows, scikit-learn computes in float32, and the last bits depend on its BLAS.
    """
    rows = getattr(model, points)
    if rows.dtype != np.float32:
        return
    exact = copy.copy(model)
    for name in (points, weights):
        setattr(exact, name, getattr(model, name).astype(np.float64))
    expected = getattr(exact, method)(rows.astype(np.float64))
    noise = np.square(getattr(model, method)(rows) - expected).sum()
    if noise > np.square(expected - expected.mean(axis=0)).sum() * _ROUNDING:
        raise UnsupportedModelError(
            f"{type(model).__name__}: trained on float32 rows, so that scikit-learn sums large terms in float32; its "
            "predictions are too inexact to compare with.",
            fix="train it on float64 rows.",
        )


def _nystroem(scope: Scope, operator: Operator, container: Container) -> None:
    model, graph = operator.raw_operator, GraphBuilder(scope, container)
    _check_rounding(model, "components_", "normalization_", "transform")
    kernel = _kernel(graph, operator, model, model.components_)
    graph.single(graph("MatMul", kernel, graph.number(model.normalization_.T)), output=operator.outputs[0].full_name)


def _kernel_pca(scope: Scope, operator: Operator, container: Container) -> None:
    model, graph = operator.raw_operator, GraphBuilder(scope, container)
    kernel = _kernel(graph, operator, model, model.X_fit_, model.gamma_)
    graph.single(_project(graph, kernel, model), output=operator.outputs[0].full_name)


def _project(graph: GraphBuilder, kernel: str, model: Any) -> str:
    """Center and project a kernel to training rows, like KernelPCA."""
    centerer = model._centerer  # noqa: SLF001  # no public attribute
    count = graph.number(len(centerer.K_fit_rows_))
    mean = graph("Div", graph.reduce_sum(kernel, 1), count)
    shift = graph.number(centerer.K_fit_all_ - centerer.K_fit_rows_.astype(np.float64))
    used = model.eigenvalues_ != 0
    scaled = np.zeros_like(model.eigenvectors_)
    scaled[:, used] = model.eigenvectors_[:, used] / np.sqrt(model.eigenvalues_[used])
    return graph("MatMul", graph("Add", graph("Sub", kernel, mean), shift), graph.number(scaled))


def _isomap(scope: Scope, operator: Operator, container: Container) -> None:
    """Compute the shortest paths to all training rows through the nearest ones."""
    model, graph = operator.raw_operator, GraphBuilder(scope, container)
    if model.n_neighbors is None or model.nbrs_.effective_metric_ != "euclidean":
        raise UnsupportedModelError(
            "Isomap: a radius or a metric other than the Euclidean one is not supported in ONNX.",
            fix="train it with n_neighbors and the Euclidean metric.",
        )
    points = model.nbrs_._fit_X  # noqa: SLF001  # no public attribute
    squares = graph.square_distances(graph.double(operator.inputs[0].full_name), points)
    count = graph.constant(np.array([model.n_neighbors]))
    near, nearest = graph.multi_output("TopK", squares, count, outputs=2, axis=1, largest=0, sorted=1)
    first = graph("Unsqueeze", graph("Sqrt", near), graph.constant(np.array([2])))
    paths = graph("Add", graph("Gather", graph.number(model.dist_matrix_), nearest), first)
    shortest = graph("Neg", graph("ReduceMax", graph("Neg", paths), axes=[1], keepdims=0))
    kernel = graph("Mul", graph("Mul", shortest, shortest), graph.number(-0.5))
    graph.single(_project(graph, kernel, model.kernel_pca_), output=operator.outputs[0].full_name)


def _label_propagation(scope: Scope, operator: Operator, container: Container) -> None:
    model, graph = operator.raw_operator, GraphBuilder(scope, container)
    rows = graph.double(operator.inputs[0].full_name)
    distances = graph.square_distances(rows, model.X_)
    if model.kernel == "rbf":
        weights = graph("Exp", graph("Mul", distances, graph.number(-model.gamma)))
        votes = graph("MatMul", weights, graph.number(model.label_distributions_))
    elif model.kernel == "knn":
        count = graph.constant(np.array([model.n_neighbors]))
        _, nearest = graph.multi_output("TopK", distances, count, outputs=2, axis=1, largest=0, sorted=1)
        votes = graph.reduce_sum(graph("Gather", graph.number(model.label_distributions_), nearest), 1, keepdims=0)
    else:
        raise _unsupported_kernel(model, model.kernel)
    label, scores = (output.full_name for output in operator.outputs)
    shares = graph("Div", votes, graph.reduce_sum(votes, 1))
    graph.single(shares, output=scores)
    graph.label(shares, model.classes_, output=label)


def _kernel(graph: GraphBuilder, operator: Any, model: Any, points: np.ndarray, gamma: float | None = None) -> str:
    """Compute the kernel by scikit-learn's formulas, float64 ``[batch, points]``."""
    rows, points = graph.double(operator.inputs[0].full_name), np.asarray(points, dtype=np.float64)
    options = {"gamma": model.gamma if gamma is None else gamma, "coef0": model.coef0, "degree": model.degree}
    options.update(getattr(model, "kernel_params", None) or {})
    default_gamma = 1.0 / points.shape[1]
    gamma = default_gamma if options["gamma"] is None else options["gamma"]
    coef0 = 1.0 if options["coef0"] is None else options["coef0"]
    degree = 3.0 if options["degree"] is None else options["degree"]
    products = graph("MatMul", rows, graph.number(points.T))
    if model.kernel == "linear":
        return products
    if model.kernel == "rbf":
        return graph("Exp", graph("Mul", graph.square_distances(rows, points), graph.number(-gamma)))
    if model.kernel in {"laplacian", "chi2", "additive_chi2"}:
        return _sum_over_features(
            graph, model.kernel, rows, points, 1.0 if options["gamma"] is None else gamma, default_gamma
        )
    if model.kernel == "cosine":
        lengths = np.sqrt(np.square(points).sum(axis=1))
        norms = graph("Sqrt", graph.reduce_sum(graph("Mul", rows, rows), 1))
        zero = graph("Equal", norms, graph.number(0.0))
        norms = graph("Add", norms, graph("Cast", zero, to=DOUBLE))
        return graph("Div", graph("Div", products, graph.number(np.where(lengths == 0, 1.0, lengths))), norms)
    if model.kernel in {"poly", "polynomial", "sigmoid"}:
        inner = graph("Add", graph("Mul", products, graph.number(gamma)), graph.number(coef0))
        if model.kernel != "sigmoid":
            return graph("Pow", inner, graph.number(degree))
        # onnxruntime's Tanh for float64 is not available on all CPUs.
        exponential = graph("Exp", graph("Mul", graph("Abs", inner), graph.number(-2.0)))
        magnitude = graph(
            "Div", graph("Sub", graph.number(1.0), exponential), graph("Add", graph.number(1.0), exponential)
        )
        return graph("Mul", graph("Sign", inner), magnitude)
    raise _unsupported_kernel(model, model.kernel)


def _sum_over_features(
    graph: GraphBuilder, kind: str, rows: str, points: np.ndarray, gamma: float, default_gamma: float
) -> str:
    expanded = graph("Unsqueeze", rows, graph.constant(np.array([1])))
    expanded_points = graph.number(points[None])
    offsets = graph("Sub", expanded, expanded_points)
    if kind == "laplacian":
        total = graph.reduce_sum(graph("Abs", offsets), 2, keepdims=0)
        return graph("Exp", graph("Mul", total, graph.number(-(gamma if gamma != 1.0 else default_gamma))))
    sums = graph("Add", expanded, expanded_points)
    empty = graph("Cast", graph("Equal", sums, graph.number(0.0)), to=DOUBLE)
    shares = graph("Div", graph("Mul", offsets, offsets), graph("Add", sums, empty))
    total = graph("Neg", graph.reduce_sum(shares, 2, keepdims=0))
    return total if kind == "additive_chi2" else graph("Exp", graph("Mul", total, graph.number(gamma)))


def _unsupported_kernel(model: Any, kernel: Any) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"{type(model).__name__}: the kernel {kernel!r} is not supported in ONNX.",
        fix="train it with one of scikit-learn's named kernels other than 'precomputed'.",
    )
