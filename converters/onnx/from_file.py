"""Artifacts from an existing ONNX file: as it is, or converted from float32 to other precisions."""

from __future__ import annotations

from typing import Any

import msgspec

from edgeml.core.artifact import Artifact
from edgeml.core.conversion import ConversionJob, OnnxSource
from edgeml.core.errors import ConversionError, UnsupportedModelError
from edgeml.core.recipe import Recipe
from edgeml.core.tensors import Signature
from edgeml.quantization.onnx_precision import canonical_artifact, onnx_artifact

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
    lineage = ("the given .onnx file",)
    if recipe.precision == source.precision:
        return canonical_artifact(model, recipe, signature, lineage)
    if recipe.precision in {"int8", "dynamic"}:
        model = job.models.once("onnx upgraded", lambda: _upgrade_opset(model))
    return onnx_artifact(model, recipe, job, signature, lineage)


def _set_batch(source: OnnxSource, batch: int | None) -> tuple[Any, Signature]:
    signature = source.signature
    file_batch = signature.inputs[0].shape[0]
    if batch in {None, file_batch}:
        return source.model, signature
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


def _upgrade_opset(model: Any) -> Any:
    """Return the model in an opset that supports per-channel quantization."""
    import onnx.version_converter

    (version,) = [entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"}] or [_MIN_OPSET]
    if version >= _MIN_OPSET:
        return model
    try:
        return onnx.version_converter.convert_version(model, _MIN_OPSET)
    except Exception as error:  # errors from C++, without an exception type of their own
        raise ConversionError(
            f"The file cannot be upgraded from ONNX opset {version} to {_MIN_OPSET}: {error}"
        ) from error
