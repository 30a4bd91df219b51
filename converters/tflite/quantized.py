"""Quantization of float32 TFLite files by litert-quantizer, without TensorFlow."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from edgeml.core.artifact import Artifact
from edgeml.core.conversion import ConversionJob, TfliteSource, size_steps
from edgeml.core.errors import ConversionError, MissingDependencyError, UnsupportedModelError
from edgeml.core.formats.tflite import read_tflite
from edgeml.core.free_sizes import sizes_of, with_sizes
from edgeml.core.recipe import Recipe
from edgeml.core.system.machine import installed_version
from edgeml.core.tensors import Signature, TensorSpec
from edgeml.quantization.calibration_data import calibration_batches

__all__ = ["QUANTIZED", "quantize"]

QUANTIZED = ("dynamic", "int8", "int16x8")
"""Precisions that a float32 file can be quantized to."""

_RECIPES = {"dynamic": "dynamic_wi8_afp32", "int8": "static_wi8_ai8", "int16x8": "static_wi8_ai16"}


def quantize(source: TfliteSource, recipe: Recipe, job: ConversionJob) -> Artifact:
    """Quantize a float32 file, with the true ranges of all tensors on the calibration samples.

    Raises:
        MissingDependencyError: litert-quantizer is not installed.
        UnsupportedModelError: litert-quantizer leaves the model in floats, or calibration samples are missing.
        ConversionError: litert-quantizer failed.
    """
    from ai_edge_litert.interpreter import Interpreter

    try:
        from litert_quantizer import quantizer
        from litert_quantizer import recipe as recipes
    except ModuleNotFoundError as error:
        raise MissingDependencyError("Quantizing a .tflite file", "quantizer") from error
    version = installed_version("litert-quantizer")
    tool = quantizer.Quantizer(bytearray(source.data), getattr(recipes, _RECIPES[recipe.precision])())
    ranges = _ranges(source, job) if tool.need_calibration else None
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            result = tool.quantize(ranges, enable_progress_bar=False, enable_progress_report=False)
        data = _in_one_piece(bytes(result.quantized_model))
        Interpreter(model_content=data).allocate_tensors()
    except (ValueError, RuntimeError, KeyError, IndexError, NotImplementedError) as error:
        raise ConversionError(
            f"litert-quantizer {version} does not support this model, or what it makes of it does not load.",
            fix="use tflite-fp32; or build from the model that the file was converted from.",
            log=f"{type(error).__name__}: {error}",
        ) from error
    file = read_tflite(data)
    if file.precision != recipe.precision:
        raise UnsupportedModelError(
            f"litert-quantizer {version} left the model, or a part of it, in other precisions than {recipe.precision}.",
            fix="use tflite-fp32; or build from the model that the file was converted from.",
        )
    lineage = ("the given .tflite file", *size_steps(source.sizes), f"litert-quantizer {version}")
    return Artifact(recipe.id, data, _with_marks(file.signature, source.model.signature), file.needs, lineage)


def _with_marks(signature: Signature, source: Signature) -> Signature:
    """Return a quantized file's signature in the source's order, with what the file itself does not show."""

    def mark(specs: Sequence[TensorSpec], marked: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
        by_name = {spec.name: spec for spec in specs}
        if by_name.keys() != {spec.name for spec in marked}:
            raise ConversionError(f"litert-quantizer changed the names of tensors to {', '.join(by_name)}.")
        return tuple(
            msgspec.structs.replace(
                by_name[spec.name],
                shape=spec.shape,
                meaning=spec.meaning,
                unbatched=spec.unbatched,
                state=spec.state,
                sizes=spec.sizes,
            )
            for spec in marked
        )

    return Signature(mark(signature.inputs, source.inputs), mark(signature.outputs, source.outputs))


def _in_one_piece(data: bytes) -> bytes:
    """Return a file with its constants within the FlatBuffer; litert-quantizer appends those of larger models."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(data, 0)
    outside = [buffer for buffer in model.buffers if buffer.offset > 1]
    if not outside:
        return data
    for buffer in outside:
        buffer.data = np.frombuffer(data, np.uint8, buffer.size, buffer.offset)
        buffer.offset = buffer.size = 0
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _ranges(source: TfliteSource, job: ConversionJob) -> dict[str, dict[str, np.ndarray]]:
    """Return the smallest and the largest value of each float tensor that is no constant, by its name."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=source.data,
        num_threads=1,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    signature = source.model.signature
    places = dict(zip((spec.name for spec in signature.inputs), source.model.tensors, strict=False))
    shapes = {spec.name: [size or 1 for size in spec.file_shape] for spec in signature.inputs}
    if signature.free_sizes and job.calibration is not None:
        numbered = with_sizes(signature, sizes_of(job.calibration, signature, "calibration")).inputs
        shapes = {spec.name: [size or 1 for size in spec.file_shape] for spec in numbered}
        for name, shape in shapes.items():
            interpreter.resize_tensor_input(places[name], shape)
    interpreter.allocate_tensors()
    tensors = list(_activations(source.data, interpreter))
    low = {name: np.inf for name, _ in tensors}
    high = {name: -np.inf for name, _ in tensors}
    results = dict(
        zip((spec.name for spec in signature.outputs), source.model.tensors[len(signature.inputs) :], strict=True)
    )
    states = [(places[spec.name], results[spec.state], spec) for spec in signature.inputs if spec.state]
    for place, _, spec in states:
        interpreter.set_tensor(place, np.zeros([size or 1 for size in spec.file_shape], spec.dtype))
    for batch in calibration_batches(job, signature):
        for name, array in batch.items():
            interpreter.set_tensor(places[name], array.reshape(shapes[name]))
        interpreter.invoke()
        for name, place in tensors:
            values = interpreter.get_tensor(place)
            low[name] = min(low[name], float(values.min(initial=np.inf)))
            high[name] = max(high[name], float(values.max(initial=-np.inf)))
        for place, result, _ in states:
            interpreter.set_tensor(place, interpreter.get_tensor(result))
    ranks = {name: interpreter.get_tensor(place).ndim for name, place in tensors}
    return {
        name: {key: np.full((1,) * ranks[name], ends[name], np.float32) for key, ends in (("min", low), ("max", high))}
        for name, _ in tensors
        if low[name] <= high[name]
    }


def _activations(data: bytes, interpreter: Any) -> Iterator[tuple[str, int]]:
    """Yield name and number of each float tensor that the model computes."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(data, 0)
    details = {each["index"]: each for each in interpreter.get_tensor_details()}
    for place, tensor in enumerate(model.subgraphs[0].tensors):
        held = model.buffers[tensor.buffer].data
        is_float = place in details and details[place]["dtype"] == np.float32
        if is_float and (held is None or not len(held)):
            yield tensor.name.decode("utf-8", errors="replace"), place
