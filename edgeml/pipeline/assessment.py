"""Assessment of an artifact: comparison with the source and with the truth."""

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
from edgeml.pipeline.missing_values import has_missing_values
from edgeml.pipeline.outcome import ProofRun, ProvenArtifact
from edgeml.pipeline.reference import Labels, ReferenceOutputs, ReferenceSet

__all__ = ["Assessor", "evaluate_outputs"]

_FILE_IS_REFERENCE = (
    "the reference is the given file itself: its fidelity to the model that it was converted from is unknown"
)
_MISSING_VALUES_DIFFER = "predictions for samples with missing values differ from the source's"


@dataclass(frozen=True, slots=True)
class Assessor:
    """Assessment of all artifacts of a build against the same source, goal and data.

    Attributes:
        info: Description of the source.
        goal: The caller's goal.
        data: Data that artifacts are judged on.
        trusted_reference: For existing files, the reference is that of the model that the file was converted from.
    """

    info: SourceInfo
    goal: Goal
    data: EvaluationData
    trusted_reference: bool = True

    def assess(self, recipe: Recipe, references: ReferenceSet, artifact: Artifact, run: ProofRun) -> ProvenArtifact:
        """Compare an artifact with its source and with the truth, and return it with a verdict."""
        expected = references.judged
        labels = expected.compare_labels(run.outputs, artifact.signature.whole_outputs)
        evaluation, evidence = evaluate_outputs(self.info, expected.outputs, run.outputs, self.data.truth, labels)
        verdict = judge(
            recipe,
            self.goal,
            evaluation,
            size_bytes=len(artifact.data),
            latency=run.latency,
            classifies=labels is not None,
            labelled=self.data.truth is not None,
            float32_fidelity=references.float32_fidelity,
            computes=self.info.computes,
            noise=references.noise,
        )
        proven = ProvenArtifact(artifact, run, evaluation, verdict, evidence)
        supports_missing = any(spec.missing_values for spec in artifact.signature.inputs)
        if (
            references.missing_values is not None
            and supports_missing
            and not self._missing_values_agree(recipe, references.missing_values, artifact, run)
        ):
            proven = self._restrict_missing_values(proven)
        remarks = (*proven.verdict.remarks, *run.remarks)
        if self.info.framework in FILES and not self.trusted_reference:
            remarks = (*remarks, _FILE_IS_REFERENCE)
        return replace(proven, verdict=msgspec.structs.replace(proven.verdict, remarks=remarks))

    def _missing_values_agree(
        self, recipe: Recipe, reference: ReferenceOutputs, artifact: Artifact, run: ProofRun
    ) -> bool:
        """Test whether an artifact predicts samples with missing values like the source."""
        if run.missing_value_outputs is None:
            return False
        labels = reference.compare_labels(run.missing_value_outputs, artifact.signature.whole_outputs)
        fidelity = fidelity_of(reference.outputs, run.missing_value_outputs, labels=labels.compared if labels else None)
        return meets_floor(recipe, self.goal, fidelity, classifies=labels is not None)

    def _restrict_missing_values(self, proven: ProvenArtifact) -> ProvenArtifact:
        """Withdraw support for missing values; reject the artifact if the judged data have some."""
        verdict = proven.verdict
        if has_missing_values(self.data.inputs):
            reasons = (*verdict.reasons, _MISSING_VALUES_DIFFER)
            return replace(proven, verdict=msgspec.structs.replace(verdict, status="rejected", reasons=reasons))
        inputs = tuple(msgspec.structs.replace(spec, missing_values=False) for spec in proven.artifact.signature.inputs)
        signature = Signature(inputs, proven.artifact.signature.outputs)
        remarks = (*verdict.remarks, f"{_MISSING_VALUES_DIFFER}; such samples are refused")
        return replace(
            proven,
            artifact=msgspec.structs.replace(proven.artifact, signature=signature),
            verdict=msgspec.structs.replace(verdict, remarks=remarks),
        )


def evaluate_outputs(
    info: SourceInfo,
    reference: dict[str, np.ndarray],
    outputs: dict[str, np.ndarray],
    truth: np.ndarray | None,
    labels: Labels | None,
) -> tuple[Evaluation, Evidence]:
    """Compare an artifact's outputs with the source's and, if known, with the truth.

    Args:
        info: Description of the source.
        reference: Outputs of the source ``[samples, ...]`` by name.
        outputs: Outputs of the artifact ``[samples, ...]`` by name.
        truth: Positions of the true labels ``[samples]``, or true values; None if unknown.
        labels: Labels of source and artifact, for classifiers; None for other models.
    """
    evaluation = Evaluation(fidelity_of(reference, outputs, labels=labels.compared if labels else None))
    parity = {name: fidelity_of({name: values}, {name: outputs[name]}) for name, values in reference.items()}
    evidence = Evidence(_flips(labels, truth) if labels else (), parity=parity)
    if truth is None:
        return evaluation, evidence
    (output,) = info.signature.outputs
    source_values, artifact_values = reference[output.name], outputs[output.name]
    if labels is None:
        return _evaluate_values(info, truth, source_values, artifact_values, evaluation, evidence)
    return _evaluate_labels(truth, source_values, artifact_values, labels, evaluation, evidence)


def _evaluate_values(
    info: SourceInfo,
    truth: np.ndarray,
    source_values: np.ndarray,
    artifact_values: np.ndarray,
    evaluation: Evaluation,
    evidence: Evidence,
) -> tuple[Evaluation, Evidence]:
    assert info.task is not None
    evaluation = msgspec.structs.replace(
        evaluation,
        metrics=metrics_of(info.task, truth, artifact_values, None),
        source_metrics=metrics_of(info.task, truth, source_values, None),
        drop=drop_of(info.task, truth, source_values, artifact_values),
        error_rise=error_rise(truth, source_values, artifact_values),
    )
    return evaluation, msgspec.structs.replace(
        evidence,
        worst_samples=worst_samples(truth, source_values, artifact_values),
        outputs=output_errors(truth, source_values, artifact_values),
    )


def _evaluate_labels(
    truth: np.ndarray,
    source_values: np.ndarray,
    artifact_values: np.ndarray,
    labels: Labels,
    evaluation: Evaluation,
    evidence: Evidence,
) -> tuple[Evaluation, Evidence]:
    source_positions, artifact_positions, names = labels.source, labels.artifact, labels.decision.labels
    source_calibration, artifact_calibration = (
        calibration_of(truth, scores, labels.decision) for scores in (source_values, artifact_values)
    )
    evaluation = msgspec.structs.replace(
        evaluation,
        metrics=metrics_of("classification", truth, artifact_values, artifact_positions),
        source_metrics=metrics_of("classification", truth, source_values, source_positions),
        drop=drop_of("classification", truth, source_positions, artifact_positions),
        worst_class=worst_class(truth, source_positions, artifact_positions, names),
        mcnemar=mcnemar_of(truth, source_positions, artifact_positions),
        source_ece=source_calibration and source_calibration.ece,
        ece=artifact_calibration and artifact_calibration.ece,
    )
    recalls = zip(
        names,
        class_recalls(truth, source_positions, len(names)),
        class_recalls(truth, artifact_positions, len(names)),
        strict=True,
    )
    return evaluation, msgspec.structs.replace(
        evidence,
        recalls=tuple(ClassRecall(*row) for row in recalls),
        confusion=confusion_of(truth, artifact_positions),
        source_confusion=confusion_of(truth, source_positions),
        worst_classes=worst_classes(truth, source_positions, artifact_positions, names),
        calibration=artifact_calibration,
        source_calibration=source_calibration,
    )


def _flips(labels: Labels, truth: np.ndarray | None) -> tuple[Flip, ...]:
    names, artifact_positions = labels.decision.labels, labels.artifact
    rows = np.flatnonzero((labels.source != artifact_positions) & ~labels.tied)[:MOST_FLIPS]
    return tuple(
        Flip(
            row,
            names[labels.source[row]],
            names[artifact_positions[row]] if artifact_positions[row] >= 0 else None,
            None if truth is None else names[truth[row]],
        )
        for row in rows.tolist()
    )
