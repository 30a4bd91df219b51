"""Random and explicit feature maps as ONNX, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._builder import DOUBLE, Container, Nodes, Operator, Scope

__all__ = ["random_feature_converters"]

# scikit-learn's own intervals where none is given, by the number of steps.
_INTERVALS = {1: 0.8, 2: 0.5, 3: 0.4}


def random_feature_converters() -> dict[type, Any]:
    """The conversion functions that skl2onnx is to use, by class of model."""
    from sklearn.kernel_approximation import AdditiveChi2Sampler, PolynomialCountSketch, RBFSampler, SkewedChi2Sampler
    from sklearn.neural_network import BernoulliRBM

    return {
        AdditiveChi2Sampler: _additive_chi2,
        BernoulliRBM: _boltzmann_machine,
        PolynomialCountSketch: _count_sketch,
        RBFSampler: _fourier,
        SkewedChi2Sampler: _skewed_chi2,
    }


def _fourier(scope: Scope, operator: Operator, container: Container) -> None:
    nodes = Nodes(scope, container)
    _cosines(nodes, operator, nodes.double(operator.inputs[0].full_name))


def _skewed_chi2(scope: Scope, operator: Operator, container: Container) -> None:
    nodes = Nodes(scope, container)
    rows = nodes("Add", nodes.double(operator.inputs[0].full_name), nodes.number(operator.raw_operator.skewedness))
    _cosines(nodes, operator, nodes("Log", rows))


def _cosines(nodes: Nodes, operator: Any, rows: str) -> None:
    model = operator.raw_operator
    angles = nodes("MatMul", rows, nodes.number(model.random_weights_))
    scaled = nodes(
        "Mul",
        _cosine(nodes, nodes("Add", angles, nodes.number(model.random_offset_))),
        nodes.number(np.sqrt(2.0 / model.n_components)),
    )
    nodes.single(scaled, output=operator.outputs[0].full_name)


def _cosine(nodes: Nodes, angles: str, *, sine: bool = False) -> str:
    """Of float64 angles, the whole turns taken off first: onnxruntime has float32 kernels alone for these."""
    turn = nodes.number(2 * np.pi)
    turns = nodes("Round", nodes("Div", angles, turn))
    rest = nodes("Sub", angles, nodes("Mul", turns, turn))
    return nodes.double(nodes("Sin" if sine else "Cos", nodes.single(rest)))


def _additive_chi2(scope: Scope, operator: Operator, container: Container) -> None:
    model, nodes = operator.raw_operator, Nodes(scope, container)
    interval = _INTERVALS[model.sample_steps] if model.sample_interval is None else model.sample_interval
    rows = nodes.double(operator.inputs[0].full_name)
    empty = nodes("Cast", nodes("Equal", rows, nodes.number(0.0)), to=DOUBLE)
    angles = nodes("Mul", nodes("Log", nodes("Add", rows, empty)), nodes.number(interval))
    made = [nodes("Sqrt", nodes("Mul", rows, nodes.number(interval)))]
    for step in range(1, model.sample_steps):
        share = 2 * interval / np.cosh(np.pi * step * interval)
        size = nodes("Sqrt", nodes("Mul", rows, nodes.number(share)))
        angle = nodes("Mul", angles, nodes.number(float(step)))
        made += [nodes("Mul", size, _cosine(nodes, angle)), nodes("Mul", size, _cosine(nodes, angle, sine=True))]
    nodes.single(nodes("Concat", *made, axis=1), output=operator.outputs[0].full_name)


def _count_sketch(scope: Scope, operator: Operator, container: Container) -> None:
    """Products of count sketches in the frequency domain, where the Fourier transforms are matrices."""
    model, nodes = operator.raw_operator, Nodes(scope, container)
    count, width = model.n_components, model.n_features_in_
    rows = nodes.double(operator.inputs[0].full_name)
    frequencies = np.exp(-2j * np.pi * np.outer(np.arange(count), np.arange(count)) / count)
    real = imaginary = ""
    for places, signs in zip(model.indexHash_, model.bitHash_, strict=True):
        sketch = np.zeros((len(places), count))
        sketch[np.arange(len(places)), places] = signs
        transformed = sketch @ frequencies
        transformed[:width] *= np.sqrt(model.gamma)
        parts = []
        for part in (transformed.real, transformed.imag):
            product = nodes("MatMul", rows, nodes.number(part[:width]))
            constant = np.sqrt(model.coef0) * part[width:].sum(axis=0)
            parts.append(nodes("Add", product, nodes.number(constant)))
        if not real:
            real, imaginary = parts
            continue
        real, imaginary = (
            nodes("Sub", nodes("Mul", real, parts[0]), nodes("Mul", imaginary, parts[1])),
            nodes("Add", nodes("Mul", real, parts[1]), nodes("Mul", imaginary, parts[0])),
        )
    back = frequencies.conj() / count
    values = nodes(
        "Sub", nodes("MatMul", real, nodes.number(back.real)), nodes("MatMul", imaginary, nodes.number(back.imag))
    )
    nodes.single(values, output=operator.outputs[0].full_name)


def _boltzmann_machine(scope: Scope, operator: Operator, container: Container) -> None:
    model, nodes = operator.raw_operator, Nodes(scope, container)
    rows = nodes.double(operator.inputs[0].full_name)
    field = nodes(
        "Add", nodes("MatMul", rows, nodes.number(model.components_.T)), nodes.number(model.intercept_hidden_)
    )
    nodes.single(nodes("Sigmoid", field), output=operator.outputs[0].full_name)
