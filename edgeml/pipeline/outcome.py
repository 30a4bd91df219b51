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

__all__ = ["BuildOutcome", "GoldenInputs", "GoldenOutputs", "ProofRun", "ProvenArtifact", "SizedRun"]


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


class SizedRun(Struct, frozen=True):
    """The outputs of an artifact with free sizes for samples of other sizes than the judged data's.

    Attributes:
        outputs: Arrays ``[samples, ...]`` by output name, in the source's units.
        golden: Those for golden inputs, the first of the samples, in the artifact's dtypes.
    """

    outputs: dict[str, np.ndarray]
    golden: GoldenOutputs


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
        at_sizes: Outputs for samples of other sizes, of an artifact with free sizes.
    """

    outputs: dict[str, np.ndarray]
    golden: tuple[GoldenOutputs, ...]
    latency: Latency | None
    missing_value_outputs: dict[str, np.ndarray] | None = None
    probe_outputs: dict[str, np.ndarray] | None = None
    remarks: tuple[str, ...] = ()
    at_sizes: tuple[SizedRun, ...] = ()


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
class GoldenInputs:
    """Golden inputs, with the source's outputs for them.

    Attributes:
        inputs: Arrays ``[samples, ...]`` by input name.
        reference: Outputs of the source, by output name.
        sizes: Their number for each free size, by name; empty without free sizes.
    """

    inputs: dict[str, np.ndarray]
    reference: dict[str, np.ndarray]
    sizes: dict[str, int]


@dataclass(frozen=True, slots=True)
class BuildOutcome:
    """The results of all recipes.

    Attributes:
        info: Description of the source, with the thresholds that its outputs show.
        proven: Artifacts that were converted and ran.
        refusals: Recipes without an artifact, with the reasons.
        golden: Golden inputs of the judged data's sizes; then those of other sizes, of a source with free sizes.
    """

    info: SourceInfo
    proven: tuple[ProvenArtifact, ...]
    refusals: tuple[Refusal, ...]
    golden: tuple[GoldenInputs, ...]
