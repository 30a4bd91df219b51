"""Results of a build's steps: a run of an artifact, its proof, and the outcome of all recipes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from msgspec import Struct

from edgeml.core.artifact import Artifact, Refusal
from edgeml.core.goal import Verdict
from edgeml.core.records.evidence import Evaluation, Latency
from edgeml.core.records.evidence_details import Evidence
from edgeml.core.source import SourceInfo

__all__ = ["BuildOutcome", "GoldenOutputs", "ProofRun", "ProvenArtifact"]


class GoldenOutputs(Struct, frozen=True):
    """The outputs of an engine for the golden inputs.

    Attributes:
        family: Family of the engine.
        engine_version: Version of the engine.
        raw: Outputs ``[samples, ...]`` by name, in the artifact's dtypes.
    """

    family: str
    engine_version: str
    raw: dict[str, np.ndarray]


class ProofRun(Struct, frozen=True):
    """The results of running an artifact.

    Attributes:
        outputs: Arrays ``[samples, ...]`` by output name, in the source's units.
        golden: Outputs of engines for the golden inputs; those of the judged engine come first.
        latency: Latency of one sample on one thread; None if not measured.
        missing_value_outputs: Outputs for the samples with missing values; None if the artifact does not support them,
            or fails.
        probe_outputs: Outputs for the rows made from the source; None where the artifact is not held to them.
        remarks: Reasons why additional engines failed.
    """

    outputs: dict[str, np.ndarray]
    golden: tuple[GoldenOutputs, ...]
    latency: Latency | None
    missing_value_outputs: dict[str, np.ndarray] | None = None
    probe_outputs: dict[str, np.ndarray] | None = None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ProvenArtifact:
    """An artifact with its run, evaluation and verdict.

    Attributes:
        artifact: The artifact.
        run: Results of running the artifact.
        evaluation: Comparison with the source and the truth.
        verdict: The verdict.
        evidence: Details of the evaluation.
    """

    artifact: Artifact
    run: ProofRun
    evaluation: Evaluation
    verdict: Verdict
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class BuildOutcome:
    """The results of all recipes.

    Attributes:
        info: Description of the source, with the thresholds that its outputs show.
        proven: Artifacts that were converted and ran.
        refusals: Recipes without an artifact, with the reasons.
        golden_inputs: Golden inputs ``[samples, ...]`` by input name.
        golden_reference: Outputs of the source for these, by output name.
    """

    info: SourceInfo
    proven: tuple[ProvenArtifact, ...]
    refusals: tuple[Refusal, ...]
    golden_inputs: dict[str, np.ndarray]
    golden_reference: dict[str, np.ndarray]
