"""What tf2onnx cannot convert, or converts wrongly: handlers of our own, which it calls for their operators."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["HANDLERS", "guard_padding"]

_NHWC_TO_NCHW, _NCHW_TO_NHWC = [0, 3, 1, 2], [0, 2, 3, 1]
_INT32 = 6  # of onnx.TensorProto


def _replaced(context: Any, node: Any) -> Callable[..., Any]:
    """Takes a node of TensorFlow's out of the graph; what is returned makes the node that stands for it."""
    outputs, dtype, shape = list(node.output), context.get_dtype(node.output[0]), context.get_shape(node.output[0])
    context.remove_node(node.name)

    def last(kind: str, inputs: list[str], **attributes: Any) -> Any:
        return context.make_node(
            kind, inputs, attr=attributes, name=node.name, outputs=outputs, dtypes=[dtype], shapes=[shape]
        )

    return last


def _constant(context: Any, node: Any, what: str, value: Any) -> str:
    return str(context.make_const(f"{node.name}_{what}", np.asarray(value)).output[0])


def _erfc(context: Any, node: Any, *_: Any) -> None:
    """1 - Erf. Exact GELU multiplies it with what makes it small, so that what cancels here is lost there anyway."""
    (x,) = node.input
    last = _replaced(context, node)
    last("Sub", [_constant(context, node, "one", np.float32(1)), context.make_node("Erf", [x]).output[0]])


def _expm1(context: Any, node: Any, *_: Any) -> None:
    (x,) = node.input
    last = _replaced(context, node)
    last("Sub", [context.make_node("Exp", [x]).output[0], _constant(context, node, "one", np.float32(1))])


def _bucketize(context: Any, node: Any, *_: Any) -> None:
    """The number of boundaries that are not above the value."""
    (x,), boundaries = node.input, np.array(node.attr["boundaries"].floats, np.float32)
    last = _replaced(context, node)
    axis = _constant(context, node, "axis", np.array([-1], np.int64))
    value = context.make_node("Unsqueeze", [x, axis]).output[0]
    above = context.make_node("GreaterOrEqual", [value, _constant(context, node, "boundaries", boundaries)]).output[0]
    last("ReduceSum", [context.make_node("Cast", [above], attr={"to": _INT32}).output[0], axis], keepdims=0)


def _resize(context: Any, node: Any, *_: Any) -> None:
    """Resize by scales that give the sizes wanted: tf2onnx's own are rounded, and 12 to 17 pixels becomes 12 to 16."""
    from tf2onnx.onnx_opset.nn import Resize

    x, nearest = node.input[0], node.type == "ResizeNearestNeighbor"
    sizes, wanted = (context.get_shape(end)[1:3] for end in (x, node.output[0]))
    if min(*sizes, *wanted) < 0:  # not known before the model runs, when tf2onnx gives sizes instead
        Resize.version_11(context, node)
        return
    halves = bool(node.get_attr_value("half_pixel_centers"))
    mode = "align_corners" if node.get_attr_value("align_corners") else "half_pixel" if halves else "asymmetric"
    last = _replaced(context, node)
    scales = [1.0, 1.0, *(_scale(size, out) for size, out in zip(sizes, wanted, strict=True))]
    none = _constant(context, node, "roi", np.array([], np.float32))
    before = context.make_node("Transpose", [x], attr={"perm": _NHWC_TO_NCHW}).output[0]
    resized = context.make_node(
        "Resize",
        [before, none, _constant(context, node, "scales", np.array(scales, np.float32))],
        attr={
            "mode": "nearest" if nearest else "linear",
            "coordinate_transformation_mode": mode,
            "nearest_mode": "floor" if mode == "asymmetric" else "round_prefer_ceil",
        },
    )
    last("Transpose", [resized.output[0]], perm=_NCHW_TO_NHWC)


def _scale(size: int, wanted: int) -> np.float32:
    """The ratio, or the next number up where rounding it would cut the last pixel off."""
    ratio = np.float32(wanted / size)
    return ratio if float(ratio) * size >= wanted else np.nextafter(ratio, np.float32(np.inf))


HANDLERS: dict[str, tuple[Callable[..., None], list[Any]]] = {
    "Bucketize": (_bucketize, []),
    "Erfc": (_erfc, []),
    "Expm1": (_expm1, []),
    "ResizeBilinear": (_resize, []),
    "ResizeNearestNeighbor": (_resize, []),
}
"""Operator of TensorFlow to a handler, as `tf2onnx.convert` takes them."""


def guard_padding(graph: Any) -> None:
    """Keeps onnxruntime from wrong maxima, in place.

    Its optimizer (1.17 and later) makes padding with zeros that of the max pool behind it, where padding never counts:
    other maxima wherever all values are negative. Padding with the least positive number, it leaves alone.
    """
    from onnx import numpy_helper

    pooled = {node.input[0] for node in graph.node if node.op_type == "MaxPool"}
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type != "Pad" or node.output[0] not in pooled:
            continue
        given = node.input[2] if len(node.input) > 2 else ""
        mode = next((attribute.s for attribute in node.attribute if attribute.name == "mode"), b"constant")
        if mode == b"constant" and not np.any(values.get(given, 0)):
            name = f"{node.output[0]}_least"
            graph.initializer.append(numpy_helper.from_array(np.array(np.finfo(np.float32).tiny), name))
            del node.input[2:]
            node.input.append(name)
