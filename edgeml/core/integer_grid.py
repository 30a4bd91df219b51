"""Affine quantization in NumPy: real numbers to integers and back."""

import numpy as np

from edgeml.core.tensors import Quantization

__all__ = ["dequantize", "quantize"]


def quantize(values: np.ndarray, quantization: Quantization, dtype: str) -> np.ndarray:
    """Quantize real numbers: round to the nearest integer, clip to the range of the dtype."""
    limits = np.iinfo(dtype)
    with np.errstate(over="ignore", under="ignore"):  # overflowing values are clipped
        steps = np.rint(values / np.float32(quantization.scale)) + quantization.zero_point
    return np.clip(steps, limits.min, limits.max).astype(dtype)


def dequantize(values: np.ndarray, quantization: Quantization) -> np.ndarray:
    """Convert quantized integers to real numbers, as float32."""
    return (values.astype(np.float32) - np.float32(quantization.zero_point)) * np.float32(quantization.scale)
