"""TensorFlow function to TFLite, in every precision."""

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
from edgeml.quantization.calibration_data import calibration_batches

from .function import Graph, frozen

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

    integer = recipe.needs_calibration
    if recipe.precision == "int16x8" and graph.whole:
        raise UnsupportedModelError(
            f"The TFLite converter cannot have inputs that number things ({', '.join(sorted(graph.whole))}) beside "
            "16-bit values.",
            fix="use tflite-int8.",
        )
    # Recipes share the graph, as far as they share what is done to its inputs.
    encoded = any(spec.encoding for spec in graph.signature.inputs)
    name = f"saved_model{'_encoded' if encoded else ''}{'_integer' if integer else ''}"
    folder = job.paths.once(name, lambda: _save(graph, job.folder / name, job.batch or 1, integer=integer))
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
    except Exception as error:  # the converter raises several kinds, its own and Python's
        if narrow := sorted(set(re.findall(r"16x8-bit not yet supported for op: '(\w+)'", str(error)))):
            raise UnsupportedModelError(
                f"TFLite has no 16-bit form of the operator {', '.join(narrow)}.", fix="use tflite-int8 or tflite-fp32."
            ) from error
        raise ConversionError(
            f"The TFLite converter refused it: {_essence(str(error))}",
            fix="replace the layer that it is of, or see whether an onnx-* recipe or another precision is made.",
        ) from error
    signature, needs, stored = inspect_tflite(data, graph.signature)
    _check_stored(recipe, stored)
    return Artifact(recipe.id, data, signature, needs, (*lineage, f"tensorflow {tf.__version__} TFLiteConverter"))


def _save(graph: Graph, folder: Path, batch: int, *, integer: bool) -> Path:
    """Writes the graph as a SavedModel."""
    import tensorflow as tf

    module = tf.Module()
    module.serve = frozen(graph, batch, integer=integer)
    if integer:
        _check_loops(module.serve)
    # Gradients are of no use here, and those that read a captured constant cannot be saved.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(module, str(folder), signatures={_SIGNATURE: module.serve}, options=options)
    return folder


def _check_loops(function: Any) -> None:
    """Refuses loops: the converter's process dies when it calibrates one."""
    loops = {"StatelessWhile", "While"}
    definition = function.get_concrete_function().graph.as_graph_def()
    nodes = [*definition.node, *(node for inner in definition.library.function for node in inner.node_def)]
    if any(node.op in loops for node in nodes):
        raise UnsupportedModelError(
            "It has a loop (While), as of a recurrent layer over a long sequence, whose values the TFLite converter "
            "cannot calibrate: it crashes.",
            fix="use tflite-dynamic or onnx-int8, or shorter sequences.",
        )


def _calibration(graph: Graph, job: ConversionJob) -> Iterator[dict[str, np.ndarray]]:
    for batch in calibration_batches(job, graph.signature):
        yield {name: values.astype(np.int32) if name in graph.whole else values for name, values in batch.items()}


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
