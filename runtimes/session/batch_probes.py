"""Proof that a model processes each sample of a batch independently."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeml.core.tensors import Signature, TensorSpec

from .executor import Executor
from .pool import Pool

__all__ = ["same_bytes", "samples_are_independent"]

_OCTAVES = 4.0  # rows differ in scale by up to 2 ** (2 * _OCTAVES)


def samples_are_independent(
    wide: Pool[Executor],
    narrow: Pool[Executor],
    values: Sequence[np.ndarray],
    signature: Signature,
    errors: tuple[type[Exception], ...],
) -> bool:
    """Return whether executors of a larger batch size process each sample as those of batch size 1 do.

    The caller's own samples do not show that: an operator across the batch, for instance a maximum, does not have a
    visible effect on samples that are equal. So both run on random samples that differ in values and scale.

    Args:
        wide: Executors of the larger batch size.
        narrow: Executors of batch size 1.
        values: A batch ``[samples, ...]`` of each input, in the artifact's dtypes.
        signature: Signature of the artifact.
        errors: The exceptions that the engine raises. An engine that fails on the samples proves nothing.
    """
    rng = np.random.default_rng(0)
    probes = [_probe(value, spec, rng) for value, spec in zip(values, signature.inputs, strict=True)]
    known = [probe for probe in probes if probe is not None]
    if len(known) < len(probes):
        return False
    try:
        return all(map(same_bytes, _run(wide, known), _run(narrow, known)))
    except errors:
        return False


def same_bytes(first: np.ndarray, second: np.ndarray) -> bool:
    """Return whether two arrays are equal bit for bit."""
    return first.shape == second.shape and first.tobytes() == second.tobytes()


def _run(pool: Pool[Executor], values: Sequence[np.ndarray]) -> list[np.ndarray]:
    executor = pool.acquire()
    try:
        return executor(values)
    finally:
        pool.release(executor)


def _probe(value: np.ndarray, spec: TensorSpec, rng: np.random.Generator) -> np.ndarray | None:
    """Return random values of one input; None for integers without a scale that are all equal, such as token ids."""
    rows = (len(value), *[1] * (value.ndim - 1))
    scale = 2.0 ** rng.uniform(-_OCTAVES, _OCTAVES, rows)
    if value.dtype.kind == "f":
        largest = float(np.abs(value).max(initial=0)) or 1.0
        probe = np.clip(rng.standard_normal(value.shape) * scale * min(largest, 1e3), -3e4, 3e4)
        return probe.astype(value.dtype)
    if spec.quantization is not None:
        limits = np.iinfo(value.dtype)
        probe = rng.uniform(limits.min, limits.max, value.shape) * np.minimum(scale, 1)
        return probe.astype(value.dtype)
    if np.unique(value).size < 2:
        return None
    return rng.choice(value.ravel(), value.shape)
