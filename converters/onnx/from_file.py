"""An existing ONNX file as the artifact that it is, and a float32 one in the other precisions."""

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

_LEAST_OPSET = 13  # from here on weights can be quantized by channel


def convert(source: OnnxSource, recipe: Recipe, job: ConversionJob) -> Artifact:
    """The file with canonical names where the recipe is its own precision; a float32 one by any ONNX recipe.

    Raises:
        UnsupportedModelError: The file is not in float32 and the recipe is another than its own, or the file's
            batch is fixed and another is asked for.
    """
    if source.precision not in {recipe.precision, "fp32"}:
        raise UnsupportedModelError(
            f"The file is onnx-{source.precision}, and only a float32 one can be brought into other precisions.",
            fix="build from the model that it was made from.",
        )
    model, signature = _batched(source, job.batch)
    lineage = ("the given .onnx file",)
    if recipe.precision == source.precision:
        return canonical_artifact(model, recipe, signature, lineage)
    if recipe.precision in {"int8", "dynamic"}:
        model = job.models.once("onnx upgraded", lambda: _upgraded(model))
    return onnx_artifact(model, recipe, job, signature, lineage)


def _batched(source: OnnxSource, batch: int | None) -> tuple[Any, Signature]:
    signature = source.signature
    found = signature.inputs[0].shape[0]
    if batch in {None, found}:
        return source.model, signature
    if found is not None:
        raise UnsupportedModelError(
            f"The file has a batch of {found}, not of {batch}.",
            fix="leave the batch out, or build from the model that it was made from.",
        )
    model = type(source.model).FromString(source.model.SerializeToString())
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = batch
    del model.graph.value_info[:]

    def fix(specs: Any) -> Any:
        return tuple(msgspec.structs.replace(spec, shape=(batch, *spec.shape[1:])) for spec in specs)

    return model, Signature(fix(signature.inputs), fix(signature.outputs))


def _upgraded(model: Any) -> Any:
    """The model in an opset that quantization by channel needs."""
    import onnx.version_converter

    (opset,) = [entry.version for entry in model.opset_import if entry.domain in {"", "ai.onnx"}] or [_LEAST_OPSET]
    if opset >= _LEAST_OPSET:
        return model
    try:
        return onnx.version_converter.convert_version(model, _LEAST_OPSET)
    except Exception as error:  # its errors come from C++, without a kind of their own
        raise ConversionError(f"ONNX cannot bring the file from opset {opset} to {_LEAST_OPSET}: {error}") from error
