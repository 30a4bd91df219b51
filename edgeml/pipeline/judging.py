"""From what an artifact gave to what is known of it."""

from __future__ import annotations

import numpy as np

from edgeml.core.artifact import Artifact
from edgeml.core.evidence import Fidelity
from edgeml.core.goal import Goal
from edgeml.core.recipe import Recipe
from edgeml.core.source import Reference, SourceInfo
from edgeml.core.tensors import Decision, positions
from edgeml.evaluation import fidelity_of, judge, meets_floor, ties
from edgeml.pipeline.data import Judged
from edgeml.pipeline.entries import Proven
from edgeml.pipeline.evidence import Labels, evaluated
from edgeml.pipeline.proof import Run

__all__ = ["compared_sources", "gaps_hold", "judge_run"]


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
