"""Models of kernels between a row and training rows as ONNX, in float64."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError

from ._builder import DOUBLE, Container, Nodes, Operator, Scope

__all__ = ["kernel_converters"]

_ROUNDING = 1e-10  # noise to signal; the floor of fp32 is 90 dB, 1e-9


def kernel_converters() -> dict[type, Any]:
    """The conversion functions that skl2onnx is to use, by class of model."""
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
    model, nodes = operator.raw_operator, Nodes(scope, container)
    _check_rounding(model, "X_fit_", "dual_coef_", "predict")
    kernel = _kernel(nodes, operator, model, model.X_fit_)
    weights = model.dual_coef_.reshape(len(model.dual_coef_), -1)
    nodes.single(nodes("MatMul", kernel, nodes.number(weights)), output=operator.outputs[0].full_name)


def _check_rounding(model: Any, points: str, weights: str, method: str) -> None:
    """Refuses a model whose own answers, as sums of large terms in float32, are less exact than the floor asks.

    Training rows of float32 make scikit-learn compute in float32; which last bits come depends on its BLAS.
    """
    rows = getattr(model, points)
    if rows.dtype != np.float32:
        return
    exact = copy.copy(model)
    for name in (points, weights):
        setattr(exact, name, getattr(model, name).astype(np.float64))
    wanted = getattr(exact, method)(rows.astype(np.float64))
    noise = np.square(getattr(model, method)(rows) - wanted).sum()
    if noise > np.square(wanted - wanted.mean(axis=0)).sum() * _ROUNDING:
        raise UnsupportedModelError(
            f"The {type(model).__name__} was trained on float32 rows, and its own answers are sums of large terms in "
            "float32, too inexact to compare with.",
            fix="train it on float64 rows.",
        )


def _nystroem(scope: Scope, operator: Operator, container: Container) -> None:
    model, nodes = operator.raw_operator, Nodes(scope, container)
    _check_rounding(model, "components_", "normalization_", "transform")
    kernel = _kernel(nodes, operator, model, model.components_)
    nodes.single(nodes("MatMul", kernel, nodes.number(model.normalization_.T)), output=operator.outputs[0].full_name)


def _kernel_pca(scope: Scope, operator: Operator, container: Container) -> None:
    model, nodes = operator.raw_operator, Nodes(scope, container)
    kernel = _kernel(nodes, operator, model, model.X_fit_, model.gamma_)
    nodes.single(_projected(nodes, kernel, model), output=operator.outputs[0].full_name)


def _projected(nodes: Nodes, kernel: str, model: Any) -> str:
    """A kernel to training rows, centred and projected as a KernelPCA does."""
    centerer = model._centerer  # noqa: SLF001  # scikit-learn has no public name for it
    count = nodes.number(len(centerer.K_fit_rows_))
    mean = nodes("Div", nodes.total(kernel, 1), count)
    shift = nodes.number(centerer.K_fit_all_ - centerer.K_fit_rows_.astype(np.float64))
    used = model.eigenvalues_ != 0
    scaled = np.zeros_like(model.eigenvectors_)
    scaled[:, used] = model.eigenvectors_[:, used] / np.sqrt(model.eigenvalues_[used])
    return nodes("MatMul", nodes("Add", nodes("Sub", kernel, mean), shift), nodes.number(scaled))


def _isomap(scope: Scope, operator: Operator, container: Container) -> None:
    """Shortest ways to all training rows, by way of the nearest ones."""
    model, nodes = operator.raw_operator, Nodes(scope, container)
    if model.n_neighbors is None or model.nbrs_.effective_metric_ != "euclidean":
        raise UnsupportedModelError(
            "An Isomap by radius, or with a metric of its own, has no route.",
            fix="train it with n_neighbors and the Euclidean metric.",
        )
    points = model.nbrs_._fit_X  # noqa: SLF001  # as above
    squares = nodes.square_distances(nodes.double(operator.inputs[0].full_name), points)
    count = nodes.constant(np.array([model.n_neighbors]))
    near, nearest = nodes.several("TopK", squares, count, outputs=2, axis=1, largest=0, sorted=1)
    first = nodes("Unsqueeze", nodes("Sqrt", near), nodes.constant(np.array([2])))
    ways = nodes("Add", nodes("Gather", nodes.number(model.dist_matrix_), nearest), first)
    shortest = nodes("Neg", nodes("ReduceMax", nodes("Neg", ways), axes=[1], keepdims=0))
    kernel = nodes("Mul", nodes("Mul", shortest, shortest), nodes.number(-0.5))
    nodes.single(_projected(nodes, kernel, model.kernel_pca_), output=operator.outputs[0].full_name)


def _label_propagation(scope: Scope, operator: Operator, container: Container) -> None:
    model, nodes = operator.raw_operator, Nodes(scope, container)
    rows = nodes.double(operator.inputs[0].full_name)
    distances = nodes.square_distances(rows, model.X_)
    if model.kernel == "rbf":
        weights = nodes("Exp", nodes("Mul", distances, nodes.number(-model.gamma)))
        votes = nodes("MatMul", weights, nodes.number(model.label_distributions_))
    elif model.kernel == "knn":
        count = nodes.constant(np.array([model.n_neighbors]))
        _, nearest = nodes.several("TopK", distances, count, outputs=2, axis=1, largest=0, sorted=1)
        votes = nodes.total(nodes("Gather", nodes.number(model.label_distributions_), nearest), 1, keepdims=0)
    else:
        raise _foreign(model, model.kernel)
    label, scores = (output.full_name for output in operator.outputs)
    shares = nodes("Div", votes, nodes.total(votes, 1))
    nodes.single(shares, output=scores)
    nodes.label(shares, model.classes_, output=label)


def _kernel(nodes: Nodes, operator: Any, model: Any, points: np.ndarray, gamma: float | None = None) -> str:
    """Float64 ``[batch, points]``, by scikit-learn's formulas."""
    rows, points = nodes.double(operator.inputs[0].full_name), np.asarray(points, dtype=np.float64)
    options = {"gamma": model.gamma if gamma is None else gamma, "coef0": model.coef0, "degree": model.degree}
    options.update(getattr(model, "kernel_params", None) or {})
    usual = 1.0 / points.shape[1]
    gamma = usual if options["gamma"] is None else options["gamma"]
    coef0 = 1.0 if options["coef0"] is None else options["coef0"]
    degree = 3.0 if options["degree"] is None else options["degree"]
    products = nodes("MatMul", rows, nodes.number(points.T))
    if model.kernel == "linear":
        return products
    if model.kernel == "rbf":
        return nodes("Exp", nodes("Mul", nodes.square_distances(rows, points), nodes.number(-gamma)))
    if model.kernel in {"laplacian", "chi2", "additive_chi2"}:
        return _sum_over_features(nodes, model.kernel, rows, points, 1.0 if options["gamma"] is None else gamma, usual)
    if model.kernel == "cosine":
        lengths = np.sqrt(np.square(points).sum(axis=1))
        own = nodes("Sqrt", nodes.total(nodes("Mul", rows, rows), 1))
        zero = nodes("Equal", own, nodes.number(0.0))
        own = nodes("Add", own, nodes("Cast", zero, to=DOUBLE))
        return nodes("Div", nodes("Div", products, nodes.number(np.where(lengths == 0, 1.0, lengths))), own)
    if model.kernel in {"poly", "polynomial", "sigmoid"}:
        inner = nodes("Add", nodes("Mul", products, nodes.number(gamma)), nodes.number(coef0))
        if model.kernel != "sigmoid":
            return nodes("Pow", inner, nodes.number(degree))
        # onnxruntime has no Tanh for float64 that holds on all CPUs.
        double = nodes("Exp", nodes("Mul", nodes("Abs", inner), nodes.number(-2.0)))
        size = nodes("Div", nodes("Sub", nodes.number(1.0), double), nodes("Add", nodes.number(1.0), double))
        return nodes("Mul", nodes("Sign", inner), size)
    raise _foreign(model, model.kernel)


def _sum_over_features(nodes: Nodes, kind: str, rows: str, points: np.ndarray, gamma: float, usual: float) -> str:
    each = nodes("Unsqueeze", rows, nodes.constant(np.array([1])))
    points_each = nodes.number(points[None])
    offsets = nodes("Sub", each, points_each)
    if kind == "laplacian":
        total = nodes.total(nodes("Abs", offsets), 2, keepdims=0)
        return nodes("Exp", nodes("Mul", total, nodes.number(-(gamma if gamma != 1.0 else usual))))
    sums = nodes("Add", each, points_each)
    empty = nodes("Cast", nodes("Equal", sums, nodes.number(0.0)), to=DOUBLE)
    shares = nodes("Div", nodes("Mul", offsets, offsets), nodes("Add", sums, empty))
    total = nodes("Neg", nodes.total(shares, 2, keepdims=0))
    return total if kind == "additive_chi2" else nodes("Exp", nodes("Mul", total, nodes.number(gamma)))


def _foreign(model: Any, kernel: Any) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"The {type(model).__name__} has the kernel {kernel!r}, which ONNX cannot call.",
        fix="train it with a kernel that scikit-learn has a name for, other than 'precomputed'.",
    )
