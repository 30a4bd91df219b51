"""Static checks of a SavedModel: operators with effects outside the model, other files, and declared sizes."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgeml.core.errors import InputError
from edgeml.core.system.files import read_bytes
from edgeml.sources.audit_keras import audit_config

__all__ = ["audit_graph", "audit_saved_model"]

# Operators with state that a model may have: variables, tables, function calls, random numbers.
_STATE = re.compile(
    r"(Anonymous)?(Mutable(Dense)?)?HashTable\w*|Assert|Assign\w+|Case|CheckNumerics(V2)?|CudnnRNN\w*|DeepCopy"
    r"|DestroyResourceOp|DisableCopyOnRead|Empty|GuaranteeConst|If|InitializeTableV2|LookupTable\w+|Multinomial"
    r"|\w*TruncatedNormal|Random\w+|ReadVariableOp|Resource(Apply|Gather|Scatter|SparseApply|StridedSlice)\w*"
    r"|Rng\w+|Stateful\w+|Stateless\w+|TensorArray\w*|Var(HandleOp|IsInitializedOp|iable|iableShape|iableV2)|While"
)
# Operators that never belong to a model; not all of them are declared as stateful.
_OUTSIDE = re.compile(r"(Eager)?PyFunc\w*|\w*(Dataset|Debug|File|Iterator|Reader|Summary)\w*")
# Operators of the saver, which every SavedModel has; nothing else may call them.
_SAVER = frozenset({"MergeV2Checkpoints", "Restore", "RestoreSlice", "RestoreV2", "Save", "SaveSlices", "SaveV2"})
_MAX_RATIO = 100  # of declared bytes to the files'
_SMALL = 2**24  # bytes that a model of any size may declare


def audit_saved_model(folder: Path) -> tuple[list[str], list[tuple[str, dict[str, Any]]], int]:
    """Read the graphs, the layers' configuration and the variables' sizes, without loading the model.

    Args:
        folder: The SavedModel.

    Returns:
        The findings, each a clause; kind and configuration of each layer, a model before its layers; and the number
        of elements of the variables.

    Raises:
        InputError: The model cannot be parsed, or declares more than its files hold.
    """
    model, size_bytes = _parse(folder)
    findings: list[str] = []
    for meta in model.meta_graphs:
        saver = {meta.saver_def.save_tensor_name.partition(":")[0], meta.saver_def.restore_op_name}
        functions = {function.signature.name: function for function in meta.graph_def.library.function}
        savers = {name for name, function in functions.items() if any(node.op in _SAVER for node in function.node_def)}
        tracked = set(meta.object_graph_def.concrete_functions)
        for node in meta.graph_def.node:
            if not (node.name in saver and _functions_called(node) <= savers):
                findings += _audit_node(node, savers)
        for function in functions.values():
            for node in function.node_def:
                if node.op not in _SAVER:
                    findings += _audit_node(node, savers)
        findings += [f"the function {name:.80} reads or writes checkpoints" for name in savers & tracked]
        _check_constants(meta.graph_def, size_bytes, folder.name)
    configs = list(_keras_configs(model))
    for _, config in configs:
        findings += audit_config(config)
    return findings, configs, _count_elements(folder, size_bytes)


def audit_graph(graph: Any) -> list[str]:
    """Return the findings in a traced `tf.Graph`, each a clause."""
    definition = graph.as_graph_def()
    nodes = [*definition.node, *(node for function in definition.library.function for node in function.node_def)]
    return [finding for node in nodes for finding in _audit_node(node, set())]


def _keras_configs(model: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for meta in model.meta_graphs:
        for node in meta.object_graph_def.nodes:
            if node.user_object.metadata:
                try:
                    metadata = json.loads(node.user_object.metadata)
                except ValueError:
                    continue  # not metadata of Keras
                except RecursionError as error:
                    raise InputError(
                        "The SavedModel is corrupt: the metadata of an object is nested too deep."
                    ) from error
                if isinstance(metadata, dict) and isinstance(metadata.get("class_name"), str):
                    yield node.user_object.identifier, metadata


def _parse(folder: Path) -> tuple[Any, int]:
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    path = folder / "saved_model.pb"
    try:
        data = read_bytes(path)
        model = saved_model_pb2.SavedModel.FromString(data)
    except DecodeError as error:
        raise InputError(
            f"{folder.name} is not a valid SavedModel: saved_model.pb cannot be parsed ({error})."
        ) from error
    metadata = folder / "keras_metadata.pb"
    if metadata.is_file() and model.meta_graphs:
        _add_metadata(model, read_bytes(metadata), folder.name)
    links = [entry for entry in folder.rglob("*") if entry.is_symlink()]
    if links:
        raise InputError(
            f"{folder.name}: {links[0].name} is a symbolic link, which is not supported.",
            fix="copy the files themselves.",
        )
    variable_bytes = sum(file.stat().st_size for file in folder.glob("variables/*") if file.is_file())
    return model, variable_bytes + len(data)


def _add_metadata(model: Any, data: bytes, name: str) -> None:
    """Add the layers' configurations from ``keras_metadata.pb``, where newer versions store them, to the model."""
    from google.protobuf.message import DecodeError
    from tf_keras.protobuf import saved_metadata_pb2

    try:
        metadata = saved_metadata_pb2.SavedMetadata.FromString(data)
    except DecodeError as error:
        raise InputError(f"{name} is not a valid SavedModel: keras_metadata.pb cannot be parsed ({error}).") from error
    for node in metadata.nodes:
        added = model.meta_graphs[0].object_graph_def.nodes.add()
        added.user_object.identifier, added.user_object.metadata = node.identifier, node.metadata


def _functions_called(node: Any) -> set[str]:
    names = {value.func.name for value in node.attr.values() if value.HasField("func")}
    return names | {function.name for value in node.attr.values() for function in value.list.func}


def _audit_node(node: Any, savers: set[str]) -> list[str]:
    """Return the finding in a node of a graph, if there is one.

    Args:
        node: A `NodeDef`.
        savers: Names of the functions that read or write checkpoints.
    """
    from tensorflow.python.framework import op_def_registry

    if _OUTSIDE.fullmatch(node.op) and not node.op.startswith("ShardedFile"):  # which composes a file name
        return [f"its graph has the operator {node.op}, which runs code or reads files"]
    if _functions_called(node) & savers or node.op in _SAVER:
        return [f"its graph reads or writes checkpoints at {node.name:.80}"]
    definition = op_def_registry.get(node.op)
    if definition is None:
        return [f"its graph has the operator {node.op:.80}, which is not TensorFlow's"]
    if definition.is_stateful and not _STATE.fullmatch(node.op):
        return [f"its graph has the operator {node.op}, which has effects outside the model"]
    return []


def _check_constants(definition: Any, size_bytes: int, name: str) -> None:
    nodes = [*definition.node, *(node for function in definition.library.function for node in function.node_def)]
    declared = 0
    for node in nodes:
        if node.op == "Const":
            declared += 4 * math.prod(max(axis.size, 0) for axis in node.attr["value"].tensor.tensor_shape.dim)
    _check_declared(declared, size_bytes, name)


def _count_elements(folder: Path, size_bytes: int) -> int:
    """Return the number of elements of a SavedModel's variables."""
    import tensorflow as tf

    prefix = folder / "variables" / "variables"
    if not prefix.with_suffix(".index").is_file():
        return 0
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        shapes = reader.get_variable_to_shape_map()
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise InputError(f"{folder.name} is not a valid SavedModel: its variables cannot be read ({error}).") from error
    elements = sum(math.prod(shape) for shape in shapes.values())
    _check_declared(elements, size_bytes, folder.name)
    return elements


def _check_declared(declared: int, size_bytes: int, name: str) -> None:
    if declared > max(_SMALL, _MAX_RATIO * size_bytes):
        raise InputError(f"{name} declares {declared} bytes of weights, but its files have {size_bytes} bytes.")
