"""What is done to an input's numbers before an artifact takes them, beside its quantization."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from msgspec import Struct

__all__ = ["RANKS", "Binning", "Encoding", "Scaling", "encoder", "encoding_described", "encoding_misfit"]

RANKS = 256
"""Steps of an 8-bit input, so the most ranks that it tells apart."""

_FEW_ROWS = 32  # up to here one comparison with all cuts is faster than a search in each column


class Scaling(Struct, frozen=True, forbid_unknown_fields=True, tag="scaling", tag_field="kind"):
    """``value = (x - offset) / scale``, in float32, by feature.

    Attributes:
        offset: One number for each feature of the input's last axis.
        scale: The same; above 0.
    """

    offset: tuple[float, ...]
    scale: tuple[float, ...]


class Binning(Struct, frozen=True, forbid_unknown_fields=True, tag="binning", tag_field="kind"):
    """``value = rank / 256``, where the rank is how many of the feature's cuts lie below x.

    That is ``numpy.searchsorted(cuts, x, side="left") / 256``, in float32.

    Attributes:
        cuts: For each feature of the input's last axis, ascending float32 numbers, at most 255.
    """

    cuts: tuple[tuple[float, ...], ...]


Encoding = Scaling | Binning


def encoder(encoding: Encoding | None) -> Callable[[np.ndarray], np.ndarray]:
    """A function of float32 arrays ``[samples, features]``: from the source's units to the artifact's values.

    Example:
        >>> encoder(Scaling((10.0,), (5.0,)))(np.float32([[20.0]]))
        array([[2.]], dtype=float32)
    """
    if encoding is None:
        return lambda values: values
    if isinstance(encoding, Scaling):
        offset, scale = _narrow(encoding.offset), _narrow(encoding.scale)

        def scaled(values: np.ndarray) -> np.ndarray:
            with np.errstate(over="ignore"):  # what overflows is clipped
                return np.asarray((values - offset) / scale)

        return scaled
    columns = [_narrow(cuts) for cuts in encoding.cuts]
    table = np.full((len(columns), max(map(len, columns), default=0)), np.inf, dtype=np.float32)
    for row, cuts in zip(table, columns, strict=True):
        row[: len(cuts)] = cuts

    def ranked(values: np.ndarray) -> np.ndarray:
        if len(values) <= _FEW_ROWS:
            ranks = np.count_nonzero(table < values[..., None], axis=-1)
        else:
            ranks = np.stack([np.searchsorted(cuts, values[:, i]) for i, cuts in enumerate(columns)], axis=1)
        return ranks.astype(np.float32) / np.float32(RANKS)

    return ranked


def encoding_misfit(encoding: Encoding, shape: tuple[int | None, ...]) -> str | None:
    """Why an encoding is not one of an input of this shape ``[batch, features]``; None where it is."""
    features = len(encoding.cuts if isinstance(encoding, Binning) else encoding.offset)
    if len(shape) != 2 or shape[1] != features:
        return f"it is for {features} features, and the shape is {list(shape)}"
    return _binning_misfit(encoding) if isinstance(encoding, Binning) else _scaling_misfit(encoding)


def _scaling_misfit(scaling: Scaling) -> str | None:
    if len(scaling.scale) != len(scaling.offset):
        return f"it has {len(scaling.offset)} offsets and {len(scaling.scale)} scales"
    offset, scale = _narrow(scaling.offset), _narrow(scaling.scale)
    if not np.isfinite([offset, scale]).all():
        return "a number of it is NaN, infinity or beyond float32"
    return None if (scale > 0).all() else "a scale is not above 0"


def _binning_misfit(binning: Binning) -> str | None:
    cuts = [cut for column in binning.cuts for cut in column]
    if not np.isfinite(_narrow(cuts)).all() or (_narrow(cuts) != np.array(cuts)).any():
        return "a cut is no finite float32"
    if max(map(len, binning.cuts), default=0) >= RANKS:
        return f"a feature has more than {RANKS - 1} cuts"
    if any(low >= high for column in binning.cuts for low, high in pairwise(column)):
        return "the cuts of a feature do not ascend"
    return None


def _narrow(values: Sequence[float]) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.array(values, dtype=np.float64).astype(np.float32)


def encoding_described(encoding: Encoding) -> str:
    """An encoding in a line: what firmware must do before it quantizes."""
    if isinstance(encoding, Scaling):
        return f"(x - offset) / scale for each of {len(encoding.offset)} features"
    total = sum(map(len, encoding.cuts))
    return f"(number of the feature's cuts below x) / {RANKS}, {total} cuts of {len(encoding.cuts)} features"
