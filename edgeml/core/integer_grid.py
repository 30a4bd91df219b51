"""Affine quantization in NumPy: real numbers to integers and back."""

from collections.abc import Sequence

import numpy as np

from edgeml.core.tensors import Quantization

__all__ = ["dequantize", "quantize", "requantize", "zeros"]


def quantize(values: np.ndarray, quantization: Quantization, dtype: str) -> np.ndarray:
    """Quantize real numbers: round to the nearest integer, clip to the range of the dtype."""
    limits = np.iinfo(dtype)
    with np.errstate(over="ignore", under="ignore"):  # overflowing values are clipped
        steps = np.rint(values / np.float32(quantization.scale)) + quantization.zero_point
    return np.clip(steps, limits.min, limits.max).astype(dtype)


def requantize(
    values: np.ndarray, quantization: Quantization | None, target: Quantization | None, dtype: str
) -> np.ndarray:
    """Convert numbers of one quantization to those of another; None stands for numbers that are not quantized."""
    if quantization == target:
        return values
    reals = values if quantization is None else dequantize(values, quantization)
    return reals.astype(dtype) if target is None else quantize(reals, target, dtype)


def zeros(shape: Sequence[int], quantization: Quantization | None, dtype: str) -> np.ndarray:
    """Return an array of integers, or of other numbers, that stand for 0."""
    return np.full(shape, 0 if quantization is None else quantization.zero_point, dtype)


def dequantize(values: np.ndarray, quantization: Quantization) -> np.ndarray:
    """Convert quantized integers to real numbers, as float32."""
    return (values.astype(np.float32) - np.float32(quantization.zero_point)) * np.float32(quantization.scale)
