"""Edited definitions of TensorFlow functions: back to functions, and their constant parts computed."""

from __future__ import annotations

from typing import Any

__all__ = ["fold_constants", "import_like"]

_MOST_BYTES = 2**20  # of a computed constant that is larger than what it is computed from


def import_like(function: Any, definition: Any) -> Any:
    """Return the function of an edited definition, with the inputs and outputs of the original.

    Args:
        function: The `ConcreteFunction` that the definition was taken from.
        definition: A `GraphDef`.
    """
    import tensorflow as tf

    imported = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(definition, name=""), [])
    ends = [[imported.graph.as_graph_element(end.name) for end in side] for side in (function.inputs, function.outputs)]
    return imported.prune(*ends)


def fold_constants(function: Any) -> Any:
    """Compute the parts of a function that do not depend on its inputs.

    TensorFlow's own optimizer also reorders sums of floats: ``max - min + 1e-7`` loses the last term.

    Args:
        function: A `ConcreteFunction` without captured tensors.
    """
    import tensorflow as tf

    last = {output.op.name for output in function.outputs}
    known: set[str] = set()
    read: dict[str, Any] = {}  # tensors that can be computed, and that others read
    for operation in function.graph.get_operations():
        if operation.type == "Const" or (_is_foldable(operation, known) and operation.name not in last):
            known.add(operation.name)
        else:
            read |= {end.name: end for end in operation.inputs if end.op.name in known and end.op.type != "Const"}
    if not read:
        return function
    definition = function.graph.as_graph_def()
    constants = {}
    for position, (end, value) in enumerate(zip(read, function.prune([], list(read.values()))(), strict=True)):
        node = definition.node.add(op="Const", name=f"{end.partition(':')[0]}/folded_{position}")
        node.attr["dtype"].type = value.dtype.as_datatype_enum
        node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(value))
        constants[end.removesuffix(":0")] = node.name
    for node in definition.node:
        node.input[:] = [constants.get(end, end) for end in node.input]
    return import_like(function, definition)


def _is_foldable(operation: Any, known: set[str]) -> bool:
    if not operation.inputs or operation.control_inputs or operation.op_def.is_stateful:
        return False
    if any(attribute.type == "func" for attribute in operation.op_def.attr):
        return False
    return all(end.op.name in known for end in operation.inputs) and _bytes(operation.outputs) <= max(
        _MOST_BYTES, _bytes(operation.inputs)
    )


def _bytes(tensors: Any) -> float:
    """Return the size of tensors; infinity where a shape or dtype has no fixed one."""
    sizes = [end.shape.num_elements() if end.dtype.is_numpy_compatible else None for end in tensors]
    if None in sizes or any(end.dtype.name in {"string", "resource", "variant"} for end in tensors):
        return float("inf")
    return float(sum(size * end.dtype.size for size, end in zip(sizes, tensors, strict=True)))
