"""Division of an ONNX model's outputs into parts of similar range, which are quantized apart and joined in float32."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from edgeml.quantization.output_parts import (
    Computation,
    Join,
    Permutation,
    Ranges,
    Reshaping,
    Shape,
    broadcast_axes,
    cut,
    divides,
    find_parts,
)

__all__ = ["divide_outputs"]

_FLOAT = 1  # `onnx.TensorProto.FLOAT`

_ELEMENTWISE = {
    "Abs", "Add", "Celu", "Clip", "Div", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "Identity",
    "LeakyRelu", "Log", "Max", "Min", "Mish", "Mul", "Neg", "PRelu", "Pow", "Reciprocal", "Relu", "Selu", "Sigmoid",
    "Softplus", "Softsign", "Sqrt", "Sub", "Sum", "Tanh",
}  # fmt: skip
_RESHAPING = {"Flatten", "Reshape", "Squeeze", "Unsqueeze"}
_POOLING = {"AveragePool", "GlobalAveragePool", "GlobalMaxPool", "MaxPool"}


def divide_outputs(
    model: Any, batches: Callable[[], Iterator[dict[str, np.ndarray]]]
) -> tuple[Any, tuple[str, ...]] | None:
    """Divide the outputs of a float32 model whose values are of different range.

    Args:
        model: `onnx.ModelProto` with inferred dtypes, not modified.
        batches: Function that returns calibration samples by input name, batch by batch.

    Returns:
        The divided model, and the names of the operators that join the parts, which must stay in float32: else the
        parts would get one scale again. None if no output is to be divided.
    """
    outputs = [value.name for value in model.graph.output if value.type.tensor_type.elem_type == _FLOAT]
    copy = type(model).FromString(model.SerializeToString())
    editor = _Editor(copy, _shapes(model, next(batches())))
    names = [name for name in outputs if divides(editor, name)]
    if not names:
        return None
    session = _session(model)
    columns = zip(*(session.run(names, batch) for batch in batches()), strict=True)
    divided = {name: find_parts(editor, name, Ranges(column)) for name, column in zip(names, columns, strict=True)}
    joining: list[str] = []
    for name, parts in divided.items():
        if parts is not None:
            joining += editor.divide_output(name, *parts)
    return (editor.finish(), tuple(joining)) if joining else None


class _Editor:
    """A `GraphEditor` of tensors by name.

    Args:
        model: The model, which is modified.
        shapes: Shapes of its tensors.
    """

    def __init__(self, model: Any, shapes: dict[str, Shape]) -> None:
        from onnx import numpy_helper

        self._model, self._graph = model, model.graph
        self._producers = {name: node for node in model.graph.node for name in node.output}
        self._constants = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
        self._shapes = dict(shapes)
        self._count = 0

    def divide_output(self, name: str, axis: int, groups: Sequence[np.ndarray]) -> list[str]:
        """Compute an output from its parts; return the names of the operators that join them."""
        whole = self._rename(name)
        parts = [cut(self, whole, axis, positions) for positions in groups]
        order = np.concatenate(groups)
        is_sorted = bool((np.diff(order) > 0).all())
        joined = self._add("Concat", parts, output=name if is_sorted else "", axis=axis)
        joining = [self._producers[joined].name]
        if not is_sorted:
            index = self._constant(np.argsort(order))
            joining.append(self._producers[self._add("Gather", [joined, index], output=name, axis=axis)].name)
        return joining

    def finish(self) -> Any:
        """Return the model without what the outputs no longer depend on, with inferred shapes."""
        from onnx import shape_inference

        needed = {value.name for value in self._graph.output}
        kept = []
        for node in reversed(self._graph.node):
            if needed.intersection(node.output):
                kept.append(node)
                needed.update(node.input)
                needed.update(name for attribute in node.attribute for name in _names_inside(attribute))
        nodes = [type(node).FromString(node.SerializeToString()) for node in reversed(kept)]
        weights = [item for item in self._graph.initializer if item.name in needed]
        for field, items in ((self._graph.node, nodes), (self._graph.initializer, list(weights))):
            copies = [type(item).FromString(item.SerializeToString()) for item in items]
            del field[:]
            field.extend(copies)
        del self._graph.value_info[:]
        return shape_inference.infer_shapes(self._model)

    def shape(self, tensor: str) -> Shape | None:
        constant = self._constants.get(tensor)
        return self._shapes.get(tensor) if constant is None else tuple(constant.shape)

    def is_constant(self, tensor: str) -> bool:
        return tensor in self._constants

    def operation(
        self, tensor: str, axis: int
    ) -> Join[str] | Reshaping[str] | Permutation[str] | Computation[str] | None:
        node, shape = self._producers.get(tensor), self.shape(tensor)
        if node is None or shape is None or any(self.shape(name) is None for name in node.input if name):
            return None
        attributes = _attributes(node)
        if node.op_type == "Concat":
            return Join(tuple(node.input), attributes["axis"] % len(shape))
        if node.op_type == "Transpose":
            return Permutation(node.input[0], tuple(attributes.get("perm", range(len(shape))[::-1])))
        if node.op_type in _RESHAPING:
            return Reshaping(node.input[0])
        return self._computation(node, axis, len(shape))

    def take(self, tensor: str, axis: int, positions: np.ndarray) -> str:
        constant = self._constants.get(tensor)
        if constant is not None:
            return self._constant(np.take(constant, positions, axis))
        return self._add("Gather", [tensor, self._constant(positions)], axis=axis)

    def join(self, tensors: Sequence[str], axis: int, *, stacks: bool = False) -> str:
        del stacks  # ONNX has no operator that stacks
        return self._add("Concat", tensors, axis=axis)

    def reshape(self, tensor: str, shape: Shape) -> str:
        sizes = [-1 if size is None else size for size in shape]
        return self._add("Reshape", [tensor, self._constant(np.array(sizes, np.int64))])

    def permute(self, tensor: str, axes: tuple[int, ...]) -> str:
        return self._add("Transpose", [tensor], perm=axes)

    def compute(self, tensor: str, inputs: Sequence[str]) -> str:
        node = self._producers[tensor]
        attributes = _attributes(node)
        if attributes.get("group", 1) > 1:
            attributes["group"] = len(self._constants[inputs[1]])
        return self._add(node.op_type, inputs, domain=node.domain, **attributes)

    def _computation(self, node: Any, axis: int, rank: int) -> Computation[str] | None:
        if node.op_type in _ELEMENTWISE:
            return self._elementwise(tuple(node.input), rank, axis)
        attributes = _attributes(node)
        if node.op_type in {"Gemm", "MatMul"}:
            return self._matrix_product(node, attributes, axis, rank)
        return self._by_channel(node, attributes, axis) if node.op_type in _POOLING | {"Conv"} else None

    def _elementwise(self, inputs: tuple[str, ...], rank: int, axis: int) -> Computation[str] | None:
        axes = broadcast_axes([self.shape(name) if name else () for name in inputs], rank, axis)
        if axes is None or all(own is None for own in axes):
            return None
        constants = [own is not None and name in self._constants for name, own in zip(inputs, axes, strict=True)]
        return Computation(inputs, axes, divides=any(constants))

    def _by_channel(self, node: Any, attributes: dict[str, Any], axis: int) -> Computation[str] | None:
        """Return an operator on images that computes each channel from weights of its own, or without weights."""
        inputs = tuple(node.input)
        if axis != 1:
            return None
        if node.op_type in _POOLING:
            return Computation(inputs, (1,))
        groups, weights = attributes.get("group", 1), inputs[1]
        by_channel = self.is_constant(weights) and (self.shape(weights) or ())[:2] == (groups, 1)
        if groups > 1 and not by_channel:
            return None
        return Computation(inputs, (None if groups == 1 else 1, *(0 for _ in inputs[1:])), divides=True)

    def _matrix_product(self, node: Any, attributes: dict[str, Any], axis: int, rank: int) -> Computation[str] | None:
        inputs, biases = tuple(node.input), [self.shape(name) for name in node.input[2:]]
        weights = self.shape(inputs[1]) or ()
        if axis != rank - 1 or len(weights) < 2:  # a vector
            return None
        own = len(weights) - (2 if attributes.get("transB") else 1)
        return Computation(inputs, (None, own, *(broadcast_axes(biases, rank, axis) or ())), divides=True)

    def _rename(self, output: str) -> str:
        """Give the tensor of an output another name, and return it: the joined parts take its own."""
        name = self._name()
        for node in self._graph.node:
            for names in (node.input, node.output):
                for i, old in enumerate(names):
                    if old == output:
                        names[i] = name
        self._producers[name] = self._producers.pop(output)
        self._shapes[name] = self._shapes[output]
        return name

    def _name(self) -> str:
        self._count += 1
        return f"output_parts/{self._count}"

    def _constant(self, value: np.ndarray) -> str:
        from onnx import numpy_helper

        name = self._name()
        self._graph.initializer.append(numpy_helper.from_array(value, name))
        self._constants[name] = value
        return name

    def _add(self, kind: str, inputs: Sequence[str], *, output: str = "", domain: str = "", **attributes: Any) -> str:
        from onnx import helper

        name = output or self._name()
        node = helper.make_node(kind, list(inputs), [name], name=self._name(), domain=domain, **attributes)
        self._graph.node.append(node)
        self._producers[name] = self._graph.node[-1]
        return name


def _shapes(model: Any, batch: dict[str, np.ndarray]) -> dict[str, Shape]:
    """Return the shape of each tensor in a run, whose size for the batch is left open.

    Inference from the file alone does not see through shapes that the model computes.
    """
    augmented = type(model).FromString(model.SerializeToString())
    outputs = {value.name for value in augmented.graph.output}
    tensors = [value for value in augmented.graph.value_info if value.type.HasField("tensor_type")]
    augmented.graph.output.extend(value for value in tensors if value.name not in outputs)
    names = [value.name for value in augmented.graph.output]
    values = zip(names, _session(augmented).run(names, batch), strict=True)
    shapes = {name: np.shape(value) for name, value in (*values, *batch.items())}
    return {name: (None, *shape[1:]) if shape else () for name, shape in shapes.items()}


def _session(model: Any) -> Any:
    import onnxruntime

    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def _attributes(node: Any) -> dict[str, Any]:
    from onnx import helper

    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _names_inside(attribute: Any) -> set[str]:
    """Return the names of all tensors that the graphs of an attribute read."""
    names: set[str] = set()
    for graph in (attribute.g, *attribute.graphs):
        for node in graph.node:
            names.update(node.input)
            names.update(name for inner in node.attribute for name in _names_inside(inner))
        names.update(value.name for value in graph.output)
    return names
