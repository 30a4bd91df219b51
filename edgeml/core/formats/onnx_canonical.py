"""The canonical form of an ONNX model: the order and the names of nodes depend on the graph alone.

tf2onnx numbers its nodes with one counter for the whole process, so that converting a model twice gives two different
files.
"""

from __future__ import annotations

from typing import Any

__all__ = ["canonicalize", "name_free_sizes"]

_MIN_IR_VERSION = 8  # earlier ones list initializers as inputs, or lack types


def canonicalize(model: Any) -> Any:
    """Sort the nodes of an `onnx.ModelProto`, producers first, and rename nodes and tensors, in place.

    Inputs and outputs keep their names. Producer, description and metadata are set or cleared, so that only the model
    remains.
    """
    from onnx.helper import find_min_ir_version_for

    model.producer_name, model.producer_version, model.doc_string = "edgeml", "", ""
    model.graph.name, model.model_version = "model", 0
    del model.metadata_props[:]
    fixed = {value.name for value in (*model.graph.input, *model.graph.output)}
    _rename(
        model.graph, {"": "", **{name: name for name in fixed}}, _Counter(fixed)
    )  # "": an optional input that is not used
    for value in (*model.graph.input, *model.graph.output):
        for size in value.type.tensor_type.shape.dim:
            size.ClearField("dim_param")
    name_free_sizes(model.graph)
    imports = sorted({(opset.domain, opset.version) for opset in model.opset_import})
    used = _domains(model.graph) | {function.domain for function in model.functions}
    del model.opset_import[:]
    for domain, version in imports:
        if domain in used or domain == "":
            model.opset_import.add(domain=domain, version=version)
    # The lowest version that supports the operators, so that old runtimes load the model.
    model.ir_version = max(_MIN_IR_VERSION, find_min_ir_version_for(model.opset_import, ignore_unknown=True))
    return model


def name_free_sizes(graph: Any) -> None:
    """Name the free sizes of inputs and outputs that have no name after their place: the first is the batch."""
    for value in (*graph.input, *graph.output):
        for axis, size in enumerate(value.type.tensor_type.shape.dim):
            if not size.HasField("dim_value") and not size.dim_param:
                size.dim_param = "batch" if axis == 0 else f"{value.name}_{axis}"


class _Counter:
    """A generator of names that no input or output of the model has."""

    def __init__(self, reserved: set[str]) -> None:
        self._reserved = reserved
        self._nodes = self._tensors = 0

    def node(self, kind: str) -> str:
        self._nodes += 1
        return f"{kind}_{self._nodes}"

    def tensor(self) -> str:
        self._tensors += 1
        name = f"t{self._tensors}"
        return self.tensor() if name in self._reserved else name


def _rename(graph: Any, outer: dict[str, str], counter: _Counter, *, nested: bool = False) -> None:
    """Rename the nodes and tensors of a graph, and of the graphs nested in it.

    Args:
        graph: The graph.
        outer: New names of the tensors of enclosing graphs, by their old names.
        counter: Source of new names.
        nested: Whether the graph is nested in another.
    """
    names = dict(outer)

    def new(name: str) -> str:
        if name not in names:
            names[name] = counter.tensor()
        return names[name]

    if nested:
        for value in graph.input:
            value.name = new(value.name)
    initializers = {tensor.name for tensor in graph.initializer} | {t.values.name for t in graph.sparse_initializer}
    _sort(graph)
    for node in graph.node:
        node.name = counter.node(node.op_type)
        node.doc_string = ""
        for i, name in enumerate(node.input):
            node.input[i] = new(name) if name in initializers else names.get(name, name)
        for i, name in enumerate(node.output):
            node.output[i] = new(name)
        for attribute in node.attribute:
            for inner in [attribute.g, *attribute.graphs]:
                if inner.node or inner.output:
                    _use(inner, initializers, new)
                    _rename(inner, names, counter, nested=True)
    kept = []
    for tensor in graph.initializer:
        if tensor.name in names:
            tensor.name, tensor.doc_string = names[tensor.name], ""
            kept.append(tensor)
    kept.sort(key=lambda tensor: (len(tensor.name), tensor.name))
    copies = [type(tensor).FromString(tensor.SerializeToString(deterministic=True)) for tensor in kept]
    del graph.initializer[:]
    graph.initializer.extend(copies)
    _keep_types(graph, names)
    graph.doc_string = ""
    if nested:
        graph.name = "inner"
        for value in graph.output:
            value.name = names.get(value.name, value.name)


def _keep_types(graph: Any, names: dict[str, str]) -> None:
    """Keep the types of inner tensors only where nested graphs read them: inference stops at branches."""
    types = {}
    if any(attribute.HasField("g") or attribute.graphs for node in graph.node for attribute in node.attribute):
        for value in graph.value_info:
            if value.name in names and value.type.HasField("tensor_type"):
                value.name, value.doc_string = names[value.name], ""
                for size in value.type.tensor_type.shape.dim:
                    size.ClearField("dim_param")
                types[value.name] = type(value).FromString(value.SerializeToString(deterministic=True))
    del graph.value_info[:]
    graph.value_info.extend(types[name] for name in sorted(types, key=lambda name: (len(name), name)))


def _sort(graph: Any) -> None:
    """Sort the nodes by a depth-first walk from the outputs, in postorder, in place.

    Producers come first, and the result does not depend on the earlier order. Nodes that no output depends on are
    removed.
    """
    producers = {name: node for node in graph.node for name in node.output if name}
    done: list[Any] = []
    entered: set[int] = set()
    left: set[int] = set()
    stack = [producers[value.name] for value in reversed(graph.output) if value.name in producers]
    while stack:
        node = stack[-1]
        if id(node) not in entered:
            entered.add(id(node))
            inputs = [producers[name] for name in reversed(_reads(node)) if name in producers]
            stack.extend(producer for producer in inputs if id(producer) not in left)
            continue
        stack.pop()
        if id(node) not in left:
            left.add(id(node))
            done.append(type(node).FromString(node.SerializeToString(deterministic=True)))
    del graph.node[:]
    graph.node.extend(done)


def _reads(node: Any) -> list[str]:
    """Return the names of all tensors that a node reads, also in nested graphs."""
    names = list(node.input)
    for attribute in node.attribute:
        for inner in [attribute.g, *attribute.graphs]:
            names.extend(name for inner_node in inner.node for name in _reads(inner_node))
            names.extend(value.name for value in inner.output)
    return names


def _use(inner: Any, initializers: set[str], new: Any) -> None:
    """Give new names to the outer initializers that a nested graph is the first to read."""
    for node in inner.node:
        for name in node.input:
            if name in initializers:
                new(name)
        for attribute in node.attribute:
            for graph in [attribute.g, *attribute.graphs]:
                _use(graph, initializers, new)
    for value in inner.output:
        if value.name in initializers:
            new(value.name)


def _domains(graph: Any) -> set[str]:
    domains = set()
    for node in graph.node:
        domains.add(node.domain)
        for attribute in node.attribute:
            for inner in [attribute.g, *attribute.graphs]:
                domains |= _domains(inner)
    return domains
