"""Affine quantization in numpy: real numbers to a tensor's integers and back."""

import numpy as np

from edgeml.core.tensors import Quantization

__all__ = ["dequantize", "quantize"]


def quantize(values: np.ndarray, quantization: Quantization, dtype: str) -> np.ndarray:
    """Real numbers to the integers of a tensor: rounded to the nearest, clipped to the dtype's range."""
    limits = np.iinfo(dtype)
    with np.errstate(over="ignore", under="ignore"):  # what overflows is clipped
        steps = np.rint(values / np.float32(quantization.scale)) + quantization.zero_point
    return np.clip(steps, limits.min, limits.max).astype(dtype)


def dequantize(values: np.ndarray, quantization: Quantization) -> np.ndarray:
    """A tensor's integers to the real numbers that they stand for, as float32."""
    return (values.astype(np.float32) - np.float32(quantization.zero_point)) * np.float32(quantization.scale)
