"""scikit-learn's kernels of Gaussian processes as ONNX, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError

from ._builder import Nodes

__all__ = ["diagonal", "kernel"]


def kernel(nodes: Nodes, shape: Any, rows: str, points: np.ndarray) -> str:
    """Between float64 rows and training points, ``[batch, points]``.

    Raises:
        UnsupportedModelError: There is no route for a part of the kernel.
    """
    name = type(shape).__name__
    if name in {"Sum", "Product"}:
        parts = [kernel(nodes, part, rows, points) for part in (shape.k1, shape.k2)]
        return nodes("Add" if name == "Sum" else "Mul", *parts)
    if name == "Exponentiation":
        return nodes("Pow", kernel(nodes, shape.kernel, rows, points), nodes.number(shape.exponent))
    if name == "ConstantKernel":
        return nodes.number(np.full((1, len(points)), shape.constant_value))
    if name == "WhiteKernel":  # noise of the training rows alone
        return nodes.number(np.zeros((1, len(points))))
    if name == "DotProduct":
        products = nodes("MatMul", rows, nodes.number(points.T))
        return nodes("Add", products, nodes.number(shape.sigma_0**2))
    if name in {"RBF", "Matern", "RationalQuadratic"}:
        scaled = nodes("Div", rows, nodes.number(shape.length_scale))
        squares = nodes.square_distances(scaled, points / shape.length_scale)
        return _of_squares(nodes, shape, name, squares)
    raise UnsupportedModelError(
        f"There is no route for the kernel {name}.",
        fix="train it with RBF, Matern, RationalQuadratic, DotProduct, constants, noise, and their sums and products.",
    )


def _of_squares(nodes: Nodes, shape: Any, name: str, squares: str) -> str:
    if name == "RBF" or (name == "Matern" and shape.nu == np.inf):
        return nodes("Exp", nodes("Mul", squares, nodes.number(-0.5)))
    one = nodes.number(1.0)
    if name == "RationalQuadratic":
        base = nodes("Add", nodes("Mul", squares, nodes.number(0.5 / shape.alpha)), one)
        return nodes("Pow", base, nodes.number(-shape.alpha))
    twice = 2 * shape.nu
    if twice not in {1, 3, 5}:
        raise UnsupportedModelError(
            f"A Matern kernel with nu={shape.nu:g} is a Bessel function.", fix="take nu 0.5, 1.5, 2.5 or infinity."
        )
    far = nodes("Mul", nodes("Sqrt", squares), nodes.number(np.sqrt(twice)))
    factor = {1: lambda: one, 3: lambda: nodes("Add", far, one)}.get(
        twice,
        lambda: nodes("Add", nodes("Add", far, one), nodes("Div", nodes("Mul", far, far), nodes.number(3.0))),
    )()
    return nodes("Mul", factor, nodes("Exp", nodes("Neg", far)))


def diagonal(nodes: Nodes, shape: Any, rows: str) -> str:
    """Of each row with itself, float64 ``[batch, 1]`` or ``[1, 1]``."""
    name = type(shape).__name__
    if name in {"Sum", "Product"}:
        parts = [diagonal(nodes, part, rows) for part in (shape.k1, shape.k2)]
        return nodes("Add" if name == "Sum" else "Mul", *parts)
    if name == "Exponentiation":
        return nodes("Pow", diagonal(nodes, shape.kernel, rows), nodes.number(shape.exponent))
    if name == "DotProduct":
        return nodes("Add", nodes.total(nodes("Mul", rows, rows), 1), nodes.number(shape.sigma_0**2))
    value = {"ConstantKernel": "constant_value", "WhiteKernel": "noise_level"}.get(name)
    return nodes.number([[getattr(shape, value) if value else 1.0]])
