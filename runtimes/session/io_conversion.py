"""From the source's numbers to an engine's memory, and back."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np

from edgeml.core.caller_inputs import all_finite
from edgeml.core.decisions import DECIDED
from edgeml.core.encoding import Binning, Scaling, encoder
from edgeml.core.integer_grid import dequantize, quantize
from edgeml.core.tensors import Quantization, TensorSpec

__all__ = ["Converter", "converter", "into_real", "reader", "real", "rows_at_once", "stored"]

Converter = Callable[[np.ndarray], np.ndarray | None]
"""A function from float32 values ``[values]`` to the engine's numbers ``[values]``, valid until the next call; None
where the values must be checked."""

_FEW = 8192  # numbers of which one product tells whether all are finite: of 10,000 OpenBLAS wakes its threads
_MOST = 1e19
_LEAST_SCALE = 1e-15


def stored(values: np.ndarray, spec: TensorSpec) -> np.ndarray:
    """Encoded values in the artifact's dtype."""
    if spec.quantization is not None:
        return quantize(values, spec.quantization, spec.dtype)
    return values if spec.dtype == "string" else values.astype(spec.dtype, copy=False)


def real(values: np.ndarray, spec: TensorSpec) -> np.ndarray:
    """An output in the source's units: float32, or as it is where it gives labels."""
    if spec.meaning in DECIDED:
        return values
    if spec.quantization is not None:
        return dequantize(values, spec.quantization)
    return values.astype(np.float32, copy=False)


def converter(spec: TensorSpec, shape: tuple[int, ...]) -> Converter:
    """Return a function that converts float32 values as `stored` does, bit for bit.

    It returns None for NaN, infinity, a number whose square overflows, and one that the tensor's dtype does not have.

    Args:
        spec: The artifact's tensor.
        shape: Its shape as the engine holds it, ``[batch, ...]``. The function converts arrays of as many values, and
            `rows_at_once` samples or fewer.
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
        return stored(encode(values.reshape(-1, *shape[1:])), spec).reshape(-1)

    return convert


def rows_at_once(size: int) -> int:
    """How many samples of so many values a converter takes at a time."""
    return max(1, _FEW // max(1, size))


def reader(place: np.ndarray, spec: TensorSpec) -> Callable[[], np.ndarray]:
    """What takes an output from an engine's memory, bit for bit as `real` gives it."""
    convert = into_real(spec, place.dtype)
    return place.copy if convert is None else partial(convert, place)


def into_real(spec: TensorSpec, dtype: np.dtype) -> Callable[[np.ndarray], np.ndarray] | None:
    """What makes new arrays of an output in the source's units, bit for bit as `real`; None where it is in them."""
    quantization: Quantization | None = spec.quantization
    float32 = np.dtype(np.float32)
    if spec.meaning in DECIDED or (quantization is None and dtype == float32):
        return None
    if quantization is None:
        return lambda values: values.astype(float32)
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
        # In place of clipping, where nothing is to be clipped.
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
    """Whether all numbers of a row and their squares are finite. Of numpy's products `vdot` alone never warns."""
    if values.size <= _FEW:
        return math.isfinite(np.vdot(values, values))
    parts = [values[begin : begin + _FEW] for begin in range(0, len(values), _FEW)]
    return all(math.isfinite(np.vdot(part, part)) for part in parts)


def _stays_finite(scaling: Scaling | None, quantization: Quantization) -> bool:
    """Whether numbers up to 1.8e19, whose squares are finite in float32, overflow nowhere on the way to integers."""
    if scaling is None:
        return quantization.scale >= _LEAST_SCALE
    widest = max(map(abs, scaling.offset), default=0.0)
    return min(1.0, min(scaling.scale, default=1.0)) * min(1.0, quantization.scale) >= _LEAST_SCALE and widest <= _MOST


def _scalars(*values: float) -> list[np.ndarray]:
    """Arrays without axes, which ufuncs take faster than scalars."""
    return [np.array(value, np.float32) for value in values]
