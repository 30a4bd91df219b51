"""Calibration samples, as converters are fed with them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgeml.core.conversion import ConversionJob
from edgeml.core.errors import UnsupportedModelError

__all__ = ["calibration_batches"]


def calibration_batches(job: ConversionJob) -> Iterator[dict[str, np.ndarray]]:
    """All calibration samples, in float32 and in batches as the artifact takes them, by input name.

    Where they do not fill the last batch its last sample is repeated, which changes no range.
    """
    if job.calibration is None:
        raise UnsupportedModelError("Quantizing activations needs calibration samples.")
    batch = job.batch or 1
    count = len(next(iter(job.calibration.values())))
    for start in range(0, count, batch):
        rows = np.arange(start, start + batch).clip(max=count - 1)
        yield {name: array[rows].astype(np.float32, copy=False) for name, array in job.calibration.items()}
