"""Fidelity of an artifact's outputs to the source's: SQNR, largest error, agreement of labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec
import numpy as np

from edgeml.core.column_groups import NEGLIGIBLE_RANGE, describe_positions, group_by_range, is_softmax
from edgeml.core.decisions import Decision, label_sizes
from edgeml.core.records.evidence import Fidelity, IntegerFidelity, PartFidelity
from edgeml.core.source import Reference

__all__ = ["CENTERED_SLACK_DB", "CONSTANT_ERROR", "Agreement", "agreement_of", "fidelity_of", "part_sqnr_db", "ties"]

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
    labels: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]] | None = None,
) -> Fidelity:
    """Compare an artifact's outputs with the source's over the same samples.

    Args:
        reference: The source's outputs ``[samples, ...]`` by name.
        outputs: The artifact's outputs, finite, by the same names.
        labels: By output with labels the source's labels, the artifact's labels, and whether the source's scores tie;
            each ``[samples, ...]``.

    Returns:
        The figures; over several outputs the worst of each. An output that is constant and reproduced within 1e-6 does
        not count if another output varies. Outputs of integers are compared by equality, the others by ratios.
    """
    floats = {name: values for name, values in reference.items() if values.dtype.kind == "f"}
    integers = [
        IntegerFidelity(name, float((outputs[name] == values).mean()))
        for name, values in reference.items()
        if name not in floats
    ]
    only_integers, reference = not floats, floats or reference
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
    samples = len(next(iter(reference.values())))
    name, agreement = _lowest_agreement(labels or {})
    medians = [_sample_sqnr(reference[name], outputs[name]) for name in reference]
    return Fidelity(
        samples,
        plain,
        centered,
        max(errors),
        agreement.share if agreement else None,
        agreement.flips if agreement else None,
        tied=agreement.tied or None if agreement else None,
        labels=agreement.labels if agreement and agreement.labels != samples else None,
        agreement_of=name if len(labels or {}) > 1 else None,
        sample_sqnr_db=min((median for median in medians if median is not None), default=None),
        worst_part=min(
            (part for name in reference for part in _parts(name, reference[name], outputs[name])),
            key=part_sqnr_db,
            default=None,
        ),
        worst_integers=min(integers, key=lambda output: output.equal, default=None),
        only_integers=only_integers,
    )


class Agreement(NamedTuple):
    """The agreement of the labels of one output.

    Attributes:
        labels: Number of labels.
        tied: Number of labels whose scores tie in the source.
        flips: Number of other labels that differ.
    """

    labels: int
    tied: int
    flips: int

    @property
    def share(self) -> float | None:
        """Fraction of equal labels among those that do not tie; None if all tie."""
        counted = self.labels - self.tied
        return 1 - self.flips / counted if counted else None


def agreement_of(source: np.ndarray, artifact: np.ndarray, tied: np.ndarray) -> Agreement:
    """Compare labels ``[samples, ...]``; those of `tied` are left out."""
    return Agreement(tied.size, int(tied.sum()), int(((source != artifact) & ~tied).sum()))


def _lowest_agreement(
    labels: Mapping[str, tuple[np.ndarray, np.ndarray, np.ndarray]],
) -> tuple[str | None, Agreement | None]:
    """Return the output with the lowest agreement; one of which all labels tie comes first."""
    figures = {name: agreement_of(*arrays) for name, arrays in labels.items()}
    name = min(figures, key=lambda each: -1.0 if (share := figures[each].share) is None else share, default=None)
    return name, figures[name] if name is not None else None


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


def ties(reference: Reference, decision: Decision, output: str | None = None) -> np.ndarray:
    """Return ``[samples, ...]`` of bool, as labels: where the scores that the source decides by almost tie.

    Almost equal are scores, or a score and the threshold, within 1e-6 of the largest absolute score of all samples.

    Args:
        reference: Outputs of a source that classifies.
        decision: Decision of the source.
        output: Output that the decision reads; None for the only one.
    """
    scores = reference.deciding
    if scores is None:
        return _close_scores(reference.outputs[output or next(iter(reference.outputs))], decision)
    threshold = 0.0 if scores.ndim == 1 else None
    return _close_scores(scores, msgspec.structs.replace(decision, threshold=threshold))


def _close_scores(scores: np.ndarray, decision: Decision) -> np.ndarray:
    tolerance = _TIE * float(np.abs(scores).max(initial=0.0))
    if decision.threshold is not None:
        sizes = label_sizes(scores.shape[1:], decision)
        return np.abs(scores.reshape(len(scores), *sizes).astype(np.float64) - decision.threshold) <= tolerance
    axis = decision.axis if scores.ndim > 2 else 1
    top = np.partition(scores, -2, axis=axis) if scores.shape[axis] > 1 else scores
    best, second = (np.take(top, place, axis).astype(np.float64) for place in (-1, -2 if top is not scores else -1))
    return np.asarray(best - second <= tolerance)
