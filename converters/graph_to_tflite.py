"""TensorFlow function to TFLite, in every precision."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from edgeml.core.artifact import Artifact
from edgeml.core.conversion import ConversionJob
from edgeml.core.errors import ConversionError, UnsupportedModelError
from edgeml.core.recipe import Recipe

from .calibration import calibration_batches
from .graph import Graph
from .tflite_inspect import inspect_tflite

__all__ = ["tflite_artifact"]

_SIGNATURE = "serving_default"
_STORED = {"fp16": "float16", "dynamic": "int8"}  # what some weight must be stored in


def tflite_artifact(graph: Graph, recipe: Recipe, job: ConversionJob, lineage: tuple[str, ...]) -> Artifact:
    """Converts a graph by a ``tflite-*`` recipe. int8 and int16x8 take and give integers.

    Raises:
        ConversionError: The converter failed; an operator that TFLite lacks is named.
        UnsupportedModelError: The recipe would leave the model as it is.
    """
    import tensorflow as tf

    # Recipes share the graph, as far as they share what is done to its inputs.
    key = "encoded_model" if any(spec.encoding for spec in graph.signature.inputs) else "saved_model"
    folder = job.once(key, lambda: _save(graph, job.folder / key, job.batch or 1))
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=[_SIGNATURE])
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if recipe.precision != "fp32":
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if recipe.precision == "fp16":
        converter.target_spec.supported_types = [tf.float16]
    if recipe.needs_calibration:
        converter.representative_dataset = lambda: calibration_batches(job, graph.signature)
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
    except Exception as error:  # the converter raises several kinds, its own and Python's
        if narrow := sorted(set(re.findall(r"16x8-bit not yet supported for op: '(\w+)'", str(error)))):
            raise UnsupportedModelError(
                f"TFLite has no 16-bit form of the operator {', '.join(narrow)}.", fix="use tflite-int8 or tflite-fp32."
            ) from error
        raise ConversionError(f"The TFLite converter refused it: {_essence(str(error))}") from error
    signature, needs, stored = inspect_tflite(data, graph.signature)
    _check_stored(recipe, stored)
    return Artifact(recipe.id, data, signature, needs, (*lineage, f"tensorflow {tf.__version__} TFLiteConverter"))


def _save(graph: Graph, folder: Path, batch: int) -> Path:
    """Writes the graph as a SavedModel whose weights are constants: with variables, calibration fails."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    inputs = [tf.TensorSpec((batch, *spec.shape[1:]), tf.float32, name=spec.name) for spec in graph.signature.inputs]
    traced = tf.function(graph.function, input_signature=inputs).get_concrete_function()
    frozen = convert_variables_to_constants_v2(traced)
    names = sorted(spec.name for spec in graph.signature.outputs)  # the order in which TensorFlow flattens a dict

    def serve(*tensors: Any) -> dict[str, Any]:
        return dict(zip(names, frozen(*tensors), strict=True))

    module = tf.Module()
    module.serve = tf.function(serve, input_signature=inputs)
    tf.saved_model.save(module, str(folder), signatures={_SIGNATURE: module.serve})
    return folder


def _check_stored(recipe: Recipe, stored: frozenset[str]) -> None:
    """Refuses a model that the converter left in float32: shipping it under the recipe's name would be a lie."""
    wanted = _STORED.get(recipe.precision)
    if wanted is not None and wanted not in stored:
        raise UnsupportedModelError(
            f"The TFLite converter found no weight to store in {wanted}: "
            "it leaves those of fewer than 1,024 elements as they are."
            if recipe.precision == "dynamic"
            else f"The TFLite converter found no weight to store in {wanted}.",
            fix="use tflite-fp32.",
        )


def _essence(message: str) -> str:
    """What a converter's message says of the cause: the operators that TFLite lacks, else its first error."""
    foreign = dict.fromkeys(re.findall(r"^\s*(tf\.\w+\([^)]*\)) ->", message, re.MULTILINE))
    if foreign:
        return f"TFLite has no operator for {', '.join(foreign)}."
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    causes = [line.rpartition("error: ")[2] for line in lines if "error:" in line]
    return " ".join(dict.fromkeys(causes or lines[:1] or ["it gave no reason"]))[:400]
