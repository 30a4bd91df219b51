"""From proven artifacts to a package's entries."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np

from edgeml.core.artifact import Artifact
from edgeml.core.evidence import Evaluation
from edgeml.core.evidence_file import Evidence
from edgeml.core.goal import Verdict
from edgeml.core.recipe import find_recipe
from edgeml.core.source import Reference
from edgeml.package.arrays import encode_array
from edgeml.package.golden import bounds
from edgeml.package.manifest import ArtifactRecord, Golden, GoldenRun
from edgeml.pipeline.proof import GOLDEN_SAMPLES, Run, golden_rows

__all__ = ["Proven", "artifact_entries", "golden_entries"]


@dataclass(frozen=True, slots=True)
class Proven:
    """An artifact and all that is known of it."""

    artifact: Artifact
    run: Run
    evaluation: Evaluation
    verdict: Verdict
    evidence: Evidence


def artifact_entries(item: Proven, contents: dict[str, bytes]) -> ArtifactRecord:
    """Puts an artifact's entries into `contents` and gives its record."""
    artifact = item.artifact
    file = f"artifacts/{artifact.recipe}.{find_recipe(artifact.recipe).format}"
    contents[file] = artifact.data
    evidence = f"evidence/{artifact.recipe}.json"
    contents[evidence] = msgspec.json.encode(item.evidence) + b"\n"
    return ArtifactRecord(
        artifact.recipe,
        file,
        artifact.signature,
        artifact.needs,
        artifact.lineage,
        item.evaluation,
        item.verdict,
        item.run.latency,
        evidence,
    )


def golden_entries(
    inputs: dict[str, np.ndarray], reference: Reference, proven: list[Proven], contents: dict[str, bytes]
) -> Golden:
    """Puts the golden vectors into `contents` and gives their record."""

    def put(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, str]:
        files = {name: f"golden/{prefix}.{name}.npy" for name in arrays}
        contents.update({files[name]: encode_array(array) for name, array in arrays.items()})
        return files

    wanted = {name: golden_rows(values) for name, values in reference.outputs.items()}
    runs = []
    for item in proven:
        recipe = item.artifact.recipe
        for given in item.run.golden:
            files = put(f"{recipe}.{given.family}", given.raw)
            limits = bounds(given.raw, wanted, item.artifact.signature)
            runs.append(GoldenRun(recipe, given.family, given.engine_version, files, limits))
    return Golden(
        GOLDEN_SAMPLES,
        put("input", {name: golden_rows(array) for name, array in inputs.items()}),
        put("source", wanted),
        tuple(runs),
    )
