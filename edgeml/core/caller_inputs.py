"""Check the arrays of a caller against a signature."""

import math
import numbers
from collections.abc import Mapping, Sequence

import numpy as np

from edgeml.core.errors import InputError
from edgeml.core.free_sizes import sizes_of
from edgeml.core.tensors import Signature, TensorSpec
from edgeml.core.texts import text_array

__all__ = ["all_finite", "arrays_by_input", "shaped_by_input", "values_of"]

_SHOWN = 10
_BLOCK = 2**18  # numbers at a time: a second pass finds them in a cache


def arrays_by_input(data: object, signature: Signature, what: str) -> dict[str, np.ndarray]:
    """Check a caller's samples and convert them to floats or text: `shaped_by_input`, then `values_of` each array.

    Args:
        data: One array ``[samples, ...]`` for a model with one input, or a mapping from input names; a column
            ``[samples]`` is accepted for an input ``[samples, 1]``.
        signature: The source's signature.
        what: Name of the data in messages, for instance ``calibration``.

    Returns:
        C-contiguous arrays ``[samples, ...]`` in the signature's order: float32, float64 if the input is float64, or
        text. A missing value is NaN among numbers and "" among text.

    Raises:
        InputError: The names or shapes differ from the signature's, numbers or text are expected and something else
            is there, a value is infinite or missing where the model needs one, or the inputs differ in their number
            of samples.
    """
    shaped = shaped_by_input(data, signature, what)
    return {spec.name: values_of(shaped[spec.name], spec, what) for spec in signature.inputs}


def shaped_by_input(data: object, signature: Signature, what: str) -> dict[str, np.ndarray]:
    """Check names, shapes and dtypes of a caller's samples, and leave the values as they are.

    Args:
        data: As for `arrays_by_input`; a memory map is not read.
        signature: The source's signature.
        what: Name of the data in messages.

    Returns:
        Arrays ``[samples, ...]`` of numbers in any dtype and layout, or of text.

    Raises:
        InputError: As `arrays_by_input`, except for the values, which `values_of` checks.
    """
    names = [spec.name for spec in signature.inputs]
    if isinstance(data, Mapping):
        by_name = dict(data)
    elif len(names) == 1:
        by_name = {names[0]: data}
    else:
        raise InputError(
            f"{what}: the model has {len(names)} inputs ({', '.join(names)}), got one array.",
            fix="give a mapping from input names to arrays.",
        )
    if sorted(map(str, by_name)) != sorted(names):
        raise InputError(
            f"{what}: got inputs {sorted(map(str, by_name))}, expected {sorted(names)}.", fix=_names_fix(names)
        )
    arrays = {spec.name: _shaped(by_name[spec.name], spec, what) for spec in signature.inputs}
    counts = {name: len(array) for name, array in arrays.items()}
    if len(set(counts.values())) > 1:
        raise InputError(f"{what}: the inputs have different numbers of samples: {counts}.")
    if any(spec.sizes for spec in signature.inputs):
        sizes_of(arrays, signature, what)  # which inputs share
    return arrays


def _names_fix(names: Sequence[str]) -> str:
    if len(names) == 1:
        return "in an .npz file name the arrays x (the inputs) and y (the labels); in Python give one array."
    return f"name the arrays {', '.join(names[:_SHOWN])}{', …' if len(names) > _SHOWN else ''}; the labels y."


def _shaped(data: object, spec: TensorSpec, what: str) -> np.ndarray:
    where = f"{what}, input '{spec.name}'"
    if hasattr(data, "filled") and np.ma.is_masked(data):  # without `filled` numpy.ma need not be loaded
        raise InputError(f"{where}: holds masked values.", fix="give an array without a mask: x.filled(...).")
    try:
        # Without a dtype numpy would convert numbers that are mixed with text to text.
        array = np.asarray(data, dtype=object if spec.dtype == "string" and not hasattr(data, "dtype") else None)
    except ValueError as error:
        raise InputError(f"{where}: expected a regular array, got parts of different shapes ({error}).") from error
    array = _texts(array, spec, where) if spec.dtype == "string" else _numbers(array, spec, where)
    if array.ndim == 1 and spec.shape == (None, 1):
        array = array[:, None]
    expected = "[samples, " + ", ".join(str(n or "any") for n in spec.named_shape[1:]) + "]"
    if not _fits(array.shape[1:], spec.shape[1:]) or not array.ndim:
        raise InputError(
            f"{where}: got shape {list(array.shape)}, expected {expected}.", fix=_shape_fix(array.shape, spec.shape)
        )
    return array


def _fits(sizes: Sequence[int], expected: Sequence[int | None]) -> bool:
    return len(sizes) == len(expected) and all(e is None or n == e for n, e in zip(sizes, expected, strict=True))


def _shape_fix(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> str:
    """Name the axis that is missing or misplaced, with the line of NumPy that corrects it; empty if none explains it.

    Args:
        shape: The shape of a caller's array.
        expected: Shape of the input, the samples first.
    """
    sample, count = expected[1:], len(shape)
    last, first = sample[-1:] == (1,), sample[:1] == (1,)  # an axis of one channel, NHWC or NCHW
    images = count == len(expected) > 3
    to_last, to_first = [0, *range(2, count), 1], [0, count - 1, *range(1, count - 1)]
    sizes = [n for n in sample if n is not None]
    flat = 1 < count != len(expected) and len(sizes) == len(sample) and math.prod(shape[1:]) == math.prod(sizes)
    reasons = (
        (_fits(shape, sample), "the axis of samples is missing; add it in front: x[None]."),
        (last and _fits(shape[1:], sample[:-1]), "the axis of channels is missing; add it at the end: x[..., None]."),
        (first and _fits(shape[1:], sample[1:]), "the axis of channels is missing; add it second: x[:, None]."),
        (last and _fits(shape, sample[:-1]), "the axes of samples and channels are missing: x[None, ..., None]."),
        (
            images and _fits((*shape[2:], shape[1]), sample),
            f"the channels come first (NCHW), expected last (NHWC): x.transpose({', '.join(map(str, to_last))}).",
        ),
        (
            images and _fits((shape[-1], *shape[1:-1]), sample),
            f"the channels come last (NHWC), expected first (NCHW): x.transpose({', '.join(map(str, to_first))}).",
        ),
        (flat, f"bring each sample into that shape: x.reshape(-1, {', '.join(map(str, sizes))})."),
    )
    return next((fix for holds, fix in reasons if holds), "")


def values_of(array: np.ndarray, spec: TensorSpec, what: str, *, first: int = 0) -> np.ndarray:
    """Convert samples to what an artifact's session accepts, and check that no value is infinite or wrongly missing.

    Args:
        array: An array of `shaped_by_input`, or some of its samples.
        spec: The input's spec.
        what: Name of the data in messages.
        first: Position of the first sample among all samples of the caller.

    Returns:
        A C-contiguous array of the same shape: float32; the input's own dtype if that is float16, float64 or an
        integer that is not quantized; or text.

    Raises:
        InputError: A sample holds an infinity, lacks a value that the model needs, or holds a number that the
            input's integer dtype cannot represent.
    """
    where = f"{what}, input '{spec.name}'"
    if spec.dtype == "string":
        _check_missing(np.asarray(array == ""), spec, where, "holds a missing text", first)
        return np.ascontiguousarray(array)
    own = np.dtype(spec.dtype if spec.quantization is None and spec.encoding is None else np.float32)
    with np.errstate(all="ignore"):  # overflow becomes an infinity, which is reported below
        original, array = array, np.ascontiguousarray(array, dtype=own)
    if own.kind != "f":
        _check_integers(original, array, where, first)
        return array
    if not all_finite(array):
        _check_missing(np.isnan(array), spec, where, "holds NaN or infinity", first)
        _raise_at(np.isinf(original), where, "holds NaN or infinity", first)
        _raise_at(np.isinf(array), where, f"holds a number that is too large for {own}", first)
    return array


def _bits(size: int) -> tuple[np.dtype, np.dtype, int, int]:
    """Return the unsigned and signed integers of a float's size in bytes, and the bits of both infinities."""
    unsigned = np.dtype(f"u{size}")
    positive, negative = np.array([np.inf, -np.inf], f"f{size}").view(unsigned).tolist()
    return unsigned, np.dtype(f"i{size}"), positive, negative


_BITS = {np.dtype(f"f{size}"): _bits(size) for size in (2, 4, 8)}


def all_finite(array: np.ndarray) -> bool:
    """Return whether a contiguous array of floats holds neither NaN nor infinity.

    Read as integers without the sign bit, NaN and infinity are the numbers from infinity's bits upwards (IEEE 754: all
    bits of the exponent are ones), and the maximum of integers is the fastest reduction: one pass if no number is
    negative, two if some are.
    """
    unsigned, signed, limit, negative = _BITS[array.dtype]
    bits = array.reshape(-1).view(unsigned)
    for begin in range(0, len(bits), _BLOCK):
        block = bits[begin : begin + _BLOCK]
        largest = np.maximum.reduce(block)
        if largest >= limit and (largest >= negative or np.maximum.reduce(block.view(signed)) >= limit):
            return False
    return True


def _numbers(array: np.ndarray, spec: TensorSpec, where: str) -> np.ndarray:
    if spec.missing_values and array.dtype.kind == "O":  # columns of tables, with None for a missing value
        values = [math.nan if value is None else value for value in array.flat]
        if all(isinstance(value, numbers.Real) for value in values):
            array = np.array(values, dtype=np.float64).reshape(array.shape)
    if array.dtype.kind not in "fiub":
        raise InputError(f"{where}: got dtype {array.dtype}, expected numbers.")
    return array


def _texts(array: np.ndarray, spec: TensorSpec, where: str) -> np.ndarray:
    if array.dtype.kind == "O" or hasattr(array.dtype, "na_object"):
        values = ["" if _is_missing(value) else value for value in array.astype(object).flat]
        if not all(isinstance(value, str) for value in values):
            other = next(value for value in values if not isinstance(value, str))
            raise InputError(f"{where}: got {other!r:.60}, expected text.")
        array = text_array(values, where).reshape(array.shape)
    if array.dtype.kind != "U":
        raise InputError(f"{where}: got dtype {array.dtype}, expected text.")
    if spec.texts:
        unknown = _unknown_text(array.reshape(-1), {*spec.texts, ""})
        if unknown is not None:
            raise InputError(
                f"{where}: got {unknown!r:.60}, which the model was not trained on; it knows "
                f"{', '.join(spec.texts[:_SHOWN])}{', …' if len(spec.texts) > _SHOWN else ''}."
            )
    return array


def _unknown_text(array: np.ndarray, known: set[str]) -> str | None:
    for begin in range(0, len(array), _BLOCK):
        for text in array[begin : begin + _BLOCK].tolist():
            if text not in known:
                return str(text)
    return None


def _is_missing(value: object) -> bool:
    """Return whether a value stands for a missing text in tables: None or NaN."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _check_integers(original: np.ndarray, array: np.ndarray, where: str, first: int) -> None:
    """Raise an error where the conversion of numbers to integers has changed one."""
    wrong = np.asarray(array != original)
    if not wrong.any():
        return
    if original.dtype.kind == "f":
        fix = "give what the model was trained with, as token numbers or bytes, not scaled."
        state = "holds a fraction or NaN, expected whole numbers"
        _raise_at(np.asarray(original != np.trunc(original)), where, state, first, fix)
    if array.dtype.kind == "b":
        _raise_at(wrong, where, "holds a number other than 0 and 1", first)
    limits = np.iinfo(array.dtype)
    fix = f"the artifact takes {array.dtype}: give smaller numbers, or use an artifact whose input has more bits."
    _raise_at(wrong, where, f"holds a number outside of {limits.min} to {limits.max}", first, fix)


def _check_missing(missing: np.ndarray, spec: TensorSpec, where: str, state: str, first: int) -> None:
    """Raise an error if a value is missing that the model needs."""
    if spec.missing_values is True or not missing.any():
        return
    needed = missing
    if spec.missing_values:
        needed = missing.copy()
        needed[..., list(spec.missing_values)] = False
    _raise_at(needed, where, state, first)


def _raise_at(wrong: np.ndarray, where: str, state: str, first: int, fix: str = "") -> None:
    """Raise an error that names the first wrong sample, and says how many there are."""
    rows = np.asarray(wrong.reshape(len(wrong), -1).any(axis=1))
    if rows.any():
        among = f" from {first} on" if first else ""
        counted = f" ({int(rows.sum())} of {len(rows)} samples{among} do)" if len(rows) > 1 else ""
        raise InputError(f"{where}: sample {first + int(np.argmax(rows))} {state}{counted}.", fix=fix)
