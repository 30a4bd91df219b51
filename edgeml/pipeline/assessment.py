"""Assessment of an artifact: comparison with the source and with the truth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from edgeml.core.artifact import Artifact
from edgeml.core.goal import Goal
from edgeml.core.recipe import Recipe
from edgeml.core.records.evidence import Evaluation, OutputEvaluation
from edgeml.core.records.evidence_details import MOST_FLIPS, ClassRecall, Evidence, Flip
from edgeml.core.source import FILES, SourceInfo
from edgeml.core.tensors import Signature
from edgeml.evaluation import (
    Answers,
    TaskScores,
    agreement_of,
    calibration_of,
    class_recalls,
    confusion_of,
    detections_of,
    drop_of,
    error_rise,
    fidelity_of,
    judge,
    least_kept,
    mcnemar_of,
    meets_floor,
    metrics_of,
    output_errors,
    score_detections,
    score_output,
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
        assumptions: What was assumed of the source's task, for the verdicts.
    """

    info: SourceInfo
    goal: Goal
    data: EvaluationData
    trusted_reference: bool = True
    assumptions: tuple[str, ...] = ()

    def assess(self, recipe: Recipe, references: ReferenceSet, artifact: Artifact, run: ProofRun) -> ProvenArtifact:
        """Compare an artifact with its source and with the truth, and return it with a verdict."""
        expected = references.judged
        labels = expected.compare_labels(run.outputs, artifact.signature.whole_outputs)
        evaluation, evidence = evaluate_outputs(self.info, expected.outputs, run.outputs, self.data, labels)
        verdict = judge(
            recipe,
            self.goal,
            evaluation,
            size_bytes=len(artifact.data),
            latency=run.latency,
            classifies=bool(labels),
            labelled=bool(self.data.truth),
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
        floor = self.goal.floor(recipe.floor).agreement
        remarks = (
            *proven.verdict.remarks,
            *_lost_labels(labels, floor),
            *self.assumptions,
            *_form(artifact, self.info),
            *artifact.remarks,
            *run.remarks,
        )
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
        fidelity = fidelity_of(reference.outputs, run.missing_value_outputs, labels=_compared(labels))
        return meets_floor(recipe, self.goal, fidelity, classifies=bool(labels))

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


def _lost_labels(labels: Mapping[str, Labels], floor: float) -> Iterator[str]:
    """Yield the label that is lost most, of outputs with several labels for a sample, where few are kept."""
    for name, each in labels.items():
        worst = least_kept(each.source, each.artifact, each.decision) if each.source.ndim > 1 else None
        if worst is not None and worst[1] < floor:
            yield f"where the source gives the label {worst[0]} in '{name}', {worst[1]:.1%} is kept"


def _compared(labels: Mapping[str, Labels]) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]:
    return {name: each.compared for name, each in labels.items()}


def evaluate_outputs(
    info: SourceInfo,
    reference: dict[str, np.ndarray],
    outputs: dict[str, np.ndarray],
    data: EvaluationData,
    labels: Mapping[str, Labels],
) -> tuple[Evaluation, Evidence]:
    """Compare an artifact's outputs with the source's and, if known, with the truth.

    Args:
        info: Description of the source.
        reference: Outputs of the source ``[samples, ...]`` by name.
        outputs: Outputs of the artifact ``[samples, ...]`` by name.
        data: The judged data, with the truth of each output if known.
        labels: Labels of source and artifact, by output that decides.
    """
    evaluation = Evaluation(fidelity_of(reference, outputs, labels=_compared(labels)))
    evidence = Evidence(
        parity={name: fidelity_of({name: values}, {name: outputs[name]}) for name, values in reference.items()}
    )
    if info.task == "classification":
        ((name, own),) = labels.items()
        truth = data.truth.get(name)
        evidence = msgspec.structs.replace(evidence, flips=_flips(own, truth))
        if truth is None:
            return evaluation, evidence
        return _evaluate_labels(truth, reference[name], outputs[name], own, evaluation, evidence)
    first_input = next(iter(data.inputs.values()))
    scores = {}
    for name, truth in data.truth.items():
        if info.boxes is not None:
            decoded = [detections_of(each, info.boxes) for each in (reference, outputs)]
            scores[name] = score_detections(info.boxes, truth, *decoded)
            continue
        source, artifact = Answers(reference[name]), Answers(outputs[name])
        if name in labels:
            source = source._replace(positions=labels[name].source)
            artifact = artifact._replace(positions=labels[name].artifact)
        scores[name] = score_output(info.tasks[name], truth, source, artifact, first_input)
    if not scores:
        return evaluation, evidence
    if info.heads:
        return _evaluate_heads(scores, labels, evaluation), evidence
    ((name, figures),) = scores.items()
    evaluation = msgspec.structs.replace(
        evaluation, metrics=figures.artifact, source_metrics=figures.source, drop=figures.drop
    )
    evidence = msgspec.structs.replace(evidence, label_scores=figures.label_scores)
    if info.task in {"regression", "reconstruction"}:
        return _evaluate_values(data.truth[name], reference[name], outputs[name], evaluation, evidence)
    return evaluation, evidence


def _evaluate_heads(
    scores: Mapping[str, TaskScores], labels: Mapping[str, Labels], evaluation: Evaluation
) -> Evaluation:
    """Add the figures of each output; those of the output with the largest drop count for the whole."""
    drops = {
        name: msgspec.structs.replace(each.drop, output=name) for name, each in scores.items() if each.drop is not None
    }
    by_output = {
        name: OutputEvaluation(
            each.artifact,
            each.source,
            each.drop,
            agreement_of(*labels[name].compared).share if name in labels else None,
        )
        for name, each in scores.items()
    }
    undefined = [name for name in scores if name not in drops]
    worst = undefined[0] if undefined else max(drops, key=lambda name: drops[name].value)
    return msgspec.structs.replace(
        evaluation,
        metrics=scores[worst].artifact,
        source_metrics=scores[worst].source,
        drop=drops.get(worst),
        outputs=by_output,
    )


def _evaluate_values(
    truth: np.ndarray,
    source_values: np.ndarray,
    artifact_values: np.ndarray,
    evaluation: Evaluation,
    evidence: Evidence,
) -> tuple[Evaluation, Evidence]:
    evaluation = msgspec.structs.replace(evaluation, error_rise=error_rise(truth, source_values, artifact_values))
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


def _form(artifact: Artifact, info: SourceInfo) -> Iterator[str]:
    """Yield remarks on a state, and on tensors without a batch."""
    visible = artifact.signature.visible
    names = [spec.name for spec in (*visible.inputs, *visible.outputs) if spec.unbatched]
    if info.stateful:
        states = [f"'{spec.name}' becomes '{spec.state}'" for spec in artifact.signature.inputs if spec.state]
        named = f" ({', '.join(states)})" if states else ""
        yield f"the model keeps a state{named}: samples are consecutive steps of a sequence"
    if artifact.signature.free_sizes:
        yield f"free sizes: {', '.join(artifact.signature.free_sizes)}; samples of one call share them"
    if names:
        yield f"the file does not show a batch for {', '.join(names)}: a call takes one sample"
