"""Fidelity of an artifact's outputs to the source's: SQNR, largest error, agreement of labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from edgeml.core.column_groups import NEGLIGIBLE_RANGE, describe_positions, group_by_range, is_softmax
from edgeml.core.decisions import Decision
from edgeml.core.records.evidence import Fidelity, PartFidelity
from edgeml.core.source import Reference

__all__ = ["CENTERED_SLACK_DB", "CONSTANT_ERROR", "fidelity_of", "part_sqnr_db", "ties"]

CONSTANT_ERROR = 1e-6
"""Largest allowed difference between an output and a constant reference."""
CENTERED_SLACK_DB = 5.0
"""Decibels by which the ratio about the mean may be lower than the plain one."""
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
    agreement = flips = count = None
    if labels is not None:
        source_labels, artifact_labels, tied = labels
        flips = int(((source_labels != artifact_labels) & ~tied).sum())
        count = int(tied.sum())
        counted = len(tied) - count
        agreement = 1 - flips / counted if counted else None
    medians = [_sample_sqnr(reference[name], outputs[name]) for name in reference]
    return Fidelity(
        len(next(iter(reference.values()))),
        plain,
        centered,
        max(errors),
        agreement,
        flips,
        tied=count or None,
        sample_sqnr_db=min((median for median in medians if median is not None), default=None),
        worst_part=min(
            (part for name in reference for part in _parts(name, reference[name], outputs[name])),
            key=part_sqnr_db,
            default=None,
        ),
    )


def part_sqnr_db(part: PartFidelity) -> float:
    """Return the figure of a part that its floor bounds: the lower ratio, that about the mean with its slack."""
    return part.sqnr_db if part.centred_sqnr_db is None else min(part.sqnr_db, part.centred_sqnr_db + CENTERED_SLACK_DB)


def _sample_sqnr(reference: np.ndarray, output: np.ndarray) -> float | None:
    """Return the median of the samples' own SQNR in decibels; None where no sample has power."""
    expected = reference.reshape(len(reference), -1).astype(np.float64)
    power = np.square(expected).sum(axis=1)
    noise = np.square(output.reshape(len(output), -1) - expected).sum(axis=1)
    counted = power > 0.0
    if not counted.any():
        return None
    with np.errstate(divide="ignore"):  # an exact sample
        ratios = 10 * np.log10(power[counted] / noise[counted])
    return float(np.median(np.clip(ratios, -_CEILING_DB, _CEILING_DB)))


def _parts(name: str, reference: np.ndarray, output: np.ndarray) -> Iterator[PartFidelity]:
    """Yield the fidelity of the groups of columns, or channels, whose ranges differ by more than ten times."""
    for axis in sorted({1, reference.ndim - 1} - {0}):
        for group in _column_groups(reference, axis):
            plain, centered = _sqnr(np.take(reference, group, axis), np.take(output, group, axis))
            if centered is not None:
                yield PartFidelity(name, describe_positions(group, axis, reference.ndim), plain, centered)


def _column_groups(reference: np.ndarray, axis: int) -> list[np.ndarray]:
    """Return positions on an axis in groups of similar range, the largest first; none where all ranges are similar."""
    others = tuple(i for i in range(reference.ndim) if i != axis)
    ranges = np.ptp(reference.astype(np.float64), axis=others)
    varying = np.flatnonzero(ranges > NEGLIGIBLE_RANGE * np.abs(reference).max(initial=0.0))
    if len(varying) < 2 or is_softmax(reference, axis):
        return []
    groups = group_by_range(ranges[varying])
    return [varying[group] for group in groups] if len(groups) > 1 else []


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


def ties(reference: Reference, decision: Decision) -> np.ndarray:
    """Return ``[samples]`` of bool: whether the scores that the source decides by, or score and threshold, almost tie.

    Almost equal are scores within 1e-6 of the largest absolute score of all samples.

    Args:
        reference: Outputs of a classifier, which has one.
        decision: Decision of the source.
    """
    scores, threshold = reference.deciding, decision.threshold
    if scores is None:
        (scores,) = reference.outputs.values()
    else:
        threshold = 0.0 if scores.ndim == 1 else None
    flat = scores.reshape(len(scores), -1).astype(np.float64)
    tolerance = _TIE * float(np.abs(flat).max(initial=0.0))
    if threshold is not None:
        return np.abs(flat[:, 0] - threshold) <= tolerance
    top = np.sort(flat, axis=1)[:, -2:]
    return top[:, -1] - top[:, 0] <= tolerance
