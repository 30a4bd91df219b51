"""Gaussian process classifiers as ONNX, in float64: their probabilities are differences of large numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError

from ._builder import DOUBLE, Container, Nodes, Operator, Scope
from .gaussian_process_kernels import diagonal, kernel

__all__ = ["gaussian_process_converters"]

_ERF_TERMS = 32  # of a Chebyshev series; the last are below the rounding of float64


def gaussian_process_converters() -> dict[type, Any]:
    """The conversion functions that skl2onnx is to use, by class of model."""
    from sklearn.gaussian_process import GaussianProcessClassifier

    return {GaussianProcessClassifier: _classifier}


def _classifier(scope: Scope, operator: Operator, container: Container) -> None:
    model, nodes = operator.raw_operator, Nodes(scope, container)
    rows = nodes.double(operator.inputs[0].full_name)
    label, scores = (output.full_name for output in operator.outputs)
    one = nodes.number(1.0)
    if model.n_classes_ == 2:
        latent, second = _binary(nodes, rows, model.base_estimator_)
        nodes.single(nodes("Concat", nodes("Sub", one, second), second, axis=1), output=scores)
        above = nodes("Cast", nodes("Greater", latent, nodes.number(0.0)), to=DOUBLE)
        nodes.label(nodes("Concat", nodes("Sub", one, above), above, axis=1), model.classes_, output=label)
        return
    if model.multi_class != "one_vs_rest":
        raise UnsupportedModelError(
            "A GaussianProcessClassifier of one class against another gives no scores.",
            fix="train it with multi_class='one_vs_rest'.",
        )
    parts = [_binary(nodes, rows, inner)[1] for inner in model.base_estimator_.estimators_]
    table = nodes("Concat", *parts, axis=1)
    nodes.single(nodes("Div", table, nodes.total(table, 1)), output=scores)
    nodes.label(table, model.classes_, output=label)


def _binary(nodes: Nodes, rows: str, model: Any) -> tuple[str, str]:
    """The latent mean and the probability of the second class, float64 ``[batch, 1]`` (Rasmussen, algorithm 3.2).

    The logistic function is a sum of five error functions there (Williams and Barber), as in scikit-learn.
    """
    from sklearn.gaussian_process import _gpc

    similar = kernel(nodes, model.kernel_, rows, model.X_train_)
    latent = nodes("MatMul", similar, nodes.number((model.y_train_ - model.pi_)[:, None]))
    inverse = np.linalg.inv(model.L_) * model.W_sr_
    spread = nodes("MatMul", similar, nodes.number(inverse.T))
    own = diagonal(nodes, model.kernel_, rows)
    variance = nodes("Sub", own, nodes.total(nodes("Mul", spread, spread), 1))
    steepness = nodes.number(_gpc.LAMBDAS.T)
    alpha = nodes("Div", nodes.number(0.5), variance)
    ratio = nodes("Sqrt", nodes("Div", alpha, nodes("Add", alpha, nodes.number(np.square(_gpc.LAMBDAS.T)))))
    errors = _erf(nodes, nodes("Mul", nodes("Mul", latent, steepness), ratio))
    # What stands before the error functions, sqrt(pi / alpha) / (2 sqrt(2 pi variance)), is a half.
    weights = 0.5 * _gpc.COEFS
    return latent, nodes("Add", nodes("MatMul", errors, nodes.number(weights)), nodes.number(weights.sum()))


def _erf(nodes: Nodes, values: str) -> str:
    """The error function in float64, which onnxruntime has in float32 alone.

    Of |x|, exp(−x²) times a series in t = 2 / (2 + |x|) is 1 − erf (Numerical Recipes, 6.2.2).
    """
    from numpy.polynomial.chebyshev import Chebyshev
    from scipy.special import erfcx

    def scaled(place: np.ndarray) -> np.ndarray:
        share = np.maximum((place + 1) / 2, np.finfo(np.float64).tiny)
        return np.asarray(erfcx(2 / share - 2)) / share

    series = Chebyshev.interpolate(scaled, _ERF_TERMS).coef
    two = nodes.number(2.0)
    size = nodes("Abs", values)
    share = nodes("Div", two, nodes("Add", size, two))
    place = nodes("Sub", nodes("Mul", share, two), nodes.number(1.0))
    double, later, last = nodes("Mul", place, two), nodes.number(0.0), nodes.number(0.0)
    for coefficient in series[:0:-1]:  # Clenshaw
        step = nodes("Add", nodes("Sub", nodes("Mul", double, last), later), nodes.number(coefficient))
        later, last = last, step
    total = nodes("Add", nodes("Sub", nodes("Mul", place, last), later), nodes.number(series[0]))
    fall = nodes("Exp", nodes("Neg", nodes("Mul", size, size)))
    rest = nodes("Mul", nodes("Mul", total, share), fall)
    return nodes("Mul", nodes("Sign", values), nodes("Sub", nodes.number(1.0), rest))
