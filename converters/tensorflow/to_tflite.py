"""Conversion of TensorFlow functions to TFLite, in every precision."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from edgeml.core.artifact import Artifact
from edgeml.core.conversion import ConversionJob
from edgeml.core.errors import ConversionError, UnsupportedModelError
from edgeml.core.formats.tflite import inspect_tflite
from edgeml.core.recipe import Recipe
from edgeml.core.tensors import Signature, TensorSpec
from edgeml.quantization.calibration_data import calibration_batches
from edgeml.quantization.output_parts import MAX_SAMPLES

from .function import Graph, flat_outputs, freeze, freeze_for_integers
from .operators import TFLITE, keep_divisions

__all__ = ["tflite_artifact"]

_SIGNATURE = "serving_default"
_WEIGHT_DTYPES = {"fp16": "float16", "dynamic": "int8"}  # dtype that at least one weight must be stored in


def tflite_artifact(graph: Graph, recipe: Recipe, job: ConversionJob, lineage: tuple[str, ...]) -> Artifact:
    """Convert a graph by a ``tflite-*`` recipe. int8 and int16x8 models have integer inputs and outputs.

    Raises:
        ConversionError: The converter failed; the message names operators that TFLite lacks.
        UnsupportedModelError: The recipe does not support the model, or would not change it.
    """
    import tensorflow as tf

    integer = recipe.needs_calibration
    if recipe.precision == "int16x8" and graph.integer_inputs:
        raise UnsupportedModelError(
            f"int16x8 does not support inputs of indices or token ids: {', '.join(sorted(graph.integer_inputs))}.",
            fix="use tflite-int8.",
        )
    if integer:
        _check_indices(graph, job)
    # Recipes with the same input encoding share the saved model.
    encoded = any(spec.encoding for spec in graph.signature.inputs)
    name = f"saved_model{'_encoded' if encoded else ''}{'_integer' if integer else ''}"
    folder, outputs = job.models.once(name, lambda: _save(graph, job, name, integer=integer))
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=[_SIGNATURE])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if recipe.precision != "fp32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if recipe.precision == "fp16":
        converter.target_spec.supported_types = [tf.float16]
    if integer:
        converter.representative_dataset = lambda: _calibration(graph, job)
    if recipe.precision == "int8":
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
    if recipe.precision == "int16x8":
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        ]
        converter.inference_input_type = converter.inference_output_type = tf.int16
    try:
        data = converter.convert()
    except Exception as error:  # the converter raises its own and built-in exception types
        if operators := sorted(set(re.findall(r"16x8-bit not yet supported for op: '(\w+)'", str(error)))):
            raise UnsupportedModelError(
                f"Operators without a 16-bit version in TFLite: {', '.join(operators)}.",
                fix="use tflite-int8 or tflite-fp32.",
            ) from error
        raise ConversionError(
            f"The TFLite converter failed: {_summarize_error(str(error))}",
            fix="replace the layer that causes it, or build an onnx-* recipe or another precision.",
        ) from error
    signature, needs, stored_dtypes = inspect_tflite(data, Signature(graph.signature.inputs, outputs))
    _check_weight_dtype(recipe, stored_dtypes)
    return Artifact(recipe.id, data, signature, needs, (*lineage, f"tensorflow {tf.__version__} TFLiteConverter"))


def _save(graph: Graph, job: ConversionJob, name: str, *, integer: bool) -> tuple[Path, tuple[TensorSpec, ...]]:
    """Write the graph as a SavedModel; return its folder, and the specs of its outputs."""
    import tensorflow as tf

    folder, batch = job.folder / name, job.batch or 1
    if integer:
        constant, flat = freeze_for_integers(graph, batch, lambda: _calibration(graph, job, MAX_SAMPLES))
    else:
        constant, flat = keep_divisions(freeze(graph, batch, TFLITE)), flat_outputs(graph)

    def serve(*tensors: Any) -> dict[str, Any]:
        return dict(zip([spec.name for spec in flat], constant(*tensors), strict=True))

    inputs = [
        tf.TensorSpec(end.shape, end.dtype, name=spec.name)
        for spec, end in zip(graph.signature.inputs, constant.inputs, strict=True)
    ]
    module = tf.Module()
    module.serve = tf.function(serve, input_signature=inputs)
    if integer:
        _check_loops(module.serve)
    # Inference needs no gradients, and custom gradients that read a captured constant cannot be saved.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(module, str(folder), signatures={_SIGNATURE: module.serve}, options=options)
    order = [spec.name for spec in graph.signature.outputs]
    return folder, tuple(sorted(flat, key=lambda spec: order.index(spec.source_name)))


def _check_loops(function: Any) -> None:
    """Reject loops: the converter crashes when it calibrates one."""
    loops = {"StatelessWhile", "While"}
    definition = function.get_concrete_function().graph.as_graph_def()
    nodes = [*definition.node, *(node for inner in definition.library.function for node in inner.node_def)]
    if any(node.op in loops for node in nodes):
        raise UnsupportedModelError(
            "The model contains a loop (While), for instance a recurrent layer over a long sequence, which the TFLite "
            "converter cannot calibrate.",
            fix="use tflite-dynamic or onnx-int8, or shorten the sequences.",
        )


def _calibration(graph: Graph, job: ConversionJob, most: int | None = None) -> Iterator[dict[str, np.ndarray]]:
    for batch in calibration_batches(job, graph.signature, most):
        yield {
            name: values.astype(np.int32) if name in graph.integer_inputs else values for name, values in batch.items()
        }


def _check_indices(graph: Graph, job: ConversionJob) -> None:
    """Reject calibration samples that the artifact's int32 inputs cannot represent."""
    limits = np.iinfo(np.int32)
    for name, values in (job.calibration or {}).items():
        if name in graph.integer_inputs and not (limits.min <= values.min() and values.max() <= limits.max):
            raise UnsupportedModelError(
                f"The input '{name}' of tflite-int8 artifacts is int32, and the calibration data hold numbers of more "
                "bits.",
                fix="use tflite-dynamic or onnx-int8.",
            )


def _check_weight_dtype(recipe: Recipe, stored_dtypes: frozenset[str]) -> None:
    """Reject a model that the converter left in float32, since the recipe's name would be wrong."""
    weight_dtype = _WEIGHT_DTYPES.get(recipe.precision)
    if weight_dtype is not None and weight_dtype not in stored_dtypes:
        raise UnsupportedModelError(
            f"The TFLite converter stored no weight as {weight_dtype}: "
            "it does not quantize tensors of fewer than 1,024 elements."
            if recipe.precision == "dynamic"
            else f"The TFLite converter stored no weight as {weight_dtype}.",
            fix="use tflite-fp32.",
        )


def _summarize_error(message: str) -> str:
    """Extract the cause from a converter's message: the operators that TFLite lacks, else the errors that it names."""
    unsupported = dict.fromkeys(re.findall(r"^\s*(tf\.\w+\([^)]*\)) ->", message, re.MULTILINE))
    if unsupported:
        return f"operators that are not supported in TFLite: {', '.join(unsupported)}."
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    causes = [line.rpartition("error: ")[2] for line in lines if "error:" in line]
    return " ".join(dict.fromkeys(causes or lines[:1] or ["no reason given"]))[:400]
