"""Assembly of packages from proven artifacts."""

from __future__ import annotations

import platform
import re

import msgspec
import numpy as np

from edgeml._version import __version__
from edgeml.core.artifact import Artifact
from edgeml.core.finite import finite_samples
from edgeml.core.recipe import find_recipe
from edgeml.core.system.machine import cpu, installed_version
from edgeml.package import Package
from edgeml.package.format import FORMAT
from edgeml.package.golden import bounds
from edgeml.package.manifest import ArtifactRecord, DataRecord, Golden, GoldenRun, Manifest, RefusalRecord
from edgeml.package.npy import encode_array
from edgeml.pipeline.evaluation_data import digest_of_arrays, overlap
from edgeml.pipeline.golden_inputs import GOLDEN_SAMPLES
from edgeml.pipeline.outcome import BuildOutcome, GoldenInputs, GoldenOutputs, ProvenArtifact
from edgeml.pipeline.reproduction import collect_shared_files, create_failure
from edgeml.pipeline.request import BuildRequest

__all__ = ["add_artifact", "add_golden_vectors", "assemble_package", "sanitize_reason"]

_FOLDERS = re.compile(r"(?<![\w./])/(?:[^\s/'\":;,()]+/)+")
_MAX_REASON_CHARS = 2000
_TRAINING = "evidence/training.json"
_TOOLS = ("ai-edge-litert", "onnx", "onnxruntime", "tf2onnx", "skl2onnx", "tensorflow", "numpy")


def sanitize_reason(reason: str) -> str:
    """Shorten a reason for the manifest, and remove folders of this machine from it."""
    return _FOLDERS.sub("", reason)[:_MAX_REASON_CHARS]


def assemble_package(request: BuildRequest, outcome: BuildOutcome) -> Package:
    """Assemble the package of a build."""
    contents: dict[str, bytes] = {}
    records = [add_artifact(item, contents) for item in outcome.proven]
    golden = [
        add_golden_vectors(golden, [(item.artifact, _runs(item, place)) for item in outcome.proven], contents, place)
        for place, golden in enumerate(outcome.golden)
        if outcome.proven
    ] or [Golden(0, {}, {}, ())]
    tools = {tool: version for tool in _TOOLS if (version := installed_version(tool))}
    manifest = Manifest(
        format=FORMAT,
        edgeml=__version__,
        source=outcome.info,
        data=_data(request),
        goal=request.goal,
        tools=tools | {"python": platform.python_version()},
        cpu=cpu(),
        artifacts=tuple(records),
        refused=tuple(RefusalRecord(item.recipe, sanitize_reason(item.reason), item.fix) for item in outcome.refusals),
        golden=golden[0],
        files={},
        preprocessing=request.preprocessing,
        trust_source=request.trust,
        golden_at=tuple(golden[1:]),
        **request.about,
    )
    if request.training is not None:
        contents[_TRAINING] = msgspec.json.encode(request.training)
        manifest = msgspec.structs.replace(manifest, training=_TRAINING)
    failed = [item for item in outcome.refusals if item.failed]
    failures = tuple(create_failure(item, request.file, request.batch, trust=request.trust) for item in failed)
    shared = collect_shared_files(request.file, request.data.inputs, request.calibration) if failed else {}
    return Package.of(manifest, contents, failures=failures, shared_failure_files=shared)


def _data(request: BuildRequest) -> DataRecord:
    calibration = request.calibration
    has_evaluation = request.data.origin == "evaluation"
    arrays = dict(request.data.inputs)
    for name, truth in request.data.truth.items():
        arrays["y" if not request.info.heads else f"y {name}"] = truth
    return DataRecord(
        judged_on=request.data.origin,
        judged_samples=request.data.samples,
        labelled=bool(request.data.truth),
        calibration_samples=len(next(iter(calibration.values()))) if calibration else 0,
        overlap=overlap(calibration, request.data.inputs) if calibration and has_evaluation else 0,
        calibration=digest_of_arrays(calibration) if calibration else None,
        evaluation=digest_of_arrays(arrays) if has_evaluation else None,
        reference=digest_of_arrays(request.reference.outputs) if request.reference is not None else None,
    )


def add_artifact(item: ProvenArtifact, contents: dict[str, bytes]) -> ArtifactRecord:
    """Add an artifact's entries to `contents`; return its record."""
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


def _runs(item: ProvenArtifact, place: int) -> tuple[GoldenOutputs, ...]:
    """Return an artifact's outputs for the golden inputs at a place of `BuildOutcome.golden`."""
    return (item.run.at_sizes[place - 1].golden,) if place else item.run.golden


def add_golden_vectors(
    golden: GoldenInputs,
    proven: list[tuple[Artifact, tuple[GoldenOutputs, ...]]],
    contents: dict[str, bytes],
    place: int = 0,
) -> Golden:
    """Add golden vectors to `contents`; return their record.

    Inputs beyond the first 16 for which an engine returns NaN or infinity are left out.

    Args:
        golden: The golden inputs.
        proven: Artifacts, with the outputs of engines.
        contents: Entries of the package by name.
        place: Number of the golden inputs, for the names of entries.
    """
    raw = [values for _, runs in proven for run in runs for values in run.raw.values()]
    kept = np.arange(len(next(iter(golden.inputs.values())))) < GOLDEN_SAMPLES
    kept |= finite_samples(raw)

    def add_arrays(prefix: str, arrays: dict[str, np.ndarray]) -> dict[str, str]:
        folder = f"golden/{place + 1}" if place else "golden"
        files = {name: f"{folder}/{prefix}.{name}.npy" for name in arrays}
        contents.update({files[name]: encode_array(array) for name, array in arrays.items()})
        return files

    reference = {name: values[kept] for name, values in golden.reference.items()}
    runs = []
    for artifact, own in proven:
        for run in own:
            outputs = {name: values[kept] for name, values in run.raw.items()}
            files = add_arrays(f"{artifact.recipe}.{run.family}", outputs)
            limits = bounds(outputs, reference, artifact.signature)
            runs.append(GoldenRun(artifact.recipe, run.family, run.engine_version, files, limits))
    return Golden(
        int(kept.sum()),
        add_arrays("input", {name: array[kept] for name, array in golden.inputs.items()}),
        add_arrays("source", reference),
        tuple(runs),
        golden.sizes,
    )
