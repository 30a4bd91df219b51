"""From what an artifact gave to what is known of it."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from edgeml.core.artifact import Artifact
from edgeml.core.decisions import Decision, positions
from edgeml.core.goal import Goal
from edgeml.core.recipe import Recipe
from edgeml.core.records.evidence import Evaluation, Fidelity
from edgeml.core.records.evidence_details import MOST_FLIPS, ClassRecall, Evidence, Flip
from edgeml.core.source import Reference, SourceInfo
from edgeml.evaluation import (
    calibration_of,
    class_recalls,
    confusion_of,
    drop_of,
    error_rise,
    fidelity_of,
    judge,
    mcnemar_of,
    meets_floor,
    metrics_of,
    output_errors,
    ties,
    worst_class,
    worst_classes,
    worst_samples,
)
from edgeml.pipeline.evaluation_data import Judged
from edgeml.pipeline.outcome import Proven, Run

__all__ = ["Labels", "compared_sources", "evaluated", "gaps_hold", "judge_run"]


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
        (output,) = info.signature.outputs
        labels = Labels(
            info.decision,
            _labels_of(reference, info, info.decision),
            positions(run.outputs, artifact.signature.outputs, info.decision),
            ties(reference.outputs[output.name], info.decision),
        )
    evaluation, evidence = evaluated(info, reference.outputs, run.outputs, judged.truth, labels)
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


@dataclass(frozen=True, slots=True)
class Labels:
    """A classifier's labels of the same samples, ``[samples]`` each.

    Attributes:
        decision: The source's.
        source: Positions of the source's labels. `artifact`: of the artifact's, -1 for one that is not among them.
        tied: Where the source's scores leave its label open.
    """

    decision: Decision
    source: np.ndarray
    artifact: np.ndarray
    tied: np.ndarray

    @property
    def compared(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As `fidelity_of` takes them."""
        return self.source, self.artifact, self.tied


def evaluated(
    info: SourceInfo,
    reference: dict[str, np.ndarray],
    outputs: dict[str, np.ndarray],
    truth: np.ndarray | None,
    labels: Labels | None,
) -> tuple[Evaluation, Evidence]:
    """Compares an artifact's outputs with the source's, and with the truth where there is one.

    Args:
        info: The source's description.
        reference: Its outputs ``[samples, ...]`` by name.
        outputs: The artifact's.
        truth: Positions of the true labels ``[samples]``, or true values; None without.
        labels: Of classifiers.
    """
    evaluation = Evaluation(fidelity_of(reference, outputs, labels=labels.compared if labels else None))
    parity = {name: fidelity_of({name: values}, {name: outputs[name]}) for name, values in reference.items()}
    evidence = Evidence(_flips(labels, truth) if labels else (), parity=parity)
    if truth is None:
        return evaluation, evidence
    (output,) = info.signature.outputs
    before, after = reference[output.name], outputs[output.name]
    if labels is None:
        return _of_values(info, truth, before, after, evaluation, evidence)
    return _of_labels(truth, before, after, labels, evaluation, evidence)


def _of_values(
    info: SourceInfo,
    truth: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    evaluation: Evaluation,
    evidence: Evidence,
) -> tuple[Evaluation, Evidence]:
    assert info.task is not None
    evaluation = msgspec.structs.replace(
        evaluation,
        metrics=metrics_of(info.task, truth, after, None),
        source_metrics=metrics_of(info.task, truth, before, None),
        drop=drop_of(info.task, truth, before, after),
        error_rise=error_rise(truth, before, after),
    )
    return evaluation, msgspec.structs.replace(
        evidence,
        worst_samples=worst_samples(truth, before, after),
        outputs=output_errors(truth, before, after),
    )


def _of_labels(
    truth: np.ndarray,
    before: np.ndarray,
    after: np.ndarray,
    labels: Labels,
    evaluation: Evaluation,
    evidence: Evidence,
) -> tuple[Evaluation, Evidence]:
    wanted, got, names = labels.source, labels.artifact, labels.decision.labels
    told, tells = (calibration_of(truth, scores, labels.decision) for scores in (before, after))
    evaluation = msgspec.structs.replace(
        evaluation,
        metrics=metrics_of("classification", truth, after, got),
        source_metrics=metrics_of("classification", truth, before, wanted),
        drop=drop_of("classification", truth, wanted, got),
        worst_class=worst_class(truth, wanted, got, names),
        mcnemar=mcnemar_of(truth, wanted, got),
        source_ece=told and told.ece,
        ece=tells and tells.ece,
    )
    recalls = zip(names, class_recalls(truth, wanted, len(names)), class_recalls(truth, got, len(names)), strict=True)
    return evaluation, msgspec.structs.replace(
        evidence,
        recalls=tuple(ClassRecall(*row) for row in recalls),
        confusion=confusion_of(truth, got),
        source_confusion=confusion_of(truth, wanted),
        worst_classes=worst_classes(truth, wanted, got, names),
        calibration=tells,
        source_calibration=told,
    )


def _flips(labels: Labels, truth: np.ndarray | None) -> tuple[Flip, ...]:
    names, got = labels.decision.labels, labels.artifact
    rows = np.flatnonzero((labels.source != got) & ~labels.tied)[:MOST_FLIPS]
    return tuple(
        Flip(
            row,
            names[labels.source[row]],
            names[got[row]] if got[row] >= 0 else None,
            None if truth is None else names[truth[row]],
        )
        for row in rows.tolist()
    )
