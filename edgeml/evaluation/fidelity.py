"""How near an artifact's outputs are to the source's."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgeml.core.decisions import Decision
from edgeml.core.records.evidence import Fidelity

__all__ = ["CONSTANT_ERROR", "fidelity_of", "ties"]

CONSTANT_ERROR = 1e-6
"""The most that an output may differ from a constant reference."""
_CEILING_DB = 200.0  # an exact copy would have infinitely many, which JSON cannot tell
_TIE = 1e-6
# A reference varies if its variance is above what rounding to float32 makes of a constant.
_CONSTANT_SHARE = 1e-12


def fidelity_of(
    reference: Mapping[str, np.ndarray],
    outputs: Mapping[str, np.ndarray],
    *,
    labels: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None,
) -> Fidelity:
    """Compares outputs over the same samples.

    Args:
        reference: The source's float32 outputs ``[samples, ...]`` by name.
        outputs: The artifact's, finite, by the same names.
        labels: For classifiers: the source's labels, the artifact's, and where the source is tied, each
            ``[samples]``.

    Returns:
        The figures; over several outputs the worst of each, where one that is constant and kept within 1e-6
        does not count beside one that varies.
    """
    figures = [_sqnr(reference[name], outputs[name]) for name in reference]
    errors = [
        float(np.abs(outputs[name].astype(np.float64) - values).max(initial=0.0)) for name, values in reference.items()
    ]
    telling = [
        plain
        for (plain, centred), error in zip(figures, errors, strict=True)
        if centred is not None or error > CONSTANT_ERROR
    ]
    plain = min(telling or [plain for plain, _ in figures])
    centred = min((centred for _, centred in figures if centred is not None), default=None)
    agreement = flips = None
    if labels is not None:
        wanted, got, tied = labels
        flips = int(((wanted != got) & ~tied).sum())
        counted = int((~tied).sum())
        agreement = 1 - flips / counted if counted else None
    return Fidelity(len(next(iter(reference.values()))), plain, centred, max(errors), agreement, flips)


def _sqnr(reference: np.ndarray, output: np.ndarray) -> tuple[float, float | None]:
    """Plain and centred SQNR in decibels; the latter None for a constant reference."""
    wanted = reference.reshape(len(reference), -1).astype(np.float64)
    noise = float(np.square(output.reshape(len(output), -1) - wanted).sum())
    power = float(np.square(wanted).sum())
    variance = float(np.square(wanted - wanted.mean(axis=0)).sum())
    constant = variance <= _CONSTANT_SHARE * power
    return _decibels(power, noise), None if constant else _decibels(variance, noise)


def _decibels(signal: float, noise: float) -> float:
    if noise == 0.0:
        return _CEILING_DB
    if signal == 0.0:
        return -_CEILING_DB
    return float(np.clip(10 * np.log10(signal / noise), -_CEILING_DB, _CEILING_DB))


def ties(scores: np.ndarray, decision: Decision) -> np.ndarray:
    """Where the source's scores leave its label open, ``[samples]`` of bool: within 1e-6.

    Args:
        scores: The source's, ``[samples, classes]``, or ``[samples]`` where a threshold decides.
        decision: The source's.
    """
    flat = scores.reshape(len(scores), -1).astype(np.float64)
    if decision.threshold is not None:
        return np.abs(flat[:, 0] - decision.threshold) <= _TIE
    top = np.sort(flat, axis=1)[:, -2:]
    return top[:, -1] - top[:, 0] <= _TIE
