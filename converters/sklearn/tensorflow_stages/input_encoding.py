"""Input encoding outside of an integer graph, whose single quantization scale would not fit all features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeml.core.encoding import Binning, Encoding, Scaling

from ._stage import Affine, Impute, Stage, affine, fold_affine
from .trees import Trees

__all__ = ["encode_inputs"]

# Factor by which calibration samples are stretched, since later inputs exceed the range of some 100 samples. Measured
# on wine, breast cancer, digits and diabetes, where it improved int8 by about 10 dB.
_HEADROOM = 2.0
# Largest ratio of a feature's weights to the median feature's, measured on the same tables.
_MAX_WEIGHT_RATIO = 4.0


def encode_inputs(stages: Sequence[Stage], rows: np.ndarray) -> tuple[Encoding, list[Stage], np.ndarray]:
    """Choose an encoding of the features for integer inference.

    Features of trees are encoded as ranks. A leading scaler becomes the encoding, unless a matrix product follows it
    directly. For other models, each feature is scaled to the range of the calibration samples. Encoded inputs do not
    support NaN.

    Args:
        stages: Stages of a model, with affine stages merged.
        rows: Calibration samples ``[samples, features]``.

    Returns:
        The encoding, the stages that read encoded features, and rows to calibrate them with.

    Raises:
        UnsupportedModelError: A tree compares a feature with too many thresholds.
    """
    first, *rest = stages = fold_affine([stage for stage in stages if not isinstance(stage, Impute)])
    if isinstance(first, Trees):
        cuts, ranked = first.rank_thresholds(rows.shape[1])
        return Binning(cuts), [ranked, *rest], rows
    if isinstance(first, Affine) and first.matrix.ndim == 1 and rest and (first.matrix > 0).all():
        return _scaling(first.center - first.bias / first.matrix, 1.0 / first.matrix), rest, rows
    low, high = rows.min(axis=0).astype(np.float64), rows.max(axis=0).astype(np.float64)
    middle, scale = (low + high) / 2, (high - low) / 2
    varied = scale > 0
    scale[~varied] = np.median(scale[varied])  # the scale of a constant feature is unknown
    if isinstance(first, Affine) and first.matrix.ndim == 2:
        # Nearly constant features have unreliable scales; their weights must not determine the quantization scale.
        weights = np.abs(first.matrix).max(axis=1)
        reliable = varied & (weights > 0)
        largest_weight = _MAX_WEIGHT_RATIO * np.median((scale * weights)[reliable]) if reliable.any() else np.inf
        scale[weights > 0] = np.minimum(scale, largest_weight / np.maximum(weights, 1e-300))[weights > 0]
    stretched = (middle + _HEADROOM * (rows - middle)).astype(np.float32)
    encoding = _scaling(middle, scale)
    return encoding, fold_affine([affine(scale, bias=middle), *stages]), np.concatenate([rows, stretched])


def _scaling(offset: np.ndarray, scale: np.ndarray) -> Scaling:
    return Scaling(tuple(offset.astype(np.float32).tolist()), tuple(scale.astype(np.float32).tolist()))
