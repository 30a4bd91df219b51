"""Encodings of input features, applied before quantization."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from msgspec import Struct

__all__ = ["RANKS", "Binning", "Encoding", "Scaling", "check_encoding", "describe_encoding", "encoder"]

RANKS = 256
"""Number of ranks that an 8-bit input can represent."""

_MAX_COMPARED_ROWS = 32  # up to this many rows, comparing with all cuts is faster than a binary search per column
_MAX_CUTS = 2**22  # in the table of all cuts, which has the width of the feature with the most


class Scaling(Struct, frozen=True, forbid_unknown_fields=True, tag="scaling", tag_field="kind"):
    """Per-feature scaling in float32: ``value = (x - offset) / scale``.

    Attributes:
        offset: One number per feature of the input's last axis.
        scale: One positive number per feature.
    """

    offset: tuple[float, ...]
    scale: tuple[float, ...]


class Binning(Struct, frozen=True, forbid_unknown_fields=True, tag="binning", tag_field="kind"):
    """Per-feature binning: ``value = rank / 256``, where the rank is the number of the feature's cuts below x.

    Equivalent to ``numpy.searchsorted(cuts, x, side="left") / 256``, in float32.

    Attributes:
        cuts: For each feature of the input's last axis, at most 255 float32 numbers in ascending order.
    """

    cuts: tuple[tuple[float, ...], ...]


Encoding = Scaling | Binning


def encoder(encoding: Encoding | None) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that converts float32 ``[samples, features]`` from the source's units to encoded values.

    Example:
        >>> encoder(Scaling((10.0,), (5.0,)))(np.float32([[20.0]]))
        array([[2.]], dtype=float32)
    """
    if encoding is None:
        return lambda values: values
    if isinstance(encoding, Scaling):
        offset, scale = _to_float32(encoding.offset), _to_float32(encoding.scale)

        def scale_values(values: np.ndarray) -> np.ndarray:
            with np.errstate(over="ignore"):  # overflowing values are clipped later
                return np.asarray((values - offset) / scale)

        return scale_values
    columns = [_to_float32(cuts) for cuts in encoding.cuts]
    table = np.full((len(columns), max(map(len, columns), default=0)), np.inf, dtype=np.float32)
    for row, cuts in zip(table, columns, strict=True):
        row[: len(cuts)] = cuts

    compared_rows = min(_MAX_COMPARED_ROWS, _MAX_CUTS // max(1, table.size))

    def rank_values(values: np.ndarray) -> np.ndarray:
        if len(values) <= compared_rows:
            ranks = np.count_nonzero(table < values[..., None], axis=-1)
        else:
            ranks = np.stack([np.searchsorted(cuts, values[:, i]) for i, cuts in enumerate(columns)], axis=1)
        return ranks.astype(np.float32) / np.float32(RANKS)

    return rank_values


def check_encoding(encoding: Encoding, shape: tuple[int | None, ...]) -> str | None:
    """Return the reason why an encoding does not fit an input shape ``[batch, features]``, or None if it fits."""
    features = len(encoding.cuts if isinstance(encoding, Binning) else encoding.offset)
    if len(shape) != 2 or shape[1] != features:
        return f"encodes {features} features, but the shape is {list(shape)}"
    return _check_binning(encoding) if isinstance(encoding, Binning) else _check_scaling(encoding)


def _check_scaling(scaling: Scaling) -> str | None:
    if len(scaling.scale) != len(scaling.offset):
        return f"got {len(scaling.offset)} offsets and {len(scaling.scale)} scales"
    offset, scale = _to_float32(scaling.offset), _to_float32(scaling.scale)
    if not np.isfinite([offset, scale]).all():
        return "a number is NaN, infinite or too large for float32"
    return None if (scale > 0).all() else "a scale is not positive"


def _check_binning(binning: Binning) -> str | None:
    cuts = [cut for column in binning.cuts for cut in column]
    if not np.isfinite(_to_float32(cuts)).all() or (_to_float32(cuts) != np.array(cuts)).any():
        return "a cut is not a finite float32"
    most = max(map(len, binning.cuts), default=0)
    if most >= RANKS:
        return f"a feature has more than {RANKS - 1} cuts"
    if most * len(binning.cuts) > _MAX_CUTS:
        return f"{len(binning.cuts)} features of up to {most} cuts exceed {_MAX_CUTS} cuts"
    if any(low >= high for column in binning.cuts for low, high in pairwise(column)):
        return "the cuts of a feature are not in ascending order"
    return None


def _to_float32(values: Sequence[float]) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.array(values, dtype=np.float64).astype(np.float32)


def describe_encoding(encoding: Encoding) -> str:
    """Describe an encoding in one line: the computation before quantization."""
    if isinstance(encoding, Scaling):
        return f"(x - offset) / scale for each of {len(encoding.offset)} features"
    total = sum(map(len, encoding.cuts))
    return f"(number of the feature's cuts below x) / {RANKS}, {total} cuts of {len(encoding.cuts)} features"
