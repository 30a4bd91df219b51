"""Kernels of scikit-learn's Gaussian processes as ONNX, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError

from ._builder import GraphBuilder

__all__ = ["diagonal", "kernel"]


def kernel(graph: GraphBuilder, shape: Any, rows: str, points: np.ndarray) -> str:
    """Compute the kernel between float64 rows and training points, ``[batch, points]``.

    Raises:
        UnsupportedModelError: A part of the kernel is not supported.
    """
    name = type(shape).__name__
    if name in {"Sum", "Product"}:
        parts = [kernel(graph, part, rows, points) for part in (shape.k1, shape.k2)]
        return graph("Add" if name == "Sum" else "Mul", *parts)
    if name == "Exponentiation":
        return graph("Pow", kernel(graph, shape.kernel, rows, points), graph.number(shape.exponent))
    if name == "ConstantKernel":
        return graph.number(np.full((1, len(points)), shape.constant_value))
    if name == "WhiteKernel":  # noise on training rows only
        return graph.number(np.zeros((1, len(points))))
    if name == "DotProduct":
        products = graph("MatMul", rows, graph.number(points.T))
        return graph("Add", products, graph.number(shape.sigma_0**2))
    if name in {"RBF", "Matern", "RationalQuadratic"}:
        scaled = graph("Div", rows, graph.number(shape.length_scale))
        squares = graph.square_distances(scaled, points / shape.length_scale)
        return _stationary_kernel(graph, shape, name, squares)
    raise UnsupportedModelError(
        f"The kernel {name} is not supported in ONNX.",
        fix="train the model with sums and products of RBF, Matern, RationalQuadratic, DotProduct, ConstantKernel and "
        "WhiteKernel.",
    )


def _stationary_kernel(graph: GraphBuilder, shape: Any, name: str, squares: str) -> str:
    if name == "RBF" or (name == "Matern" and shape.nu == np.inf):
        return graph("Exp", graph("Mul", squares, graph.number(-0.5)))
    unity = graph.number(1.0)
    if name == "RationalQuadratic":
        base = graph("Add", graph("Mul", squares, graph.number(0.5 / shape.alpha)), unity)
        return graph("Pow", base, graph.number(-shape.alpha))
    twice = 2 * shape.nu
    if twice not in {1, 3, 5}:
        raise UnsupportedModelError(
            f"Matern: nu={shape.nu:g}, which needs a Bessel function, is not supported in ONNX.",
            fix="train the model with nu=0.5, 1.5, 2.5 or infinity.",
        )
    scaled_distances = graph("Mul", graph("Sqrt", squares), graph.number(np.sqrt(twice)))
    factor = {1: lambda: unity, 3: lambda: graph("Add", scaled_distances, unity)}.get(
        twice,
        lambda: graph(
            "Add",
            graph("Add", scaled_distances, unity),
            graph("Div", graph("Mul", scaled_distances, scaled_distances), graph.number(3.0)),
        ),
    )()
    return graph("Mul", factor, graph("Exp", graph("Neg", scaled_distances)))


def diagonal(graph: GraphBuilder, shape: Any, rows: str) -> str:
    """Compute the kernel of each row with itself, float64 ``[batch, 1]`` or ``[1, 1]``."""
    name = type(shape).__name__
    if name in {"Sum", "Product"}:
        parts = [diagonal(graph, part, rows) for part in (shape.k1, shape.k2)]
        return graph("Add" if name == "Sum" else "Mul", *parts)
    if name == "Exponentiation":
        return graph("Pow", diagonal(graph, shape.kernel, rows), graph.number(shape.exponent))
    if name == "DotProduct":
        return graph("Add", graph.reduce_sum(graph("Mul", rows, rows), 1), graph.number(shape.sigma_0**2))
    value = {"ConstantKernel": "constant_value", "WhiteKernel": "noise_level"}.get(name)
    return graph.number([[getattr(shape, value) if value else 1.0]])
