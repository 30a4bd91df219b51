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

__all__ = ["Filler", "filler", "into_real", "reader", "real", "stored"]

Filler = Callable[[np.ndarray], bool]
"""A function that puts float32 values in one row into an engine's memory, and tells whether it did."""

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


def filler(place: np.ndarray, spec: TensorSpec) -> Filler:
    """What puts float32 values into an engine's memory, bit for bit as `stored` gives them.

    Args:
        place: The memory, ``[batch, ...]``.
        spec: The artifact's tensor.

    Returns:
        From values in one row ``[batch * ...]`` to whether they were put there: not those that hold NaN, infinity or a
        number whose square overflows, or that the tensor's dtype has not. Then the memory holds anything.
    """
    encoding, quantization = spec.encoding, spec.quantization
    if quantization is None and encoding is None:
        return _plain(place) if spec.dtype == "float32" else _cast(place)
    if quantization is not None and not isinstance(encoding, Binning) and _stays_finite(encoding, quantization):
        quantized = _quantized(place, quantization, spec.dtype)
        return quantized if encoding is None else _scaled(place, encoding, quantized)
    encode = encoder(encoding)

    def fill(values: np.ndarray) -> bool:
        if not _has_squares(values):
            return False
        place[...] = stored(encode(values.reshape(place.shape)), spec)
        return True

    return fill


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


def _plain(place: np.ndarray) -> Filler:
    row, isfinite, vdot = place.reshape(-1), math.isfinite, np.vdot

    def fill_few(values: np.ndarray) -> bool:
        row[...] = values
        return isfinite(vdot(values, values))

    def fill(values: np.ndarray) -> bool:
        if not all_finite(values):
            return False
        row[...] = values
        return True

    return fill_few if row.size <= _FEW else fill


def _cast(place: np.ndarray) -> Filler:
    row, floats = place.reshape(-1), place.dtype.kind == "f"

    def fill(values: np.ndarray) -> bool:
        with np.errstate(all="ignore"):
            row[...] = values
        return bool(np.isfinite(row).all() if floats else (row == values).all())

    return fill


def _quantized(place: np.ndarray, quantization: Quantization, dtype: str) -> Filler:
    limits, row, scratch = np.iinfo(dtype), place.reshape(-1), np.empty(place.size, np.float32)
    lowest, highest = int(limits.min), int(limits.max)
    scale, zero, low, high = _scalars(quantization.scale, quantization.zero_point, lowest, highest)
    isfinite, vdot, divide, rint, add = math.isfinite, np.vdot, np.divide, np.rint, np.add
    maximum, minimum = np.maximum, np.minimum  # numpy.clip itself costs a microsecond more a call

    def fill_few(values: np.ndarray) -> bool:
        if not isfinite(vdot(values, values)):
            return False
        divide(values, scale, scratch)
        rint(scratch, scratch)
        add(scratch, zero, scratch)
        maximum(scratch, low, out=scratch)
        minimum(scratch, high, out=scratch)
        row[...] = scratch
        return True

    def fill(values: np.ndarray) -> bool:
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # NaN that signals is invalid
            divide(values, scale, scratch)
        rint(scratch, scratch)
        add(scratch, zero, scratch)
        # In place of clipping, where nothing is to be clipped.
        least, most = np.minimum.reduce(scratch), np.maximum.reduce(scratch)
        if not (least >= lowest and most <= highest):
            if not (isfinite(least) and isfinite(most)):
                return False
            maximum(scratch, low, out=scratch)
        minimum(scratch, high, out=scratch)
        row[...] = scratch
        return True

    return fill_few if place.size <= _FEW else fill


def _scaled(place: np.ndarray, scaling: Scaling, quantized: Filler) -> Filler:
    offset, width = np.array(scaling.offset, np.float32), np.array(scaling.scale, np.float32)
    scratch = np.empty(place.shape, np.float32)
    row = scratch.reshape(-1)

    def fill(values: np.ndarray) -> bool:
        if not _has_squares(values):
            return False
        np.subtract(values.reshape(scratch.shape), offset, scratch)
        np.divide(scratch, width, scratch)
        return quantized(row)

    return fill


def _has_squares(values: np.ndarray) -> bool:
    """Whether all numbers of a row and their squares are finite. Of numpy's products `vdot` alone never warns."""
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
