"""What is done to a table's features outside of an integer graph, whose one scale would not fit them all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeml.core.encoding import Binning, Encoding, Scaling

from ._stage import Affine, Filled, Stage, affine, folded
from .trees import Trees

__all__ = ["encoded"]

# Rows to come lie farther out than some 100 calibration samples: all ranges are found with those stretched, too. Found
# on wine, breast cancer, digits and diabetes, where it gave int8 some 10 dB more than the samples by themselves.
_HEADROOM = 2.0
# How many times the weights of an ordinary feature a weight may be. The same tables.
_UNLIKE = 4.0


def encoded(stages: Sequence[Stage], rows: np.ndarray) -> tuple[Encoding, list[Stage], np.ndarray]:
    """The encoding of the features, the stages about what it gives, and rows to calibrate those with.

    Trees take ranks. What is scaled before anything but a matrix product is scaled by the encoding. Else each feature
    is brought to the range that the calibration samples show. Integers have no NaN: an encoded input must take none.

    Args:
        stages: A model's, folded.
        rows: The calibration samples ``[samples, features]``.

    Raises:
        UnsupportedModelError: A tree compares a feature with too many thresholds.
    """
    first, *rest = stages = folded([stage for stage in stages if not isinstance(stage, Filled)])
    if isinstance(first, Trees):
        cuts, ranked = first.ranked(rows.shape[1])
        return Binning(cuts), [ranked, *rest], rows
    if isinstance(first, Affine) and first.matrix.ndim == 1 and rest and (first.matrix > 0).all():
        return _scaling(first.center - first.bias / first.matrix, 1.0 / first.matrix), rest, rows
    low, high = rows.min(axis=0).astype(np.float64), rows.max(axis=0).astype(np.float64)
    middle, scale = (low + high) / 2, (high - low) / 2
    varied = scale > 0
    scale[~varied] = np.median(scale[varied])  # of a feature that never varied nothing is known
    if isinstance(first, Affine) and first.matrix.ndim == 2:
        # Nor is much of one that hardly varied: its weights must not be what all others are rounded to.
        weights = np.abs(first.matrix).max(axis=1)
        known = varied & (weights > 0)
        most = _UNLIKE * np.median((scale * weights)[known]) if known.any() else np.inf
        scale[weights > 0] = np.minimum(scale, most / np.maximum(weights, 1e-300))[weights > 0]
    wide = (middle + _HEADROOM * (rows - middle)).astype(np.float32)
    encoding = _scaling(middle, scale)
    return encoding, folded([affine(scale, bias=middle), *stages]), np.concatenate([rows, wide])


def _scaling(offset: np.ndarray, scale: np.ndarray) -> Scaling:
    return Scaling(tuple(offset.astype(np.float32).tolist()), tuple(scale.astype(np.float32).tolist()))
