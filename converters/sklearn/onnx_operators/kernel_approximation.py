"""Random and explicit feature maps as ONNX, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._builder import DOUBLE, Container, GraphBuilder, Operator, Scope

__all__ = ["random_feature_converters"]

# scikit-learn's default intervals, by the number of steps.
_INTERVALS = {1: 0.8, 2: 0.5, 3: 0.4}


def random_feature_converters() -> dict[type, Any]:
    """Return the skl2onnx conversion functions by estimator class."""
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
    graph = GraphBuilder(scope, container)
    _cosines(graph, operator, graph.double(operator.inputs[0].full_name))


def _skewed_chi2(scope: Scope, operator: Operator, container: Container) -> None:
    graph = GraphBuilder(scope, container)
    rows = graph("Add", graph.double(operator.inputs[0].full_name), graph.number(operator.raw_operator.skewedness))
    _cosines(graph, operator, graph("Log", rows))


def _cosines(graph: GraphBuilder, operator: Any, rows: str) -> None:
    model = operator.raw_operator
    angles = graph("MatMul", rows, graph.number(model.random_weights_))
    scaled = graph(
        "Mul",
        _cosine_or_sine(graph, graph("Add", angles, graph.number(model.random_offset_))),
        graph.number(np.sqrt(2.0 / model.n_components)),
    )
    graph.single(scaled, output=operator.outputs[0].full_name)


def _cosine_or_sine(graph: GraphBuilder, angles: str, *, sine: bool = False) -> str:
    """Compute the cosine or sine of float64 angles, reduced to one turn: onnxruntime computes both in float32."""
    turn = graph.number(2 * np.pi)
    turns = graph("Round", graph("Div", angles, turn))
    remainder = graph("Sub", angles, graph("Mul", turns, turn))
    return graph.double(graph("Sin" if sine else "Cos", graph.single(remainder)))


def _additive_chi2(scope: Scope, operator: Operator, container: Container) -> None:
    model, graph = operator.raw_operator, GraphBuilder(scope, container)
    interval = _INTERVALS[model.sample_steps] if model.sample_interval is None else model.sample_interval
    rows = graph.double(operator.inputs[0].full_name)
    is_zero = graph("Cast", graph("Equal", rows, graph.number(0.0)), to=DOUBLE)
    angles = graph("Mul", graph("Log", graph("Add", rows, is_zero)), graph.number(interval))
    features = [graph("Sqrt", graph("Mul", rows, graph.number(interval)))]
    for step in range(1, model.sample_steps):
        weight = 2 * interval / np.cosh(np.pi * step * interval)
        size = graph("Sqrt", graph("Mul", rows, graph.number(weight)))
        angle = graph("Mul", angles, graph.number(float(step)))
        features += [
            graph("Mul", size, _cosine_or_sine(graph, angle)),
            graph("Mul", size, _cosine_or_sine(graph, angle, sine=True)),
        ]
    graph.single(graph("Concat", *features, axis=1), output=operator.outputs[0].full_name)


def _count_sketch(scope: Scope, operator: Operator, container: Container) -> None:
    """Multiply count sketches in the frequency domain, with Fourier transforms as matrix products."""
    model, graph = operator.raw_operator, GraphBuilder(scope, container)
    count, width = model.n_components, model.n_features_in_
    rows = graph.double(operator.inputs[0].full_name)
    frequencies = np.exp(-2j * np.pi * np.outer(np.arange(count), np.arange(count)) / count)
    real = imaginary = ""
    for places, signs in zip(model.indexHash_, model.bitHash_, strict=True):
        sketch = np.zeros((len(places), count))
        sketch[np.arange(len(places)), places] = signs
        transformed = sketch @ frequencies
        transformed[:width] *= np.sqrt(model.gamma)
        parts = []
        for part in (transformed.real, transformed.imag):
            product = graph("MatMul", rows, graph.number(part[:width]))
            constant = np.sqrt(model.coef0) * part[width:].sum(axis=0)
            parts.append(graph("Add", product, graph.number(constant)))
        if not real:
            real, imaginary = parts
            continue
        real, imaginary = (
            graph("Sub", graph("Mul", real, parts[0]), graph("Mul", imaginary, parts[1])),
            graph("Add", graph("Mul", real, parts[1]), graph("Mul", imaginary, parts[0])),
        )
    inverse = frequencies.conj() / count
    values = graph(
        "Sub", graph("MatMul", real, graph.number(inverse.real)), graph("MatMul", imaginary, graph.number(inverse.imag))
    )
    graph.single(values, output=operator.outputs[0].full_name)


def _boltzmann_machine(scope: Scope, operator: Operator, container: Container) -> None:
    model, graph = operator.raw_operator, GraphBuilder(scope, container)
    rows = graph.double(operator.inputs[0].full_name)
    activations = graph(
        "Add", graph("MatMul", rows, graph.number(model.components_.T)), graph.number(model.intercept_hidden_)
    )
    graph.single(graph("Sigmoid", activations), output=operator.outputs[0].full_name)
