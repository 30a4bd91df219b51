"""Arrays as callers give them, checked against a signature."""

import math
import numbers
from collections.abc import Mapping

import numpy as np

from edgeml.core.errors import InputError
from edgeml.core.tensors import Signature, TensorSpec

__all__ = ["all_finite", "arrays_by_input", "shaped_by_input", "values_of"]

_SHOWN = 10
_LOOKED_AT = 2**18  # numbers at a time: a second look finds them in a cache


def arrays_by_input(data: object, signature: Signature, what: str) -> dict[str, np.ndarray]:
    """What a caller gave as the inputs of samples, checked, and made floats or text.

    It is `shaped_by_input`, and then `values_of` each array.

    Args:
        data: One array ``[samples, ...]`` for a model with one input, or a mapping from input names; a column
            ``[samples]`` will do for an input ``[samples, 1]``.
        signature: The source's signature.
        what: What to call the data in messages, for instance ``calibration``.

    Returns:
        C-contiguous arrays ``[samples, ...]`` in the signature's order: of float32, of float64 where the input is of
        that, or of text. A missing value is NaN among numbers, and "" among text.

    Raises:
        InputError: Another set of names, another shape, not numbers where these are due, not text where that is,
            infinite, a gap where the model takes none, or not the same number of samples in each.
    """
    shaped = shaped_by_input(data, signature, what)
    return {spec.name: values_of(shaped[spec.name], spec, what) for spec in signature.inputs}


def shaped_by_input(data: object, signature: Signature, what: str) -> dict[str, np.ndarray]:
    """What a caller gave, with names, shapes and kinds checked, and its values as they are.

    Args:
        data: As for `arrays_by_input`; a memory map is not read.
        signature: The source's signature.
        what: What to call the data in messages.

    Returns:
        Arrays ``[samples, ...]`` of numbers in any dtype and layout, or of text.

    Raises:
        InputError: As `arrays_by_input`, but for what `values_of` finds.
    """
    names = [spec.name for spec in signature.inputs]
    if isinstance(data, Mapping):
        given = dict(data)
    elif len(names) == 1:
        given = {names[0]: data}
    else:
        raise InputError(
            f"{what}: the model has {len(names)} inputs ({', '.join(names)}), and one array was given.",
            fix="give a mapping from input names to arrays.",
        )
    if sorted(map(str, given)) != sorted(names):
        raise InputError(f"{what}: got inputs {sorted(map(str, given))}, expected {sorted(names)}.")
    arrays = {spec.name: _shaped(given[spec.name], spec, what) for spec in signature.inputs}
    counts = {name: len(array) for name, array in arrays.items()}
    if len(set(counts.values())) > 1:
        raise InputError(f"{what}: the inputs have different numbers of samples: {counts}.")
    return arrays


def _shaped(data: object, spec: TensorSpec, what: str) -> np.ndarray:
    where = f"{what}, input '{spec.name}'"
    if hasattr(data, "filled") and np.ma.is_masked(data):  # the first alone does not load numpy's module of them
        raise InputError(f"{where}: holds masked values.", fix="give an array without a mask: x.filled(...).")
    try:
        # Without a dtype numpy would make text of the numbers that stand beside text.
        array = np.asarray(data, dtype=object if spec.dtype == "string" and not hasattr(data, "dtype") else None)
    except ValueError as error:
        raise InputError(f"{where}: is no regular array ({error}).") from error
    array = _texts(array, spec, where) if spec.dtype == "string" else _numbers(array, spec, where)
    if array.ndim == 1 and spec.shape == (None, 1):
        array = array[:, None]
    expected = "[samples, " + ", ".join("any" if n is None else str(n) for n in spec.shape[1:]) + "]"
    fits = array.ndim == len(spec.shape) and all(
        want is None or got == want for got, want in zip(array.shape[1:], spec.shape[1:], strict=False)
    )
    if not fits:
        one_sample = array.ndim == len(spec.shape) - 1
        raise InputError(
            f"{where}: got shape {list(array.shape)}, expected {expected}.",
            fix="add the axis of samples in front: x[None]." if one_sample else "",
        )
    return array


def values_of(array: np.ndarray, spec: TensorSpec, what: str, *, first: int = 0) -> np.ndarray:
    """Samples as an artifact's session takes them: text, or numbers without infinities, and gaps where they may be.

    Args:
        array: Of `shaped_by_input`, or some of its samples.
        spec: The input's spec.
        what: What to call the data in messages.
        first: Position of the first sample in all that the caller gave.

    Returns:
        A C-contiguous array of the same shape: float32, the input's own dtype where it is float16, float64 or one of
        integers that stand for themselves, or text.

    Raises:
        InputError: A sample holds an infinity, a gap where the model takes none, or a number that an input of such
            integers has not.
    """
    where = f"{what}, input '{spec.name}'"
    if spec.dtype == "string":
        _check_gaps(np.asarray(array == ""), spec, where, "holds a missing text", first)
        return np.ascontiguousarray(array)
    own = np.dtype(spec.dtype if spec.quantization is None and spec.encoding is None else np.float32)
    with np.errstate(all="ignore"):  # what is too large becomes an infinity, and is found
        given, array = array, np.ascontiguousarray(array, dtype=own)
    if own.kind != "f":
        _raise_at(np.asarray(array != given), where, f"holds NaN, infinity or a number that is no {own}", first)
        return array
    if not all_finite(array):
        _check_gaps(np.isnan(array), spec, where, "holds NaN or infinity", first)
        _raise_at(np.isinf(given), where, "holds NaN or infinity", first)
        _raise_at(np.isinf(array), where, f"holds a number that is too large for {own}", first)
    return array


def _bits(size: int) -> tuple[np.dtype, np.dtype, int, int]:
    """Integers as wide as floats of so many bytes, with and without sign, and the first that is no finite float."""
    unsigned = np.dtype(f"u{size}")
    positive, negative = np.array([np.inf, -np.inf], f"f{size}").view(unsigned).tolist()
    return unsigned, np.dtype(f"i{size}"), positive, negative


_BITS = {np.dtype(f"f{size}"): _bits(size) for size in (2, 4, 8)}


def all_finite(array: np.ndarray) -> bool:
    """Whether a contiguous array of floats holds neither NaN nor infinity.

    Without their sign both are integers from that of infinity on, and a largest integer is the fastest to be had: one
    look where no number is negative, two where some are. (IEEE 754: the exponent's bits are all ones.)
    """
    unsigned, signed, limit, negative = _BITS[array.dtype]
    bits = array.reshape(-1).view(unsigned)
    for begin in range(0, len(bits), _LOOKED_AT):
        some = bits[begin : begin + _LOOKED_AT]
        most = np.maximum.reduce(some)
        if most >= limit and (most >= negative or np.maximum.reduce(some.view(signed)) >= limit):
            return False
    return True


def _numbers(array: np.ndarray, spec: TensorSpec, where: str) -> np.ndarray:
    if spec.missing_values and array.dtype.kind == "O":  # as tables come, with None for a gap
        values = [math.nan if value is None else value for value in array.flat]
        if all(isinstance(value, numbers.Real) for value in values):
            array = np.array(values, dtype=np.float64).reshape(array.shape)
    if array.dtype.kind not in "fiub":
        raise InputError(f"{where}: got dtype {array.dtype}, expected numbers.")
    return array


def _texts(array: np.ndarray, spec: TensorSpec, where: str) -> np.ndarray:
    if array.dtype.kind == "O" or hasattr(array.dtype, "na_object"):
        values = ["" if _is_gap(value) else value for value in array.astype(object).flat]
        if not all(isinstance(value, str) for value in values):
            odd = next(value for value in values if not isinstance(value, str))
            raise InputError(f"{where}: got {odd!r:.60}, expected text.")
        array = np.array(values, dtype=np.str_).reshape(array.shape)
    if array.dtype.kind != "U":
        raise InputError(f"{where}: got dtype {array.dtype}, expected text.")
    if spec.texts:
        strange = array[~np.isin(array, [*spec.texts, ""])]
        if strange.size:
            raise InputError(
                f"{where}: got {str(strange[0])!r:.60}, which the model was not trained on; it knows "
                f"{', '.join(spec.texts[:_SHOWN])}{', …' if len(spec.texts) > _SHOWN else ''}."
            )
    return array


def _is_gap(value: object) -> bool:
    """Whether it is what tables have for a missing text."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _check_gaps(missing: np.ndarray, spec: TensorSpec, where: str, told: str, first: int) -> None:
    """Raises where a value is missing that the model needs."""
    if spec.missing_values is True or not missing.any():
        return
    needed = missing
    if spec.missing_values:
        needed = missing.copy()
        needed[..., list(spec.missing_values)] = False
    _raise_at(needed, where, told, first)


def _raise_at(wrong: np.ndarray, where: str, told: str, first: int) -> None:
    rows = np.asarray(wrong.reshape(len(wrong), -1).any(axis=1))
    if rows.any():
        among = f" from {first} on" if first else ""
        counted = f" ({int(rows.sum())} of {len(rows)} samples{among} do)" if len(rows) > 1 else ""
        raise InputError(f"{where}: sample {first + int(np.argmax(rows))} {told}{counted}.")
