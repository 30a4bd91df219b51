"""The outcomes of a build, step by step: a run of an artifact, its proof, and all recipes together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from msgspec import Struct

from edgeml.core.artifact import Artifact, Refusal
from edgeml.core.goal import Verdict
from edgeml.core.records.evidence import Evaluation, Latency
from edgeml.core.records.evidence_details import Evidence
from edgeml.core.source import Reference

__all__ = ["GoldenAnswers", "Made", "Proven", "Run"]


class GoldenAnswers(Struct, frozen=True):
    """What an engine gave for the golden inputs.

    Attributes:
        family: The engine's family.
        engine_version: Its version.
        raw: Outputs ``[samples, ...]`` by name, in the artifact's dtypes.
    """

    family: str
    engine_version: str
    raw: dict[str, np.ndarray]


class Run(Struct, frozen=True):
    """What an artifact gave.

    Attributes:
        outputs: Arrays ``[samples, ...]`` by output name, in the source's units.
        golden: What engines gave for the golden inputs, the one that is judged first.
        latency: Of one sample on one thread, if it was to be measured.
        remarks: Why an engine that was asked beside the first gave nothing.
        gap_outputs: What it gave for the samples that lack values; None where it takes none, or fails.
    """

    outputs: dict[str, np.ndarray]
    golden: tuple[GoldenAnswers, ...]
    latency: Latency | None
    gap_outputs: dict[str, np.ndarray] | None = None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Proven:
    """An artifact and all that is known of it."""

    artifact: Artifact
    run: Run
    evaluation: Evaluation
    verdict: Verdict
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Made:
    """What came of all recipes.

    Attributes:
        proven: Artifacts that were made and ran.
        refusals: Recipes that gave no artifact, with the reason.
        reference: The source's own answers.
    """

    proven: tuple[Proven, ...]
    refusals: tuple[Refusal, ...]
    reference: Reference
