"""Calibration samples in the form that converters read."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgeml.core.conversion import ConversionJob
from edgeml.core.encoding import encoder
from edgeml.core.errors import UnsupportedModelError
from edgeml.core.tensors import Signature, TensorSpec, holds_integers

__all__ = ["calibration_batches"]


def calibration_batches(
    job: ConversionJob, signature: Signature, most: int | None = None
) -> Iterator[dict[str, np.ndarray]]:
    """Iterate over the calibration samples in batches of the artifact's size, by input name.

    Arrays are encoded float32, and of the artifact's own dtype where that is an integer that is not quantized.

    An incomplete last batch is filled by repetition of its last sample, which does not change any range.

    Args:
        job: The calibration samples, and the batch of the artifacts.
        signature: The artifact's signature, with the encodings of the inputs.
        most: Number of evenly spaced samples that suffice; None for all.

    Raises:
        UnsupportedModelError: The job does not have calibration samples.
    """
    if job.calibration is None:
        raise UnsupportedModelError("Quantizing activations needs calibration samples.")
    batch = job.batch or signature.inputs[0].shape[0] or 1
    encoders = {spec.name: encoder(spec.encoding) for spec in signature.inputs}
    dtypes = {spec.name: spec.dtype if _keeps_dtype(spec) else "float32" for spec in signature.inputs}
    count = len(next(iter(job.calibration.values())))
    chosen = np.arange(count) if most is None or count <= most else np.linspace(0, count - 1, most).astype(int)
    for start in range(0, len(chosen), batch):
        rows = chosen[np.arange(start, start + batch).clip(max=len(chosen) - 1)]
        yield {
            name: encoders[name](
                array[rows] if dtypes[name] == "string" else array[rows].astype(dtypes[name], copy=False)
            )
            for name, array in job.calibration.items()
        }


def _keeps_dtype(spec: TensorSpec) -> bool:
    return holds_integers(spec) or spec.dtype in {"float16", "float64", "string"}
