"""Calibration samples, as converters are fed with them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgeml.core.conversion import ConversionJob
from edgeml.core.encoding import encoder
from edgeml.core.errors import UnsupportedModelError
from edgeml.core.tensors import Signature

__all__ = ["calibration_batches"]


def calibration_batches(job: ConversionJob, signature: Signature) -> Iterator[dict[str, np.ndarray]]:
    """All calibration samples, encoded, in float32 and in batches as the artifact takes them, by input name.

    Where they do not fill the last batch its last sample is repeated, which changes no range.
    """
    if job.calibration is None:
        raise UnsupportedModelError("Quantizing activations needs calibration samples.")
    batch = job.batch or 1
    encoders = {spec.name: encoder(spec.encoding) for spec in signature.inputs}
    count = len(next(iter(job.calibration.values())))
    for start in range(0, count, batch):
        rows = np.arange(start, start + batch).clip(max=count - 1)
        yield {
            name: encoders[name](array[rows].astype(np.float32, copy=False)) for name, array in job.calibration.items()
        }
