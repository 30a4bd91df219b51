"""From proven artifacts to a package."""

from __future__ import annotations

import platform
import re

from edgeml._version import __version__
from edgeml.core.machine import cpu, installed_version
from edgeml.package import Package
from edgeml.package.manifest import FORMAT, DataRecord, Golden, Manifest, RefusalRecord
from edgeml.pipeline.data import digest_of_arrays, overlap
from edgeml.pipeline.entries import artifact_entries, golden_entries
from edgeml.pipeline.failures import failure_of, shared_files
from edgeml.pipeline.making import Made
from edgeml.pipeline.plan import Plan

__all__ = ["assembled", "told"]

_FOLDERS = re.compile(r"(?<![\w./])/(?:[^\s/'\":;,()]+/)+")
_REASON_CHARS = 2000
_TOOLS = ("ai-edge-litert", "onnx", "onnxruntime", "tf2onnx", "skl2onnx", "tensorflow", "numpy")


def told(reason: str) -> str:
    """A tool's words as the manifest keeps them: no folder of this machine, and no page of text."""
    return _FOLDERS.sub("", reason)[:_REASON_CHARS]


def assembled(plan: Plan, made: Made, **about: str) -> Package:
    """The package of what was made."""
    contents: dict[str, bytes] = {}
    records = [artifact_entries(item, contents) for item in made.proven]
    golden = (
        golden_entries(plan.judged.inputs, made.reference, list(made.proven), contents)
        if made.proven
        else Golden(0, {}, {}, ())
    )
    tools = {tool: found for tool in _TOOLS if (found := installed_version(tool))}
    manifest = Manifest(
        format=FORMAT,
        edgeml=__version__,
        source=plan.info,
        data=_data(plan),
        goal=plan.goal,
        tools=tools | {"python": platform.python_version()},
        cpu=cpu(),
        artifacts=tuple(records),
        refused=tuple(RefusalRecord(item.recipe, told(item.reason), item.fix) for item in made.refusals),
        golden=golden,
        files={},
        preprocessing=plan.preprocessing,
        **about,
    )
    failed = [item for item in made.refusals if item.failed]
    failures = tuple(failure_of(item, plan.file, plan.batch, trust=plan.trust) for item in failed)
    shared = shared_files(plan.file, plan.judged.inputs, plan.calibration) if failed else {}
    return Package.of(manifest, contents, failures=failures, shared_failure_files=shared)


def _data(plan: Plan) -> DataRecord:
    given = plan.calibration
    evaluated = plan.judged.origin == "evaluation"
    arrays = dict(plan.judged.inputs)
    if plan.judged.truth is not None:
        arrays["y"] = plan.judged.truth
    return DataRecord(
        judged_on=plan.judged.origin,
        judged_samples=plan.judged.samples,
        labelled=plan.judged.truth is not None,
        calibration_samples=len(next(iter(given.values()))) if given else 0,
        overlap=overlap(given, plan.judged.inputs) if given and evaluated else 0,
        calibration=digest_of_arrays(given) if given else None,
        evaluation=digest_of_arrays(arrays) if evaluated else None,
        reference=digest_of_arrays(plan.reference.outputs) if plan.reference is not None else None,
    )
