"""From what an artifact gave to what is known of it."""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from edgeml.core.artifact import Artifact
from edgeml.core.evidence import Drop, Evaluation, Fidelity, Metrics, WorstClass
from edgeml.core.goal import Goal
from edgeml.core.recipe import Recipe
from edgeml.core.source import Reference, SourceInfo
from edgeml.core.tensors import Decision, Label, positions
from edgeml.evaluation import class_recalls, drop_of, fidelity_of, judge, meets_floor, metrics_of, ties, worst_class
from edgeml.pipeline.data import Judged
from edgeml.pipeline.entries import Proven
from edgeml.pipeline.proof import Run

__all__ = ["ClassRecall", "Evidence", "Flip", "compared_sources", "gaps_hold", "judge_run"]


class Flip(Struct, frozen=True):
    """A sample that gets another label than the source's."""

    sample: int
    source: Label
    artifact: Label | None


class ClassRecall(Struct, frozen=True):
    """Share of a class's samples that get its label; None without samples."""

    label: Label
    source: float | None
    artifact: float | None


class Evidence(Struct, frozen=True):
    """The details behind a classifier's figures."""

    flips: tuple[Flip, ...]
    recalls: tuple[ClassRecall, ...]


def gaps_hold(info: SourceInfo, recipe: Recipe, goal: Goal, reference: Reference, artifact: Artifact, run: Run) -> bool:
    """Whether an artifact answers samples that lack values as the source does."""
    if run.gap_outputs is None:
        return False
    labels = None
    if info.decision is not None:
        (output,) = info.signature.outputs
        labels = (
            _labels_of(reference, info, info.decision),
            positions(run.gap_outputs, artifact.signature.outputs, info.decision),
            ties(reference.outputs[output.name], info.decision),
        )
    fidelity = fidelity_of(reference.outputs, run.gap_outputs, labels=labels)
    return meets_floor(recipe, goal, fidelity, classifies=labels is not None)


def judge_run(
    info: SourceInfo,
    recipe: Recipe,
    goal: Goal,
    judged: Judged,
    reference: Reference,
    artifact: Artifact,
    run: Run,
    narrowing: Fidelity | None,
) -> Proven:
    """Compares an artifact with its source and with the truth, and gives the verdict."""
    labels = None
    if info.decision is not None:
        wanted = _labels_of(reference, info, info.decision)
        got = positions(run.outputs, artifact.signature.outputs, info.decision)
        (output,) = info.signature.outputs
        labels = wanted, got, ties(reference.outputs[output.name], info.decision)
    evaluation = Evaluation(fidelity_of(reference.outputs, run.outputs, labels=labels))
    evidence = None
    if judged.truth is not None:
        metrics, drop, worst, evidence = _against_truth(info, judged.truth, reference, run, labels)
        evaluation = Evaluation(evaluation.fidelity, metrics, drop, worst)
    elif labels is not None:
        evidence = Evidence(_flips(labels, info), ())
    verdict = judge(
        recipe,
        goal,
        evaluation,
        size_bytes=len(artifact.data),
        latency=run.latency,
        classifies=labels is not None,
        labelled=judged.truth is not None,
        narrowing=narrowing,
        computes=info.computes,
    )
    return Proven(artifact, run, evaluation, verdict, evidence)


def compared_sources(info: SourceInfo, wide: Reference, narrow: Reference) -> Fidelity:
    """How near the source's answers to float32 inputs are to its answers to the same in float64."""
    labels = None
    if info.decision is not None:
        (output,) = info.signature.outputs
        labels = (
            _labels_of(wide, info, info.decision),
            _labels_of(narrow, info, info.decision),
            ties(wide.outputs[output.name], info.decision),
        )
    return fidelity_of(wide.outputs, narrow.outputs, labels=labels)


def _labels_of(reference: Reference, info: SourceInfo, decision: Decision) -> np.ndarray:
    if reference.labels is not None:
        return reference.labels
    return positions(reference.outputs, info.signature.outputs, decision)


def _against_truth(
    info: SourceInfo,
    truth: np.ndarray,
    reference: Reference,
    run: Run,
    labels: tuple[np.ndarray, np.ndarray, np.ndarray] | None,
) -> tuple[Metrics, Drop | None, WorstClass | None, Evidence | None]:
    assert info.task is not None
    (output,) = info.signature.outputs
    scores = run.outputs[output.name]
    if labels is None or info.decision is None:
        return (
            metrics_of(info.task, truth, scores, None),
            drop_of(info.task, truth, reference.outputs[output.name], scores),
            None,
            None,
        )
    wanted, got, _ = labels
    names = info.decision.labels
    recalls = tuple(
        ClassRecall(name, before, after)
        for name, before, after in zip(
            names,
            class_recalls(truth, wanted, len(names)),
            class_recalls(truth, got, len(names)),
            strict=True,
        )
    )
    return (
        metrics_of(info.task, truth, scores, got),
        drop_of(info.task, truth, wanted, got),
        worst_class(truth, wanted, got, names),
        Evidence(_flips(labels, info), recalls),
    )


def _flips(labels: tuple[np.ndarray, np.ndarray, np.ndarray], info: SourceInfo) -> tuple[Flip, ...]:
    assert info.decision is not None
    wanted, got, tied = labels
    names = info.decision.labels
    return tuple(
        Flip(int(row), names[wanted[row]], names[got[row]] if got[row] >= 0 else None)
        for row in np.flatnonzero((wanted != got) & ~tied)
    )
