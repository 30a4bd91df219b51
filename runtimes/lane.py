"""From the source's numbers to an engine's and back, for one thread at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from edgeml.core.encoding import Binning, Scaling, encoder
from edgeml.core.tensors import DECIDED, Quantization, Signature, TensorSpec, all_finite, dequantize, quantize

from .handle import FreeHandle, Handle

try:  # the ufunc behind numpy.clip, which itself costs 1.4 µs more a call; numpy gives it no public name
    from numpy._core.umath import clip as _clip  # type: ignore[attr-defined]
except ImportError:  # before numpy 2
    from numpy.core.umath import clip as _clip  # type: ignore[no-redef, attr-defined, unused-ignore]

__all__ = ["Encoder", "Lane", "real", "stored"]

Encoder = Callable[[np.ndarray], np.ndarray]
_SHORT = 8192  # numbers of which the sum of squares is one product, as in `all_finite`
_LEAST_SCALE = 1e-15
_MOST = 1e19


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


class Lane:
    """A handle with what turns samples into its numbers.

    Args:
        handle: For the lane alone.
        unit: Samples that the handle takes at a time; None where it takes any number.
        signature: The artifact's.
        lone: Whether it serves single samples, and is given the means to do so fast.
    """

    __slots__ = ("_handle", "_unit", "single")

    def __init__(self, handle: Handle, unit: int | None, signature: Signature, *, lone: bool = False) -> None:
        self._handle = handle
        self._unit = unit
        self.single = _single(handle, signature) if lone and handle.outputs else None
        """From one float32 sample ``[1, ...]`` to the output; None where the sample is not plainly finite. None
        itself where the handle has no memory of fixed shape."""

    def __call__(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Answers of the caller's own to any number of samples, both in the artifact's dtypes."""
        handle, unit, count = self._handle, self._unit, len(values[0])
        if unit is None or count == unit:
            return handle(values)
        if isinstance(handle, FreeHandle):
            return self._by_calls(values, count, unit)
        outputs = [np.empty((count, *place.shape[1:]), place.dtype) for place in handle.outputs]
        run, whole = handle.run, count - count % unit
        takes, gives = list(zip(handle.inputs, values, strict=True)), list(zip(outputs, handle.outputs, strict=True))
        for begin in range(0, whole, unit):
            end = begin + unit
            for place, value in takes:
                place[...] = value[begin:end]
            run()
            for output, place in gives:
                output[begin:end] = place
        if whole < count:  # the last samples are followed by copies of the last
            for place, value in takes:
                place[: count - whole] = value[whole:]
                place[count - whole :] = value[-1:]
            run()
            for output, place in gives:
                output[whole:] = place[: count - whole]
        return outputs

    def _by_calls(self, values: Sequence[np.ndarray], count: int, unit: int) -> list[np.ndarray]:
        parts = []
        for begin in range(0, count, unit):
            some = [value[begin : begin + unit] for value in values]
            missing = unit - len(some[0])
            if missing:
                some = [np.concatenate([part, np.repeat(part[-1:], missing, axis=0)]) for part in some]
            parts.append([output[: unit - missing] for output in self._handle(some)])
        return [np.concatenate(column) for column in zip(*parts, strict=True)]


def _single(handle: Handle, signature: Signature) -> Callable[[np.ndarray], np.ndarray | None]:
    (takes,) = signature.inputs
    position, gives = next((i, spec) for i, spec in enumerate(signature.outputs) if spec.meaning not in DECIDED)
    fill, read = _fill(handle.inputs[0], takes), _read(handle.outputs[position], gives)
    run, isfinite, vdot, short = handle.run, math.isfinite, np.vdot, handle.inputs[0].size <= _SHORT

    def single(values: np.ndarray) -> np.ndarray | None:
        flat = values.ravel()
        if not (isfinite(vdot(flat, flat)) if short else all_finite(flat)):
            return None
        fill(values)
        run()
        return read()

    return single


def _fill(place: np.ndarray, spec: TensorSpec) -> Callable[[np.ndarray], None]:
    """What puts finite float32 values into an engine's memory: bit for bit as `stored` gives them."""
    encoding, quantization = spec.encoding, spec.quantization
    if quantization is None or isinstance(encoding, Binning) or not _stays_finite(encoding, quantization):
        encode = encoder(encoding)

        def fill(values: np.ndarray) -> None:
            place[...] = stored(encode(values), spec)

        def fill_float(values: np.ndarray) -> None:
            place[...] = values

        return fill_float if encoding is None and spec.dtype == "float32" else fill
    scratch, limits = np.empty(place.shape, np.float32), np.iinfo(spec.dtype)
    scale, zero, low, high = _scalars(quantization.scale, quantization.zero_point, int(limits.min), int(limits.max))
    subtract, divide, rint, add, clip = np.subtract, np.divide, np.rint, np.add, _clip

    def fill_quantized(values: np.ndarray) -> None:
        divide(values, scale, scratch)
        rint(scratch, scratch)
        add(scratch, zero, scratch)
        clip(scratch, low, high, scratch)
        place[...] = scratch

    if encoding is None:
        return fill_quantized
    offset, width = np.array(encoding.offset, np.float32), np.array(encoding.scale, np.float32)

    def fill_scaled(values: np.ndarray) -> None:
        subtract(values, offset, scratch)
        divide(scratch, width, scratch)
        fill_quantized(scratch)

    return fill_scaled


def _stays_finite(scaling: Scaling | None, quantization: Quantization) -> bool:
    """Whether numbers up to 1.8e19, whose squares are finite in float32, overflow nowhere on the way to integers."""
    if scaling is None:
        return quantization.scale >= _LEAST_SCALE
    widest = max(map(abs, scaling.offset), default=0.0)
    return min(1.0, min(scaling.scale, default=1.0)) * min(1.0, quantization.scale) >= _LEAST_SCALE and widest <= _MOST


def _read(place: np.ndarray, spec: TensorSpec) -> Callable[[], np.ndarray]:
    """What takes an output from an engine's memory: bit for bit as `real` gives it."""
    quantization: Quantization | None = spec.quantization
    if quantization is None:
        return place.copy if place.dtype == np.float32 else lambda: place.astype(np.float32)
    scale, zero = _scalars(quantization.scale, quantization.zero_point)
    float32 = np.dtype(np.float32)

    def read() -> np.ndarray:
        values = place.astype(float32)
        values -= zero
        values *= scale
        return values

    return read


def _scalars(*values: float) -> list[np.ndarray]:
    """Arrays without axes, which ufuncs take faster than scalars."""
    return [np.array(value, np.float32) for value in values]
