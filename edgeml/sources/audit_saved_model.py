"""What a SavedModel would run, or reach for, when it is loaded and called."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edgeml.core.errors import InputError
from edgeml.sources.audit_keras import audit_config

__all__ = ["audit_graph", "audit_saved_model"]

# Of the operators with state, those that a sound model may have: they hold variables and tables, call functions,
# draw numbers.
_STATE = re.compile(
    r"(Anonymous)?(Mutable(Dense)?)?HashTable\w*|Assert|Assign\w+|Case|CheckNumerics(V2)?|CudnnRNN\w*|DeepCopy"
    r"|DestroyResourceOp|DisableCopyOnRead|Empty|GuaranteeConst|If|InitializeTableV2|LookupTable\w+|Multinomial"
    r"|\w*TruncatedNormal|Random\w+|ReadVariableOp|Resource(Apply|Gather|Scatter|SparseApply|StridedSlice)\w*"
    r"|Rng\w+|Stateful\w+|Stateless\w+|TensorArray\w*|Var(HandleOp|IsInitializedOp|iable|iableShape|iableV2)|While"
)
# These have no place in a model, and not all of them say that they have effects.
_OUTSIDE = re.compile(r"(Eager)?PyFunc\w*|\w*(Dataset|Debug|File|Iterator|Reader|Summary)\w*")
# Every SavedModel has them, for TensorFlow to save it again; nothing else may call them.
_SAVER = frozenset({"MergeV2Checkpoints", "Restore", "RestoreSlice", "RestoreV2", "Save", "SaveSlices", "SaveV2"})
_MOST_CONSTANT_TIMES = 100
_LEAST_BYTES = 2**24


def audit_saved_model(folder: Path) -> tuple[list[str], list[tuple[str, dict[str, Any]]], int]:
    """Reads the graphs, the layers' configuration and the variables' sizes, and loads nothing.

    Args:
        folder: The SavedModel.

    Returns:
        What is found, each a clause; kind and configuration of each layer, a model before its layers; and how many
        elements its variables have.

    Raises:
        InputError: It cannot be parsed, or declares more than its files hold.
    """
    model, data_bytes = _parsed(folder)
    findings: list[str] = []
    for meta in model.meta_graphs:
        saver = {meta.saver_def.save_tensor_name.partition(":")[0], meta.saver_def.restore_op_name}
        functions = {function.signature.name: function for function in meta.graph_def.library.function}
        savers = {name for name, function in functions.items() if any(node.op in _SAVER for node in function.node_def)}
        tracked = set(meta.object_graph_def.concrete_functions)
        for node in meta.graph_def.node:
            if not (node.name in saver and _called(node) <= savers):
                findings += _judged(node, savers)
        for function in functions.values():
            for node in function.node_def:
                if node.op not in _SAVER:
                    findings += _judged(node, savers)
        findings += [f"the function {name:.80} reads or writes checkpoints" for name in savers & tracked]
        _check_constants(meta.graph_def, data_bytes, folder.name)
    configs = list(_keras_configs(model))
    for _, config in configs:
        findings += audit_config(config)
    return findings, configs, _variables(folder, data_bytes)


def audit_graph(graph: Any) -> list[str]:
    """What a traced `tf.Graph` would do beside arithmetic, each a clause."""
    definition = graph.as_graph_def()
    nodes = [*definition.node, *(node for function in definition.library.function for node in function.node_def)]
    return [finding for node in nodes for finding in _judged(node, set())]


def _keras_configs(model: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    for meta in model.meta_graphs:
        for node in meta.object_graph_def.nodes:
            if node.user_object.metadata:
                try:
                    metadata = json.loads(node.user_object.metadata)
                except ValueError:
                    continue  # of a user of another kind
                if isinstance(metadata, dict) and isinstance(metadata.get("class_name"), str):
                    yield node.user_object.identifier, metadata


def _parsed(folder: Path) -> tuple[Any, int]:
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    path = folder / "saved_model.pb"
    try:
        data = path.read_bytes()
        model = saved_model_pb2.SavedModel.FromString(data)
    except (DecodeError, OSError) as error:
        raise InputError(f"{folder.name} is no sound SavedModel: saved_model.pb cannot be parsed ({error}).") from error
    metadata = folder / "keras_metadata.pb"
    if metadata.is_file() and model.meta_graphs:
        _add_metadata(model, metadata.read_bytes(), folder.name)
    outside = [found for found in folder.rglob("*") if found.is_symlink()]
    if outside:
        raise InputError(f"{folder.name}: {outside[0].name} is a link to elsewhere.", fix="copy the files themselves.")
    held = sum(found.stat().st_size for found in folder.glob("variables/*") if found.is_file())
    return model, held + len(data)


def _add_metadata(model: Any, data: bytes, name: str) -> None:
    """Puts the layers' configurations, which newer versions keep in a file of their own, where older ones had them."""
    from google.protobuf.message import DecodeError
    from tf_keras.protobuf import saved_metadata_pb2

    try:
        found = saved_metadata_pb2.SavedMetadata.FromString(data)
    except DecodeError as error:
        raise InputError(f"{name} is no sound SavedModel: keras_metadata.pb cannot be parsed ({error}).") from error
    for node in found.nodes:
        added = model.meta_graphs[0].object_graph_def.nodes.add()
        added.user_object.identifier, added.user_object.metadata = node.identifier, node.metadata


def _called(node: Any) -> set[str]:
    called = {value.func.name for value in node.attr.values() if value.HasField("func")}
    return called | {function.name for value in node.attr.values() for function in value.list.func}


def _judged(node: Any, savers: set[str]) -> list[str]:
    from tensorflow.python.framework import op_def_registry

    if _OUTSIDE.fullmatch(node.op) and not node.op.startswith("ShardedFile"):  # which puts a name together
        return [f"its graph has the operator {node.op}, which runs code or reaches for files"]
    if _called(node) & savers or node.op in _SAVER:
        return [f"its graph reads or writes checkpoints at {node.name:.80}"]
    known = op_def_registry.get(node.op)
    if known is None:
        return [f"its graph has the operator {node.op:.80}, which is not TensorFlow's"]
    if known.is_stateful and not _STATE.fullmatch(node.op):
        return [f"its graph has the operator {node.op}, which has effects outside the model"]
    return []


def _check_constants(definition: Any, held: int, name: str) -> None:
    nodes = [*definition.node, *(node for function in definition.library.function for node in function.node_def)]
    declared = 0
    for node in nodes:
        if node.op == "Const":
            declared += 4 * math.prod(max(axis.size, 0) for axis in node.attr["value"].tensor.tensor_shape.dim)
    _check_held(declared, held, name)


def _variables(folder: Path, held: int) -> int:
    import tensorflow as tf

    prefix = folder / "variables" / "variables"
    if not prefix.with_suffix(".index").is_file():
        return 0
    try:
        reader = tf.train.load_checkpoint(str(prefix))
        shapes = reader.get_variable_to_shape_map()
    except (tf.errors.OpError, ValueError, RuntimeError) as error:
        raise InputError(f"{folder.name} is no sound SavedModel: its variables cannot be read ({error}).") from error
    elements = sum(math.prod(shape) for shape in shapes.values())
    _check_held(elements, held, folder.name)
    return elements


def _check_held(declared: int, held: int, name: str) -> None:
    if declared > max(_LEAST_BYTES, _MOST_CONSTANT_TIMES * held):
        raise InputError(f"{name} declares {declared} bytes of weights, and its files have {held}.")
