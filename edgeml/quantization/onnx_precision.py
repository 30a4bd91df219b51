"""Conversion of float32 ONNX models to the precisions of the ``onnx-*`` recipes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np

from edgeml.core.artifact import Artifact, Needs
from edgeml.core.conversion import ConversionJob
from edgeml.core.errors import ConversionError, EdgemlError, UnsupportedModelError
from edgeml.core.formats.onnx_canonical import canonicalize, name_free_sizes
from edgeml.core.formats.onnx_contents import graphs, onnx_contents, stored_tensors
from edgeml.core.formats.onnx_integers import nodes_on_integers
from edgeml.core.formats.onnx_sizes import declare_sizes
from edgeml.core.recipe import Recipe
from edgeml.core.system.machine import cpu
from edgeml.core.tensors import Signature
from edgeml.quantization.calibration_data import calibration_batches
from edgeml.quantization.onnx_output_parts import divide_outputs
from edgeml.quantization.onnx_subgraphs import guard_subgraphs
from edgeml.quantization.onnx_types import complete_types
from edgeml.quantization.output_parts import MAX_SAMPLES

__all__ = ["canonical_artifact", "onnx_artifact"]

# Oldest onnxruntime that supports an opset of the default domain, from the compatibility table of onnxruntime's
# documentation.
_RUNTIME_OF_OPSET = {
    13: "1.6.0",
    14: "1.8.0",
    15: "1.10.0",
    16: "1.11.0",
    17: "1.12.0",
    18: "1.14.0",
    19: "1.15.0",
    20: "1.17.0",
    21: "1.18.0",
    22: "1.20.0",
    23: "1.23.0",
    24: "1.23.0",
    25: "1.24.1",
}
# Opset of the default domain released together with an opset of ai.onnx.ml, from ONNX's table of versions.
_OPSET_OF_ML = {1: 1, 2: 11, 3: 16, 4: 20, 5: 21}
_MAX_FLOAT16 = 65_504.0
_NO_METADATA: Mapping[str, str] = MappingProxyType({})


def onnx_artifact(
    model: Any,
    recipe: Recipe,
    job: ConversionJob,
    signature: Signature,
    lineage: tuple[str, ...],
    metadata: Mapping[str, str] = _NO_METADATA,
) -> Artifact:
    """Apply an ``onnx-*`` recipe to a float32 `onnx.ModelProto`. Inputs and outputs stay float32.

    Args:
        model: Model, not modified.
        recipe: Recipe to apply.
        job: Calibration samples, and a folder for intermediate files.
        signature: Signature of the artifact, with its batch.
        lineage: Steps that produced the model.
        metadata: Entries of the file's metadata, by key.

    Raises:
        UnsupportedModelError: The model does not contain operations to quantize, or calibration samples are missing.
        ConversionError: onnxruntime's tools failed.
    """
    import onnxruntime

    if recipe.precision == "fp32":
        return canonical_artifact(model, recipe, signature, lineage, metadata)
    remarks: tuple[str, ...] = ()
    lineage = (*lineage, f"onnxruntime {onnxruntime.__version__}")
    if recipe.precision == "fp16":
        folded = _folded(model, job, signature)
        remarks = _clamped(folded)
        converted = _with_tool(lambda: _float16(folded))
    elif recipe.precision == "dynamic":
        converted = _with_tool(lambda: _dynamic(model, job, signature))
    else:
        converted = _with_tool(lambda: _int8(model, job, signature))
    artifact = canonical_artifact(converted, recipe, signature, lineage, metadata)
    return msgspec.structs.replace(artifact, remarks=remarks)


def canonical_artifact(
    model: Any,
    recipe: Recipe,
    signature: Signature,
    lineage: tuple[str, ...],
    metadata: Mapping[str, str] = _NO_METADATA,
) -> Artifact:
    """Return the artifact of a copy of an `onnx.ModelProto`: with canonical names, declared sizes, and metadata."""
    copy = canonicalize(type(model).FromString(model.SerializeToString()))
    declare_sizes(copy.graph.input, signature.inputs)
    declare_sizes(copy.graph.output, signature.outputs)
    name_free_sizes(copy.graph)
    for key, value in sorted(metadata.items()):
        copy.metadata_props.add(key=key, value=value)
    data = copy.SerializeToString(deterministic=True)
    return Artifact(recipe.id, data, signature, _needs(copy, recipe), lineage)


def _with_tool(convert: Callable[[], Any]) -> Any:
    """Return the result of onnxruntime's tools; their own errors, of many types, become the log of one.

    Raises:
        ConversionError: A tool failed.
    """
    import onnxruntime

    try:
        return convert()
    except (EdgemlError, MemoryError):
        raise
    except Exception as error:
        raise ConversionError(
            f"The quantizer of onnxruntime {onnxruntime.__version__} does not support this model.",
            fix="use onnx-fp32 or onnx-fp16; or build from the model that the file was exported from.",
            log=f"{type(error).__name__}: {error}",
        ) from error


def _folded(model: Any, job: ConversionJob, signature: Signature) -> Any:
    """Return the model with batch norm folded into convolutions, whose statistics may be beyond float16."""
    import onnx

    if all(node.op_type != "BatchNormalization" for node in model.graph.node):
        return model
    return onnx.load(_preprocess(model, job, signature))


def _clamped(model: Any) -> tuple[str, ...]:
    """Return a remark on the constants that float16 does not represent; empty without them."""
    import onnx

    names = []
    for part in graphs(model.graph):
        for tensor in stored_tensors(part):
            if tensor.data_type == onnx.TensorProto.FLOAT:
                values = onnx.numpy_helper.to_array(tensor)
                if values.size and np.nanmax(np.abs(values)) > _MAX_FLOAT16:
                    names.append(tensor.name or "of an operator")
    if not names:
        return ()
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return (f"constants above 65,504 were clamped to it, the largest of float16: {names[0]}{more}",)


def _float16(model: Any) -> Any:
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    copy = onnx.ModelProto.FromString(model.SerializeToString())  # the conversion works in place
    on_integers = nodes_on_integers(copy.graph)
    nodes = [*on_integers, *_moved_batches(copy.graph)]
    for i, node in enumerate(nodes):
        node.name = f"in_float32_{i}"
    converted = convert_float_to_float16(copy, keep_io_types=True, node_block_list=[node.name for node in nodes])
    if on_integers:
        _keep_float32(converted.graph)
    stored = {tensor.data_type for part in graphs(converted.graph) for tensor in stored_tensors(part)}
    if onnx.TensorProto.FLOAT16 not in stored and not any(_casts_to(node, "FLOAT16") for node in converted.graph.node):
        raise UnsupportedModelError("Nothing of the model computes in float32.", fix="use onnx-fp32.")
    return converted


def _moved_batches(graph: Any) -> list[Any]:
    """Return the transpositions that move the first axis, before a product of matrices.

    In float16, where the batch is free, onnxruntime 1.32 ends the process when it joins both to one operator.
    """
    readers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input[:1]:
            readers.setdefault(name, []).append(node)

    def multiplies(name: str) -> bool:
        return any(
            node.op_type == "MatMul" or (node.op_type == "Identity" and multiplies(node.output[0]))
            for node in readers.get(name, ())
        )

    moving = [node for node in graph.node if node.op_type == "Transpose" and multiplies(node.output[0])]
    return [node for node in moving if any(each.name == "perm" and each.ints[0] for each in node.attribute)]


def _keep_float32(graph: Any) -> None:
    """Let casts to float16 and back return the float32 numbers: integers, which float16 does not represent."""
    halves = {node.output[0]: node.input[0] for node in graph.node if _casts_to(node, "FLOAT16")}
    for node in graph.node:
        if _casts_to(node, "FLOAT") and node.input[0] in halves:
            node.input[0] = halves[node.input[0]]
    read = {name for node in graph.node for name in node.input}
    for node in [node for node in graph.node if node.output[0] in halves and node.output[0] not in read]:
        graph.node.remove(node)


def _casts_to(node: Any, kind: str) -> bool:
    import onnx

    code = onnx.TensorProto.DataType.Value(kind)
    return node.op_type == "Cast" and any(each.name == "to" and each.i == code for each in node.attribute)


def _preprocess(model: Any, job: ConversionJob, signature: Signature) -> Path:
    """Write the model with folded batch norm and inferred shapes, as quantization expects it, to a file."""

    def prepare() -> Path:
        import onnx
        from onnxruntime.quantization.shape_inference import quant_pre_process

        source, path = job.folder / f"{key}.onnx", job.folder / f"{key} prepared.onnx"
        source.write_bytes(model.SerializeToString())  # quant_pre_process moves the weights out of a model in memory
        quant_pre_process(source, path, skip_symbolic_shape=True)
        prepared = onnx.load(path)
        complete_types(prepared)
        _flatten_biases(prepared.graph)
        onnx.save(prepared, path)
        return path

    key = "encoded" if any(spec.encoding for spec in signature.inputs) else "plain"
    return job.paths.once(f"onnx prepared, {key}", prepare)


def _flatten_biases(graph: Any) -> None:
    """Give biases of Gemm the shape ``[n]``, in place: onnxruntime's quantizer fails on ``[1, n]``."""
    shared = Counter(name for node in graph.node for name in node.input)
    tensors = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        bias = tensors.get(node.input[2]) if node.op_type == "Gemm" and len(node.input) > 2 else None
        if bias is not None and len(bias.dims) == 2 and bias.dims[0] == 1 and shared[bias.name] == 1:
            del bias.dims[0]


def _dynamic(model: Any, job: ConversionJob, signature: Signature) -> Any:
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    batch = signature.inputs[0].shape[0]
    if batch not in {None, 1}:
        raise UnsupportedModelError(
            f"The ranges of onnx-dynamic are those of a batch: with batch={batch} the answer for a sample depends "
            "on the others.",
            fix="leave the batch out, or use batch=1.",
        )
    path = job.folder / "dynamic.onnx"
    # onnxruntime does not support ConvInteger with signed weights on CPUs.
    prepared = _preprocess(model, job, signature)
    quantize_dynamic(prepared, path, weight_type=QuantType.QUInt8, nodes_to_exclude=_excluded(onnx.load(prepared)))
    return _require_quantized(onnx.load(path), "matrix products or convolutions with constant weights")


def _int8(model: Any, job: ConversionJob, signature: Signature) -> Any:
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    path = job.folder / "int8.onnx"
    prepared, joining = _divided(_preprocess(model, job, signature), job, signature)
    quantize_static(
        prepared,
        path,
        _CalibrationReader(job, signature),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        reduce_range=_reduced_range(),
        nodes_to_exclude=[*joining, *_excluded(onnx.load(prepared))],
        calibrate_method=CalibrationMethod.MinMax,
    )
    return guard_subgraphs(
        _require_quantized(onnx.load(path), "operators that it quantizes, outside of branches and loops")
    )


def _divided(prepared: Path, job: ConversionJob, signature: Signature) -> tuple[Path, list[str]]:
    """Return a model whose outputs are joined from parts of similar range, and the operators that join them."""
    import onnx

    if not signature.is_batched or signature.free_sizes:
        return prepared, []  # an axis of the source's is another one of the file's, or not known
    divided = divide_outputs(onnx.load(prepared), lambda: calibration_batches(job, signature, MAX_SAMPLES))
    if divided is None:
        return prepared, []
    model, joining = divided
    path = job.folder / "divided.onnx"
    onnx.save(model, path)
    return path, list(joining)


def _excluded(model: Any) -> list[str]:
    """Return the operators that onnxruntime's quantizer takes for others: ONNX's Attention for its own of that name."""
    return [node.name for node in model.graph.node if node.op_type == "Attention" and node.domain in {"", "ai.onnx"}]


def _require_quantized(model: Any, operators: str) -> Any:
    """Return the model if a part of it was quantized.

    Args:
        model: A model that onnxruntime quantized.
        operators: The operators that would have been quantized, in words.

    Raises:
        UnsupportedModelError: Nothing was quantized, and a float model must not be shipped under a quantized name.
    """
    kinds = {node.op_type for node in model.graph.node}
    if not kinds & {"QuantizeLinear", "DynamicQuantizeLinear"}:
        raise UnsupportedModelError(
            f"onnxruntime quantized nothing: the model contains no {operators}.",
            fix="use onnx-fp32.",
        )
    return model


class _CalibrationReader:
    """Calibration samples for onnxruntime, one batch at a time."""

    def __init__(self, job: ConversionJob, signature: Signature) -> None:
        self._batches = calibration_batches(job, signature)
        self._unbatched = {spec.name for spec in signature.inputs if spec.unbatched}

    def get_next(self) -> dict[str, np.ndarray] | None:
        batch = next(self._batches, None)
        return batch and {
            name: np.asarray(array[0]) if name in self._unbatched else array for name, array in batch.items()
        }


def _needs(model: Any, recipe: Recipe) -> Needs:
    opsets = {entry.domain: entry.version for entry in model.opset_import}
    opset = opsets.get("")
    ml_opset = _OPSET_OF_ML.get(opsets.get("ai.onnx.ml", 1), max(_RUNTIME_OF_OPSET))
    newest = max(opset or 0, ml_opset, min(_RUNTIME_OF_OPSET))
    versions = [version for oldest, version in _RUNTIME_OF_OPSET.items() if oldest <= newest]
    features = ("x86_64:vnni",) if recipe.precision == "int8" and not _reduced_range() else ()
    return Needs("onnxruntime", versions[-1], tuple(sorted(onnx_contents(model).operators)), opset, features)


def _reduced_range() -> bool:
    """Return True if one bit of the weights must stay unused.

    Products of unsigned activations and signed weights saturate on x86-64 without VNNI. On a machine with VNNI the
    artifact declares that it needs VNNI; on others the weights are kept small enough.
    """
    machine = cpu()
    return machine.architecture == "x86_64" and "vnni" not in machine.features
