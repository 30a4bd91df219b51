"""From what an artifact gave to what is known of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import msgspec
import numpy as np

from edgeml.core.artifact import Artifact
from edgeml.core.goal import Goal
from edgeml.core.recipe import Recipe
from edgeml.core.records.evidence import Evaluation
from edgeml.core.records.evidence_details import MOST_FLIPS, ClassRecall, Evidence, Flip
from edgeml.core.source import FILES, SourceInfo
from edgeml.core.tensors import Signature
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
    worst_class,
    worst_classes,
    worst_samples,
)
from edgeml.pipeline.evaluation_data import EvaluationData
from edgeml.pipeline.missing_values import lacks_values
from edgeml.pipeline.outcome import Proven, Run
from edgeml.pipeline.reference import Answers, Labels, ReferenceOutputs

__all__ = ["Assessor", "evaluated"]

_OWN_REFERENCE = (
    "the reference is the given file itself: how near it is to the model that it was made from is not known"
)
_OTHER_GAPS = "samples that lack a value get other answers than the source's"


@dataclass(frozen=True, slots=True)
class Assessor:
    """What all artifacts of a build are compared with.

    Attributes:
        info: The source's description.
        goal: The caller's goal.
        data: The data that artifacts are judged on.
        vouched: Whether an existing file's reference is that of the model it was made from.
    """

    info: SourceInfo
    goal: Goal
    data: EvaluationData
    vouched: bool = True

    def assess(self, recipe: Recipe, answers: Answers, artifact: Artifact, run: Run) -> Proven:
        """Compare an artifact with its source and with the truth, and give the verdict."""
        reference = answers.reference
        labels = reference.labels_beside(run.outputs, artifact.signature.outputs)
        evaluation, evidence = evaluated(self.info, reference.outputs, run.outputs, self.data.truth, labels)
        verdict = judge(
            recipe,
            self.goal,
            evaluation,
            size_bytes=len(artifact.data),
            latency=run.latency,
            classifies=labels is not None,
            labelled=self.data.truth is not None,
            narrowing=answers.narrowing,
            computes=self.info.computes,
        )
        proven = Proven(artifact, run, evaluation, verdict, evidence)
        takes_gaps = any(spec.gaps for spec in artifact.signature.inputs)
        if answers.gaps is not None and takes_gaps and not self._gaps_hold(recipe, answers.gaps, artifact, run):
            proven = self._without_gaps(proven)
        remarks = (*proven.verdict.remarks, *run.remarks)
        if self.info.framework in FILES and not self.vouched:
            remarks = (*remarks, _OWN_REFERENCE)
        return replace(proven, verdict=msgspec.structs.replace(proven.verdict, remarks=remarks))

    def _gaps_hold(self, recipe: Recipe, reference: ReferenceOutputs, artifact: Artifact, run: Run) -> bool:
        """Whether an artifact answers samples that lack values as the source does."""
        if run.gap_outputs is None:
            return False
        labels = reference.labels_beside(run.gap_outputs, artifact.signature.outputs)
        fidelity = fidelity_of(reference.outputs, run.gap_outputs, labels=labels.compared if labels else None)
        return meets_floor(recipe, self.goal, fidelity, classifies=labels is not None)

    def _without_gaps(self, item: Proven) -> Proven:
        """The same without leave to lack values, or rejected where the data lack some."""
        verdict = item.verdict
        if lacks_values(self.data.inputs):
            reasons = (*verdict.reasons, _OTHER_GAPS)
            return replace(item, verdict=msgspec.structs.replace(verdict, status="rejected", reasons=reasons))
        inputs = tuple(msgspec.structs.replace(spec, gaps=False) for spec in item.artifact.signature.inputs)
        signature = Signature(inputs, item.artifact.signature.outputs)
        remarks = (*verdict.remarks, f"{_OTHER_GAPS}, and are refused")
        return replace(
            item,
            artifact=msgspec.structs.replace(item.artifact, signature=signature),
            verdict=msgspec.structs.replace(verdict, remarks=remarks),
        )


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
