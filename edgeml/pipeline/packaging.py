"""From proven artifacts to a package."""

from __future__ import annotations

import platform
import re

import msgspec
import numpy as np

from edgeml._version import __version__
from edgeml.core.recipe import find_recipe
from edgeml.core.source import Reference
from edgeml.core.system.machine import cpu, installed_version
from edgeml.package import Package
from edgeml.package.format import FORMAT
from edgeml.package.golden import bounds
from edgeml.package.manifest import ArtifactRecord, DataRecord, Golden, GoldenRun, Manifest, RefusalRecord
from edgeml.package.npy import encode_array
from edgeml.pipeline.children.prove import GOLDEN_SAMPLES, golden_rows
from edgeml.pipeline.evaluation_data import digest_of_arrays, overlap
from edgeml.pipeline.outcome import Made, Proven
from edgeml.pipeline.reproduction import failure_of, shared_files
from edgeml.pipeline.request import Request

__all__ = ["artifact_entries", "assembled", "golden_entries", "told"]

_FOLDERS = re.compile(r"(?<![\w./])/(?:[^\s/'\":;,()]+/)+")
_REASON_CHARS = 2000
_TRAINING = "evidence/training.json"
_TOOLS = ("ai-edge-litert", "onnx", "onnxruntime", "tf2onnx", "skl2onnx", "tensorflow", "numpy")


def told(reason: str) -> str:
    """A tool's words as the manifest keeps them: no folder of this machine, and no page of text."""
    return _FOLDERS.sub("", reason)[:_REASON_CHARS]


def assembled(request: Request, made: Made) -> Package:
    """The package of what was made."""
    contents: dict[str, bytes] = {}
    records = [artifact_entries(item, contents) for item in made.proven]
    golden = (
        golden_entries(request.data.inputs, made.reference, list(made.proven), contents)
        if made.proven
        else Golden(0, {}, {}, ())
    )
    tools = {tool: found for tool in _TOOLS if (found := installed_version(tool))}
    manifest = Manifest(
        format=FORMAT,
        edgeml=__version__,
        source=request.info,
        data=_data(request),
        goal=request.goal,
        tools=tools | {"python": platform.python_version()},
        cpu=cpu(),
        artifacts=tuple(records),
        refused=tuple(RefusalRecord(item.recipe, told(item.reason), item.fix) for item in made.refusals),
        golden=golden,
        files={},
        preprocessing=request.preprocessing,
        **request.about,
    )
    if request.training is not None:
        contents[_TRAINING] = msgspec.json.encode(request.training)
        manifest = msgspec.structs.replace(manifest, training=_TRAINING)
    failed = [item for item in made.refusals if item.failed]
    failures = tuple(failure_of(item, request.file, request.batch, trust=request.trust) for item in failed)
    shared = shared_files(request.file, request.data.inputs, request.calibration) if failed else {}
    return Package.of(manifest, contents, failures=failures, shared_failure_files=shared)


def _data(request: Request) -> DataRecord:
    given = request.calibration
    evaluated = request.data.origin == "evaluation"
    arrays = dict(request.data.inputs)
    if request.data.truth is not None:
        arrays["y"] = request.data.truth
    return DataRecord(
        judged_on=request.data.origin,
        judged_samples=request.data.samples,
        labelled=request.data.truth is not None,
        calibration_samples=len(next(iter(given.values()))) if given else 0,
        overlap=overlap(given, request.data.inputs) if given and evaluated else 0,
        calibration=digest_of_arrays(given) if given else None,
        evaluation=digest_of_arrays(arrays) if evaluated else None,
        reference=digest_of_arrays(request.reference.outputs) if request.reference is not None else None,
    )


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
