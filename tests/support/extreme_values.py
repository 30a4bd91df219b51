"""Operators, and the values at which their conversions once went wrong: extremes, zeros, ties and negative integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["FLOATS", "INTEGERS", "ROWS", "Operators", "float_operators", "integer_operators", "row_operators"]

# LiteRT's logistic function gives NaN beyond 1e28, its sine beyond some 1e8 nonsense: such numbers stay out.
_SIZES = [1e-30, 1e-8, 1e-4, 0.1, 0.3, 0.5, 1, 1.5, 2.5, 3.5, 6, 9, 16, 20, 50, 87, 88, 89, 100, 120, 1e3, 1e4, 1e9]
FLOATS = np.array([[0.0], [-0.0], *([sign * size] for size in _SIZES for sign in (1, -1)), [1e20], [-1e20]], np.float32)
INTEGERS = np.array(
    [[n] for n in (0, 1, -1, 2, -2, 6, -6, 7, -7, 8, -8, 13, -13, 127, -128, 1000, -1001, 65537, -65537, 2**24)],
    np.float32,
)
ROWS = np.array(
    [
        np.zeros(8),
        np.full(8, 3.0),
        np.full(8, -3.0),
        np.full(8, 1e-30),
        np.full(8, 1e18),
        [1, 5, 5, 2, 5, 1, 0, 5],
        [-1, -5, -5, -2, -5, -1, -1, -1],
        [1e4, -1e4, 1, 0, 1e4, 2, 3, 4],
        [88, 89, 100, 0, 1, 2, 3, 4],
        [-88, -89, -100, -120, -90, -92, -93, -94],
        [-1e9, -1e9, 1, 0, -1e9, 2, 3, -1e9],
        np.arange(8),
        -np.arange(8),
    ],
    np.float32,
)

Operators = dict[str, Callable[[Any], Any]]
"""Functions of a Keras tensor, by name."""


def float_operators(keras: Any) -> Operators:
    """Functions of numbers ``[samples, 1]``."""
    ops, activations = keras.ops, keras.activations
    names = (
        "relu leaky_relu relu6 softplus softsign tanh sigmoid silu elu selu celu hard_sigmoid "
        "hard_tanh hard_shrink soft_shrink tanh_shrink sparse_plus sparse_sigmoid log_sigmoid exponential"
    )
    functions = "exp expm1 sqrt square abs sign floor ceil trunc round reciprocal"
    return {
        **{name: getattr(activations, name) for name in names.split()},
        **{name: getattr(ops, name) for name in functions.split()},
        "mish": keras.layers.Activation("mish"),
        "hard_silu": keras.layers.Activation("hard_silu"),
        "gelu": lambda x: activations.gelu(0.75 * x),  # TFLite has it only where nothing else reads -x
        "gelu_tanh": lambda x: ops.gelu(x, approximate=True),
        "log1p": lambda x: ops.log1p(ops.relu(x)),
        "logaddexp": lambda x: ops.logaddexp(x, ops.zeros_like(x)),
        "log": lambda x: ops.log(ops.abs(x) + 1e-20),
        "rsqrt": lambda x: ops.minimum(ops.rsqrt(ops.abs(x)), 1e6),
        "power": lambda x: ops.power(ops.clip(x, -1e9, 1e9), 3.0),
        "to_int": lambda x: ops.cast(ops.clip(x, -2e9, 2e9), "int32"),
        "to_bool": lambda x: ops.cast(x, "bool"),
        "clip": lambda x: ops.clip(x, -1.5, 2.5),
        "mod": lambda x: ops.mod(x, 3.0),
        "mod_negative": lambda x: ops.mod(x, -3.0),
        "floor_divide": lambda x: ops.floor_divide(x, 3.0),
        "divide_tiny": lambda x: x / 1e-15,
        "guarded": lambda x: ops.where(ops.abs(x) < 50, ops.exp(x), 0.0),
        "one_hot": lambda x: ops.one_hot(ops.cast(ops.clip(x, -3, 5), "int32"), 4),
        "sin": lambda x: ops.sin(ops.clip(x, -1e4, 1e4)),
        "arctan2": lambda x: ops.arctan2(x, ops.abs(x) + 1),
    }


def integer_operators(keras: Any) -> Operators:
    """Functions of whole numbers ``[samples, 1]``."""
    ops = keras.ops
    return {
        "mod": lambda n: ops.mod(n, 7),
        "mod_negative": lambda n: ops.mod(n, -7),
        "floor_divide": lambda n: ops.floor_divide(n, 7),
        "floor_divide_negative": lambda n: ops.floor_divide(n, -7),
        "divide": lambda n: ops.divide(n, 7),
        "absolute": ops.abs,
        "shift": lambda n: ops.right_shift(n, 2),
        "one_hot": lambda n: ops.one_hot(n, 8),
        "maximum": lambda n: ops.maximum(n, -3),
        "clip": lambda n: ops.clip(n, -5, 5),
        "equal": lambda n: ops.equal(n, 7),
    }


def row_operators(keras: Any) -> Operators:
    """Functions of vectors ``[samples, 8]``."""
    ops, layers = keras.ops, keras.layers
    ends = {"axis": -1, "keepdims": True}
    divisors = np.array([1, 2, 3, 5, 7, 9, 11, 13], np.float32)
    return {
        "softmax": keras.activations.softmax,
        "log_softmax": keras.activations.log_softmax,
        "logsumexp": lambda x: ops.logsumexp(x, **ends),
        "normalize": lambda x: ops.normalize(x, axis=-1),
        "unit": layers.UnitNormalization(),
        "layer_norm": layers.LayerNormalization(),
        "min_max": lambda x: (x - ops.min(x, **ends)) / (ops.max(x, **ends) - ops.min(x, **ends) + 1e-7),
        "cumsum": lambda x: ops.cumsum(ops.clip(x, -1e4, 1e4), axis=-1),
        "top_k": lambda x: ops.top_k(x, 3)[1],
        "max_pool": lambda x: layers.MaxPool1D(3, 2, padding="same")(ops.expand_dims(x, -1)),
        "average_pool": lambda x: layers.AveragePooling1D(3, 2, padding="same")(ops.expand_dims(x, -1)),
        "resized": lambda x: ops.image.resize(ops.reshape(x, (-1, 2, 4, 1)), (3, 5)),
        "floor_of_multiples": lambda x: ops.floor(ops.round(x) * divisors / divisors),
        "multiples": lambda x: ops.cast(ops.round(ops.clip(x, 0, 1e4)) * divisors / divisors, "int32"),
        "ceil_of_multiples": lambda x: ops.ceil(ops.round(x) * divisors / divisors),
    }
