"""Conversion of the source's numbers to an engine's dtypes, and back."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from edgeml.core.caller_inputs import all_finite
from edgeml.core.decisions import DECIDED
from edgeml.core.encoding import Binning, Scaling, encoder
from edgeml.core.integer_grid import dequantize, quantize
from edgeml.core.tensors import Quantization, TensorSpec, source_dtype

__all__ = [
    "Converter",
    "input_converter",
    "output_converter",
    "output_reader",
    "rows_at_once",
    "to_artifact",
    "to_source",
]

Converter = Callable[[np.ndarray], np.ndarray | None]
"""A function that converts float32 values ``[values]`` to the artifact's numbers ``[values]``. The
numbers are valid until the next call. The function returns None where the values must be validated first."""

_FEW = 8192  # above about 10,000 values OpenBLAS starts its thread pool, which costs more than the check
_MOST = 1e19
_LEAST_SCALE = 1e-15


def to_artifact(values: np.ndarray, spec: TensorSpec) -> np.ndarray:
    """Convert encoded values to the artifact's dtype."""
    if spec.quantization is not None:
        return quantize(values, spec.quantization, spec.dtype)
    return values if spec.dtype == "string" else values.astype(spec.dtype, copy=False)


def to_source(values: np.ndarray, spec: TensorSpec) -> np.ndarray:
    """Convert an output to the source's units: float32, or unchanged where the output gives integers or labels."""
    if spec.quantization is not None and spec.meaning not in DECIDED:
        return dequantize(values, spec.quantization)
    return values if spec.dtype == "string" else values.astype(source_dtype(spec), copy=False)


def input_converter(spec: TensorSpec, shape: tuple[int, ...]) -> Converter:
    """Return a function that converts float32 values exactly as `to_artifact` does.

    The function returns None for NaN, infinity, numbers whose square overflows, and numbers that the tensor's dtype
    cannot represent.

    Args:
        spec: The artifact's tensor.
        shape: Its shape in the engine, ``[batch, ...]``. The function converts arrays of that many values, or of up to
            `rows_at_once` samples.
    """
    encoding, quantization = spec.encoding, spec.quantization
    size = math.prod(shape)
    if quantization is None and encoding is None:
        return _plain(size) if spec.dtype == "float32" else _cast(np.dtype(spec.dtype))
    if quantization is not None and not isinstance(encoding, Binning) and _stays_finite(encoding, quantization):
        quantized = _quantized(size, quantization, spec.dtype)
        return quantized if encoding is None else _scaled(shape[1:], encoding, quantized)
    encode = encoder(encoding)

    def convert(values: np.ndarray) -> np.ndarray | None:
        if not _has_squares(values):
            return None
        return to_artifact(encode(values.reshape(-1, *shape[1:])), spec).reshape(-1)

    return convert


def rows_at_once(size: int) -> int:
    """Return the number of samples, of `size` values each, that a converter converts in one call."""
    return max(1, _FEW // max(1, size))


def output_reader(place: np.ndarray, spec: TensorSpec) -> Callable[[], np.ndarray]:
    """Return a function that copies an output from the engine's memory, exactly as `to_source` converts it."""
    convert = output_converter(spec, place.dtype)
    return place.copy if convert is None else partial(convert, place)


def output_converter(spec: TensorSpec, dtype: np.dtype) -> Callable[[np.ndarray], np.ndarray] | None:
    """Return a function that converts outputs exactly as `to_source` does; None where no conversion is needed."""
    quantization: Quantization | None = None if spec.meaning in DECIDED else spec.quantization
    float32, plain = np.dtype(np.float32), source_dtype(spec)
    if quantization is None:
        return None if spec.dtype == "string" or dtype == plain else lambda values: values.astype(plain)
    scale, zero = _scalars(quantization.scale, quantization.zero_point)

    def convert(values: np.ndarray) -> np.ndarray:
        reals = values.astype(float32)
        reals -= zero
        reals *= scale
        return reals

    return convert


def _plain(size: int) -> Converter:
    isfinite, vdot = math.isfinite, np.vdot

    def convert_few(values: np.ndarray) -> np.ndarray | None:
        return values if isfinite(vdot(values, values)) else None

    def convert(values: np.ndarray) -> np.ndarray | None:
        return values if all_finite(values) else None

    return convert_few if size <= _FEW else convert


def _cast(dtype: np.dtype) -> Converter:
    def convert(values: np.ndarray) -> np.ndarray | None:
        with np.errstate(all="ignore"):
            cast = values.astype(dtype)
        return cast if (np.isfinite(cast) if dtype.kind == "f" else cast == values).all() else None

    return convert


def _quantized(size: int, quantization: Quantization, dtype: str) -> Converter:
    limits = np.iinfo(dtype)
    lowest, highest = int(limits.min), int(limits.max)
    scale, zero, low, high = _scalars(quantization.scale, quantization.zero_point, lowest, highest)
    isfinite, vdot, divide, rint, add = math.isfinite, np.vdot, np.divide, np.rint, np.add
    maximum, minimum = np.maximum, np.minimum  # numpy.clip itself costs a microsecond more a call
    scratch = np.empty(size if size > _FEW else 0, np.float32)

    def convert_few(values: np.ndarray) -> np.ndarray | None:
        if not isfinite(vdot(values, values)):
            return None
        steps = divide(values, scale)
        rint(steps, steps)
        add(steps, zero, steps)
        maximum(steps, low, out=steps)
        return minimum(steps, high, out=steps)

    def convert(values: np.ndarray) -> np.ndarray | None:
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # NaN that signals is invalid
            divide(values, scale, scratch)
        rint(scratch, scratch)
        add(scratch, zero, scratch)
        # Clip only where a value is out of range.
        least, most = np.minimum.reduce(scratch), np.maximum.reduce(scratch)
        if not (least >= lowest and most <= highest):
            if not (isfinite(least) and isfinite(most)):
                return None
            maximum(scratch, low, out=scratch)
            minimum(scratch, high, out=scratch)
        return scratch

    return convert_few if size <= _FEW else convert


def _scaled(sample: tuple[int, ...], scaling: Scaling, quantized: Converter) -> Converter:
    offset, width = np.array(scaling.offset, np.float32), np.array(scaling.scale, np.float32)

    def convert(values: np.ndarray) -> np.ndarray | None:
        if not _has_squares(values):
            return None
        scaled = values.reshape(-1, *sample) - offset
        np.divide(scaled, width, scaled)
        return quantized(scaled.reshape(-1))

    return convert


def _has_squares(values: np.ndarray) -> bool:
    """Return whether all values of a row and their squares are finite. Only `vdot` of numpy's products never warns."""
    if values.size <= _FEW:
        return math.isfinite(np.vdot(values, values))
    parts = [values[begin : begin + _FEW] for begin in range(0, len(values), _FEW)]
    return all(math.isfinite(np.vdot(part, part)) for part in parts)


def _stays_finite(scaling: Scaling | None, quantization: Quantization) -> bool:
    """Return whether values up to 1.8e19, whose squares are finite in float32, are quantized without overflow."""
    if scaling is None:
        return quantization.scale >= _LEAST_SCALE
    widest = max(map(abs, scaling.offset), default=0.0)
    return min(1.0, min(scaling.scale, default=1.0)) * min(1.0, quantization.scale) >= _LEAST_SCALE and widest <= _MOST


def _scalars(*values: float) -> list[np.ndarray]:
    """Return 0-dimensional arrays, which are faster than scalars as arguments of ufuncs."""
    return [np.array(value, np.float32) for value in values]
