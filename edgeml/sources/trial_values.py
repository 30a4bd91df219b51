"""Seeded inputs of trial runs, and comparison of their outputs."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

__all__ = ["are_close", "trial_input"]


def trial_input(
    name: str, shape: Sequence[int], dtype: str, seed: int, *, least: int = 0, is_quantized: bool = False
) -> np.ndarray:
    """Return random values for an input: normal floats, whole numbers from `least` to 1, or two texts.

    Args:
        name: Name of the input, which seeds its values too.
        shape: Shape of the array.
        dtype: Its dtype, or ``string``.
        seed: Seed of the values.
        least: The least whole number.
        is_quantized: Whether integers stand for reals: then all of the dtype occur.
    """
    rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
    if dtype == "string":
        return np.asarray(rng.choice(["a", "b"], shape), dtype=object)
    if dtype.startswith("float"):
        return np.asarray(rng.standard_normal(shape)).astype(dtype)
    if is_quantized:
        limits = np.iinfo(dtype)
        return np.asarray(rng.integers(limits.min, limits.max, shape, dtype=dtype, endpoint=True))
    return np.asarray(rng.integers(least, 2, shape)).astype(dtype)


def are_close(first: np.ndarray, second: np.ndarray, tolerance: float) -> bool:
    """Return whether outputs are equal, floats up to a share of their largest value."""
    if first.dtype.kind != "f":
        return bool(np.all(first == second))
    limit = tolerance * float(np.nan_to_num(np.abs(first), posinf=0.0).max(initial=0.0))
    return np.allclose(first, second, rtol=0.0, atol=limit, equal_nan=True)
