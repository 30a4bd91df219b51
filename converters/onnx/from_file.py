"""Artifacts from an existing ONNX file: as it is, or converted from float32 to other precisions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from edgeml.core.artifact import Artifact
from edgeml.core.conversion import ConversionJob, OnnxSource, size_steps
from edgeml.core.errors import ConversionError, UnsupportedModelError
from edgeml.core.formats.onnx_canonical import canonicalize
from edgeml.core.recipe import Recipe
from edgeml.core.tensors import Signature
from edgeml.quantization.onnx_precision import canonical_artifact, onnx_artifact
from edgeml.quantization.onnx_steps import run_steps

from .reserved_names import renamed_job, renamed_model, renamed_signature, reserved_names

__all__ = ["convert"]

_MIN_OPSET = 13  # the first opset with per-channel quantization of weights


def convert(source: OnnxSource, recipe: Recipe, job: ConversionJob) -> Artifact:
    """Convert an ONNX file: with canonical names for its own precision, and from float32 by any other ONNX recipe.

    Raises:
        UnsupportedModelError: The recipe differs from the precision of a file that is not float32, or the requested
            batch size differs from the fixed one of the file.
    """
    if source.precision not in {recipe.precision, "fp32"}:
        raise UnsupportedModelError(
            f"The file is onnx-{source.precision}; only float32 files can be converted to other precisions.",
            fix="build from the model that the file was exported from.",
        )
    model, signature = _set_batch(source, job.batch)
    lineage = ("the given .onnx file", *size_steps(source.sizes))
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    if recipe.precision == source.precision:
        return canonical_artifact(model, recipe, signature, lineage, metadata)
    plain = job.models.once("onnx plain", lambda: _plain(model))
    if recipe.precision == "int8":
        job = _with_states(job, model, signature)
    names = reserved_names(signature)
    if not names:
        return onnx_artifact(plain, recipe, job, signature, lineage, metadata)
    # The quantizer names tensors after others, and would take these for its own.
    artifact = onnx_artifact(
        renamed_model(plain, names), recipe, renamed_job(job, names), renamed_signature(signature, names), lineage
    )
    model = type(model).FromString(artifact.data)
    own = {new: name for name, new in names.items()}
    return msgspec.structs.replace(
        canonical_artifact(renamed_model(model, own), recipe, signature, artifact.lineage, metadata),
        remarks=artifact.remarks,
    )


def _set_batch(source: OnnxSource, batch: int | None) -> tuple[Any, Signature]:
    signature = source.signature
    file_batch = signature.inputs[0].shape[0]
    if batch in {None, file_batch}:
        return source.model, signature
    if signature.visible is not signature and batch != 1:
        raise UnsupportedModelError(
            f"A model with a state runs one sequence: expected a batch of 1, got batch={batch}.", fix="leave it out."
        )
    if file_batch is not None:
        raise UnsupportedModelError(
            f"The file has a fixed batch size of {file_batch}; got batch={batch}.",
            fix="leave the batch out, or build from the model that the file was exported from.",
        )
    model = type(source.model).FromString(source.model.SerializeToString())
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = batch
    del model.graph.value_info[:]

    def fix(specs: Any) -> Any:
        return tuple(msgspec.structs.replace(spec, shape=(batch, *spec.shape[1:])) for spec in specs)

    return model, Signature(fix(signature.inputs), fix(signature.outputs))


def _with_states(job: ConversionJob, model: Any, signature: Signature) -> ConversionJob:
    """Return the job with the model's states at the steps of the calibration samples, one after the other."""
    if job.calibration is None or signature.visible is signature:
        return job
    _, states = run_steps(model, signature, job.calibration)
    return replace(job, calibration={**job.calibration, **states})


def _plain(model: Any) -> Any:
    """Return a copy in an opset that tools take, with canonical names, which no name that they add equals."""
    return canonicalize(_upgrade_opset(type(model).FromString(model.SerializeToString())))


def _upgrade_opset(model: Any) -> Any:
    """Return the model in an opset that supports per-channel quantization."""
    import onnx.version_converter

    version = next((entry.version for entry in model.opset_import if entry.domain == ""), _MIN_OPSET)
    if version >= _MIN_OPSET:
        return model
    try:
        return onnx.version_converter.convert_version(model, _MIN_OPSET)
    except Exception as error:  # errors from C++, without an exception type of their own
        raise ConversionError(
            f"The recipe needs ONNX opset {_MIN_OPSET}, and onnx does not convert the file from opset {version}.",
            fix="use onnx-fp32, or export the model again with a newer opset.",
            log=str(error),
        ) from error
