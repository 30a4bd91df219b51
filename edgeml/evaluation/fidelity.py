"""Fidelity of an artifact's outputs to the source's: SQNR, largest error, agreement of labels."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgeml.core.decisions import Decision
from edgeml.core.records.evidence import Fidelity

__all__ = ["CONSTANT_ERROR", "fidelity_of", "ties"]

CONSTANT_ERROR = 1e-6
"""Largest allowed difference between an output and a constant reference."""
_CEILING_DB = 200.0  # in place of infinity for an exact copy, which JSON cannot represent
_TIE = 1e-6
# A reference is constant if its variance is not above that of a constant rounded to float32.
_CONSTANT_SHARE = 1e-12


def fidelity_of(
    reference: Mapping[str, np.ndarray],
    outputs: Mapping[str, np.ndarray],
    *,
    labels: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
) -> Fidelity:
    """Compare an artifact's outputs with the source's over the same samples.

    Args:
        reference: The source's float32 outputs ``[samples, ...]`` by name.
        outputs: The artifact's outputs, finite, by the same names.
        labels: For classifiers the source's labels, the artifact's labels, and whether the source's scores tie; each
            ``[samples]``.

    Returns:
        The figures; over several outputs the worst of each. An output that is constant and reproduced within 1e-6 does
        not count if another output varies.
    """
    figures = [_sqnr(reference[name], outputs[name]) for name in reference]
    errors = [
        float(np.abs(outputs[name].astype(np.float64) - values).max(initial=0.0)) for name, values in reference.items()
    ]
    informative = [
        plain
        for (plain, centered), error in zip(figures, errors, strict=True)
        if centered is not None or error > CONSTANT_ERROR
    ]
    plain = min(informative or [plain for plain, _ in figures])
    centered = min((centered for _, centered in figures if centered is not None), default=None)
    agreement = flips = None
    if labels is not None:
        source_labels, artifact_labels, tied = labels
        flips = int(((source_labels != artifact_labels) & ~tied).sum())
        counted = int((~tied).sum())
        agreement = 1 - flips / counted if counted else None
    return Fidelity(len(next(iter(reference.values()))), plain, centered, max(errors), agreement, flips)


def _sqnr(reference: np.ndarray, output: np.ndarray) -> tuple[float, float | None]:
    """Return plain and centered SQNR in decibels; the latter None for a constant reference."""
    expected = reference.reshape(len(reference), -1).astype(np.float64)
    noise = float(np.square(output.reshape(len(output), -1) - expected).sum())
    power = float(np.square(expected).sum())
    variance = float(np.square(expected - expected.mean(axis=0)).sum())
    constant = variance <= _CONSTANT_SHARE * power
    return _decibels(power, noise), None if constant else _decibels(variance, noise)


def _decibels(signal: float, noise: float) -> float:
    if noise == 0.0:
        return _CEILING_DB
    if signal == 0.0:
        return -_CEILING_DB
    return float(np.clip(10 * np.log10(signal / noise), -_CEILING_DB, _CEILING_DB))


def ties(scores: np.ndarray, decision: Decision) -> np.ndarray:
    """Return ``[samples]`` of bool: whether the source's two best scores, or score and threshold, are within 1e-6.

    Args:
        scores: The source's scores ``[samples, classes]``, or ``[samples]`` where a threshold decides.
        decision: Decision of the source.
    """
    flat = scores.reshape(len(scores), -1).astype(np.float64)
    if decision.threshold is not None:
        return np.abs(flat[:, 0] - decision.threshold) <= _TIE
    top = np.sort(flat, axis=1)[:, -2:]
    return top[:, -1] - top[:, 0] <= _TIE
