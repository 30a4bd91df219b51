"""Gaussian process classifiers as ONNX, in float64, as their probabilities are differences of large numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError

from ._builder import DOUBLE, Container, GraphBuilder, Operator, Scope
from .gaussian_process_kernels import diagonal, kernel

__all__ = ["gaussian_process_converters"]

_ERF_TERMS = 32  # of a Chebyshev series; the last ones are below float64 precision


def gaussian_process_converters() -> dict[type, Any]:
    """Return the skl2onnx conversion functions by estimator class."""
    from sklearn.gaussian_process import GaussianProcessClassifier

    return {GaussianProcessClassifier: _classifier}


def _classifier(scope: Scope, operator: Operator, container: Container) -> None:
    model, graph = operator.raw_operator, GraphBuilder(scope, container)
    rows = graph.double(operator.inputs[0].full_name)
    label, scores = (output.full_name for output in operator.outputs)
    unity = graph.number(1.0)
    if model.n_classes_ == 2:
        latent, second = _binary_probability(graph, rows, model.base_estimator_)
        graph.single(graph("Concat", graph("Sub", unity, second), second, axis=1), output=scores)
        above = graph("Cast", graph("Greater", latent, graph.number(0.0)), to=DOUBLE)
        graph.label(graph("Concat", graph("Sub", unity, above), above, axis=1), model.classes_, output=label)
        return
    if model.multi_class != "one_vs_rest":
        raise UnsupportedModelError(
            "GaussianProcessClassifier: multi_class='one_vs_one' does not have scores.",
            fix="train it with multi_class='one_vs_rest'.",
        )
    parts = [_binary_probability(graph, rows, inner)[1] for inner in model.base_estimator_.estimators_]
    table = graph("Concat", *parts, axis=1)
    graph.single(graph("Div", table, graph.reduce_sum(table, 1)), output=scores)
    graph.label(table, model.classes_, output=label)


def _binary_probability(graph: GraphBuilder, rows: str, model: Any) -> tuple[str, str]:
    """Return the latent mean and the probability of the second class, float64 ``[batch, 1]``.

    Rasmussen and Williams, algorithm 3.2. Like in scikit-learn, the logistic function is approximated by a sum of five
    error functions (Williams and Barber).
    """
    from sklearn.gaussian_process import _gpc

    covariance = kernel(graph, model.kernel_, rows, model.X_train_)
    latent = graph("MatMul", covariance, graph.number((model.y_train_ - model.pi_)[:, None]))
    inverse = np.linalg.inv(model.L_) * model.W_sr_
    explained = graph("MatMul", covariance, graph.number(inverse.T))
    prior_variance = diagonal(graph, model.kernel_, rows)
    variance = graph("Sub", prior_variance, graph.reduce_sum(graph("Mul", explained, explained), 1))
    steepness = graph.number(_gpc.LAMBDAS.T)
    alpha = graph("Div", graph.number(0.5), variance)
    ratio = graph("Sqrt", graph("Div", alpha, graph("Add", alpha, graph.number(np.square(_gpc.LAMBDAS.T)))))
    errors = _erf(graph, graph("Mul", graph("Mul", latent, steepness), ratio))
    # The factor before the error functions, sqrt(pi / alpha) / (2 sqrt(2 pi variance)), is 0.5.
    weights = 0.5 * _gpc.COEFS
    return latent, graph("Add", graph("MatMul", errors, graph.number(weights)), graph.number(weights.sum()))


def _erf(graph: GraphBuilder, values: str) -> str:
    """Compute the error function in float64; onnxruntime's Erf supports float32 only.

    For |x|, 1 − erf is exp(−x²) times a series in t = 2 / (2 + |x|) (Numerical Recipes, 6.2.2).
    """
    from numpy.polynomial.chebyshev import Chebyshev
    from scipy.special import erfcx

    def scaled(position: np.ndarray) -> np.ndarray:
        share = np.maximum((position + 1) / 2, np.finfo(np.float64).tiny)
        return np.asarray(erfcx(2 / share - 2)) / share

    series = Chebyshev.interpolate(scaled, _ERF_TERMS).coef
    two = graph.number(2.0)
    size = graph("Abs", values)
    share = graph("Div", two, graph("Add", size, two))
    position = graph("Sub", graph("Mul", share, two), graph.number(1.0))
    twice_position, later, last = graph("Mul", position, two), graph.number(0.0), graph.number(0.0)
    for coefficient in series[:0:-1]:  # Clenshaw
        step = graph("Add", graph("Sub", graph("Mul", twice_position, last), later), graph.number(coefficient))
        later, last = last, step
    total = graph("Add", graph("Sub", graph("Mul", position, last), later), graph.number(series[0]))
    decay = graph("Exp", graph("Neg", graph("Mul", size, size)))
    complement = graph("Mul", graph("Mul", total, share), decay)
    return graph("Mul", graph("Sign", values), graph("Sub", graph.number(1.0), complement))
