"""Confusion matrices."""

from __future__ import annotations

import numpy as np

from edgeml.core.records.evidence_details import MOST_CELLS, Confusion

__all__ = ["confusion_of"]


def confusion_of(truth: np.ndarray, predicted: np.ndarray) -> Confusion:
    """Return the largest nonzero cells of the confusion matrix.

    Args:
        truth: Positions of the true labels ``[samples]``.
        predicted: Positions of the predicted labels ``[samples]``, -1 for a label outside the list.
    """
    stride = int(predicted.max(initial=0)) + 2
    codes, counts = np.unique(truth.astype(np.int64) * stride + predicted + 1, return_counts=True)
    kept = np.sort(np.argsort(-counts, kind="stable")[:MOST_CELLS])
    cells = zip(
        (codes[kept] // stride).tolist(), (codes[kept] % stride - 1).tolist(), counts[kept].tolist(), strict=True
    )
    return Confusion(tuple(cells), int(counts.sum() - counts[kept].sum()))
