"""Handlers for TensorFlow operators that tf2onnx cannot convert, or converts incorrectly."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["HANDLERS", "guard_padding"]

_NHWC_TO_NCHW, _NCHW_TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]
_FLOAT, _INT8, _INT32, _DOUBLE = 1, 3, 6, 11  # of onnx.TensorProto


def _replace(context: Any, node: Any) -> Callable[..., Any]:
    """Remove a TensorFlow node; return a function that adds the last node of its replacement."""
    outputs, dtype, shape = list(node.output), context.get_dtype(node.output[0]), context.get_shape(node.output[0])
    context.remove_node(node.name)

    def add_final(kind: str, inputs: list[str], **attributes: Any) -> Any:
        return context.make_node(
            kind, inputs, attr=attributes, name=node.name, outputs=outputs, dtypes=[dtype], shapes=[shape]
        )

    return add_final


def _constant(context: Any, node: Any, role: str, value: Any) -> str:
    return str(context.make_const(f"{node.name}_{role}", np.asarray(value)).output[0])


def _erfc(context: Any, node: Any, *_: Any) -> None:
    """Compute 1 - Erf. In exact GELU, a small factor hides the cancellation."""
    (x,) = node.input
    add_final = _replace(context, node)
    add_final("Sub", [_constant(context, node, "one", np.float32(1)), context.make_node("Erf", [x]).output[0]])


def _bucketize(context: Any, node: Any, *_: Any) -> None:
    """Count the boundaries that are less than or equal to the value."""
    (x,), boundaries = node.input, np.array(node.attr["boundaries"].floats, np.float32)
    add_final = _replace(context, node)
    axis = _constant(context, node, "axis", np.array([-1], np.int64))
    value = context.make_node("Unsqueeze", [x, axis]).output[0]
    above = context.make_node("GreaterOrEqual", [value, _constant(context, node, "boundaries", boundaries)]).output[0]
    add_final("ReduceSum", [context.make_node("Cast", [above], attr={"to": _INT32}).output[0], axis], keepdims=0)


def _floor_divide(context: Any, node: Any, *_: Any) -> None:
    """Round towards minus infinity: ONNX's division of integers drops the fraction."""
    from tf2onnx.onnx_opset.math import FloorDiv

    x, divisor = node.input
    if _is_float(context, x):
        FloorDiv.version_6(context, node)
        return
    kind = context.get_dtype(x)
    add_final = _replace(context, node)
    quotient = context.make_node("Div", [x, divisor]).output[0]
    remainder = context.make_node("Mod", [x, divisor]).output[0]  # of the divisor's sign
    product = context.make_node("Mul", [quotient, divisor]).output[0]
    exact = context.make_node("Equal", [context.make_node("Add", [product, remainder]).output[0], x]).output[0]
    above = context.make_node("Cast", [context.make_node("Not", [exact]).output[0]], attr={"to": kind}).output[0]
    add_final("Sub", [quotient, above])


def _floor_mod(context: Any, node: Any, *_: Any) -> None:
    """Give the remainder the divisor's sign, as ONNX does for integers alone."""
    x, divisor = node.input
    is_float = _is_float(context, x)
    add_final = _replace(context, node)
    if not is_float:
        add_final("Mod", [x, divisor])
        return
    remainder = context.make_node("Mod", [x, divisor], attr={"fmod": 1}).output[0]
    signs = [context.make_node("Sign", [value]).output[0] for value in (remainder, divisor)]
    zero = _constant(context, node, "zero", np.float32(0))
    differ = context.make_node("Less", [context.make_node("Mul", signs).output[0], zero]).output[0]
    add_final("Where", [differ, context.make_node("Add", [remainder, divisor]).output[0], remainder])


def _is_float(context: Any, name: str) -> bool:
    return context.get_dtype(name) in {_FLOAT, _DOUBLE}


def _one_hot(context: Any, node: Any, *_: Any) -> None:
    """Compare with each class: ONNX's OneHot counts negative indices from the end."""
    from tf2onnx.onnx_opset.tensor import OneHot
    from tf2onnx.utils import map_onnx_to_numpy_type

    index, _, on, off = node.input
    shape, depth = context.get_shape(index), node.inputs[1]
    if shape is None or not depth.is_const():
        OneHot.version_11(context, node)
        return
    axis = node.get_attr_value("axis", -1)
    classes = np.arange(depth.get_tensor_value(), dtype=map_onnx_to_numpy_type(context.get_dtype(index)))
    if axis not in {-1, len(shape)}:
        classes = classes.reshape(-1, *[1] * (len(shape) - axis))
    add_final = _replace(context, node)
    new_axis = _constant(context, node, "axis", np.array([axis], np.int64))
    column = context.make_node("Unsqueeze", [index, new_axis]).output[0]
    equal = context.make_node("Equal", [column, _constant(context, node, "classes", classes)]).output[0]
    add_final("Where", [equal, on, off])


def _right_shift(context: Any, node: Any, *_: Any) -> None:
    """Shift 8-bit integers as 32-bit ones, whose sign tf2onnx keeps."""
    from tf2onnx.onnx_opset.math import BitShift

    if context.get_dtype(node.input[0]) == _INT8:
        for position, name in enumerate(node.input):
            wide = context.make_node("Cast", [name], attr={"to": _INT32}, dtypes=[_INT32]).output[0]
            context.replace_input(node, name, wide, position)
        context.set_dtype(node.output[0], _INT32)
        context.insert_new_node_on_output("Cast", node.output[0], to=_INT8)
    BitShift.version_11(context, node)


def _select(context: Any, node: Any, *_: Any) -> None:
    """Choose: tf2onnx multiplies by 0 and 1, so that infinity and NaN of the branch not taken become NaN."""
    from tf2onnx.onnx_opset.controlflow import Select

    if context.get_dtype(node.output[0]) in {_FLOAT, _DOUBLE}:
        node.set_attr("handles_nan", True)
    Select.version_9(context, node)


def _resize(context: Any, node: Any, *_: Any) -> None:
    """Resize by scales that yield the exact output sizes; tf2onnx rounds them, so that 12 to 17 pixels becomes 16."""
    from tf2onnx.onnx_opset.nn import Resize

    x, nearest = node.input[0], node.type == "ResizeNearestNeighbor"
    input_sizes, output_sizes = (context.get_shape(end)[1:3] for end in (x, node.output[0]))
    if min(*input_sizes, *output_sizes) < 0:  # dynamic sizes, which tf2onnx passes on as sizes
        Resize.version_11(context, node)
        return
    halves = bool(node.get_attr_value("half_pixel_centers"))
    mode = "align_corners" if node.get_attr_value("align_corners") else "half_pixel" if halves else "asymmetric"
    add_final = _replace(context, node)
    scales = [1.0, 1.0, *(_scale(size, out) for size, out in zip(input_sizes, output_sizes, strict=True))]
    empty_roi = _constant(context, node, "roi", np.array([], np.float32))
    before = context.make_node("Transpose", [x], attr={"perm": _NHWC_TO_NCHW}).output[0]
    resized = context.make_node(
        "Resize",
        [before, empty_roi, _constant(context, node, "scales", np.array(scales, np.float32))],
        attr={
            "mode": "nearest" if nearest else "linear",
            "coordinate_transformation_mode": mode,
            "nearest_mode": "floor" if mode == "asymmetric" else "round_prefer_ceil",
        },
    )
    add_final("Transpose", [resized.output[0]], perm=_NCHW_TO_NHWC)


def _scale(input_size: int, output_size: int) -> np.float32:
    """Return the ratio, or the next larger float32 where rounding would drop the last pixel."""
    ratio = np.float32(output_size / input_size)
    return ratio if float(ratio) * input_size >= output_size else np.nextafter(ratio, np.float32(np.inf))


HANDLERS: dict[str, tuple[Callable[..., None], list[Any]]] = {
    "Bucketize": (_bucketize, []),
    "Erfc": (_erfc, []),
    "FloorDiv": (_floor_divide, []),
    "FloorMod": (_floor_mod, []),
    "OneHot": (_one_hot, []),
    "ResizeBilinear": (_resize, []),
    "ResizeNearestNeighbor": (_resize, []),
    "RightShift": (_right_shift, []),
    "Select": (_select, []),
    "SelectV2": (_select, []),
}
"""Handlers by TensorFlow operator, in the form that `tf2onnx.convert` accepts."""


def guard_padding(graph: Any) -> None:
    """Guard zero padding before max pooling against an onnxruntime optimization, in place.

    The optimizer of onnxruntime 1.17 and later merges a zero `Pad` into the `MaxPool` that follows it. Pooling ignores
    its own padding, so that the maxima differ wherever all values are negative. A pad with the smallest positive
    float32 is not merged.
    """
    from onnx import numpy_helper

    pooled = {node.input[0] for node in graph.node if node.op_type == "MaxPool"}
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type != "Pad" or node.output[0] not in pooled:
            continue
        padding_value = node.input[2] if len(node.input) > 2 else ""
        mode = next((attribute.s for attribute in node.attribute if attribute.name == "mode"), b"constant")
        if mode == b"constant" and not np.any(values.get(padding_value, 0)):
            name = f"{node.output[0]}_least"
            graph.initializer.append(numpy_helper.from_array(np.array(np.finfo(np.float32).tiny), name))
            del node.input[2:]
            node.input.append(name)
