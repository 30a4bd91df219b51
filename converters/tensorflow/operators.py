"""Rewrite operators whose conversions are wrong for some values: large ones, zeros, and small differences.

TFLite computes softplus as ``log(1 + exp(x))``, which ends at 88.4, its kernel returns NaN for the reciprocal square
root of zero, and its converter approximates divisions. TFLite and ONNX lack ``log1p`` and ``expm1``, whose plain
forms lose small results.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from .definitions import import_like

__all__ = ["ONNX", "TFLITE", "TFLITE_INTEGER", "Formulas", "keep_divisions", "replace_operators"]

Formulas: TypeAlias = Mapping[str, Callable[[Any], Any]]
"""Formulas by the TensorFlow operator of one operand that each replaces."""

_TINY = float(np.finfo(np.float32).tiny)
_LOG1P_SERIES, _EXPM1_SERIES = 0.3, 0.25  # below which the series are used: beyond, the plain forms are as exact


def _log1p(x: Any) -> Any:
    """Compute 2 atanh(x / (2 + x)) by its series near zero, where 1 + x loses x: five terms leave a relative 1e-9."""
    import tensorflow as tf

    ratio = x / (2 + x)
    square = ratio * ratio
    series = tf.zeros_like(x)
    for divisor in (9, 7, 5, 3, 1):
        series = series * square + 1 / divisor
    return tf.where(tf.abs(x) < _LOG1P_SERIES, 2 * ratio * series, tf.math.log(1 + x))


def _expm1(x: Any) -> Any:
    """Compute the Taylor series near zero, where the difference cancels: six terms leave a relative 5e-8."""
    import tensorflow as tf

    series = tf.zeros_like(x)
    for divisor in (720, 120, 24, 6, 2, 1):
        series = series * x + 1 / divisor
    return tf.where(tf.abs(x) < _EXPM1_SERIES, x * series, tf.exp(x) - 1)


def _softplus(x: Any) -> Any:
    import tensorflow as tf

    return tf.maximum(x, 0) + _log1p(tf.exp(-tf.abs(x)))


def _softplus_of_integers(x: Any) -> Any:
    """Compute softplus from values between 0 and 2, which 8 bits represent; TFLite cannot negate 16-bit integers."""
    import tensorflow as tf

    above = tf.maximum(x, 0)
    return above + tf.math.log(1 + tf.exp(tf.minimum(x, 0) - above))


def _rsqrt(x: Any) -> Any:
    """Compute a large number, where TensorFlow has infinity, of zero."""
    import tensorflow as tf

    return tf.math.rsqrt(tf.where(tf.equal(x, 0), tf.cast(_TINY, x.dtype), x))


ONNX: Formulas = {"Expm1": _expm1, "Log1p": _log1p}
TFLITE: Formulas = {**ONNX, "Rsqrt": _rsqrt, "Softplus": _softplus}
TFLITE_INTEGER: Formulas = {"Softplus": _softplus_of_integers}


def replace_operators(function: Any, formulas: Formulas) -> Any:
    """Replace operators by formulas, also within loops and branches.

    Args:
        function: A `ConcreteFunction` without captured tensors.
        formulas: The formulas.
    """
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    definition = function.graph.as_graph_def()
    bodies = [*definition.library.function]  # without the formulas, one of which has the operator that it replaces
    calls = _Calls(definition.library, formulas)
    changed = calls.replace(definition.node)
    for body in bodies:
        names = calls.replace(body.node_def)
        for node in body.node_def:
            node.input[:] = [_renamed(end, names) for end in node.input]
        for name, end in body.ret.items():
            body.ret[name] = _renamed(end, names)
        changed |= names
    if not changed:
        return function
    # TensorFlow puts the formulas in the place of the calls, and infers their shapes.
    return convert_variables_to_constants_v2(import_like(function, definition), lower_control_flow=False)


class _Calls:
    """Calls of formulas, which it adds to a library of functions."""

    def __init__(self, library: Any, formulas: Formulas) -> None:
        self._library, self._formulas = library, formulas
        self._names: dict[tuple[str, int], str] = {}

    def replace(self, nodes: Any) -> set[str]:
        """Turn nodes into calls, in place; return their names."""
        by_name = {node.name: node for node in nodes}
        changed = set()
        for node in nodes:
            if node.op in self._formulas and not (node.op == "Rsqrt" and _is_positive(node.input[0], by_name)):
                kind = node.attr["T"].type
                name = self._function(node.op, kind)
                node.op = "PartitionedCall"
                node.attr.clear()
                node.attr["f"].func.name = name
                node.attr["Tin"].list.type.append(kind)
                node.attr["Tout"].list.type.append(kind)
                changed.add(node.name)
        return changed

    def _function(self, operator: str, kind: int) -> str:
        """Return the name of the function of an operator, for one dtype."""
        import tensorflow as tf

        if (operator, kind) not in self._names:
            operand = tf.TensorSpec(None, tf.as_dtype(kind))
            concrete = tf.function(self._formulas[operator], input_signature=[operand]).get_concrete_function()
            self._library.function.append(concrete.function_def)
            self._names[operator, kind] = concrete.function_def.signature.name
        return self._names[operator, kind]


def _renamed(end: str, calls: set[str]) -> str:
    """Return the reference to an output within a function, which names the output: that of a call is ``output``."""
    name = end.partition(":")[0]
    return f"{name}:output:0" if name in calls and ":" in end else end


def _is_positive(end: str, nodes: Mapping[str, Any]) -> bool:
    """Return whether a constant keeps a value above zero, as the epsilon of a normalization does."""
    node = nodes.get(end.partition(":")[0])
    if node is None or node.op not in {"Add", "AddV2", "Maximum"}:
        return False
    values = [_constant(operand, nodes) for operand in node.input]
    return any(value is not None and bool(np.all(value > 0)) for value in values)


def _constant(end: str, nodes: Mapping[str, Any]) -> np.ndarray | None:
    from tensorflow import make_ndarray

    node = nodes.get(end.partition(":")[0])
    return make_ndarray(node.attr["value"].tensor) if node is not None and node.op == "Const" else None


def keep_divisions(function: Any) -> Any:
    """Keep divisions by constants exact, as far as TFLite allows, where they are rounded to whole numbers.

    The TFLite converter multiplies by reciprocals instead, of which those for the older ``Div`` are exactly rounded,
    others approximate: 21 / 7 becomes 2.9999998. Its floor division divides.

    Args:
        function: A `ConcreteFunction` without captured tensors.
    """
    import tensorflow as tf

    definition = function.graph.as_graph_def()
    nodes = {node.name: node for node in definition.node}
    divisors = {
        node.name: divisor
        for node in definition.node
        if node.op == "RealDiv" and (divisor := _constant(node.input[1], nodes)) is not None
    }
    if not divisors:
        return function
    for node in nodes.values():
        division = nodes.get(node.input[0]) if node.op in {"Cast", "Ceil", "Floor", "Round"} else None
        if division is None or division.name not in divisors:
            continue
        if node.op in {"Cast", "Round"}:
            division.op = "Div"
            continue
        if node.op == "Floor":
            node.op, node.input[:] = "FloorDiv", division.input
            continue
        negated = definition.node.add(op="Const", name=f"{node.name}/divisor")
        negated.attr["dtype"].CopyFrom(node.attr["T"])
        negated.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(-divisors[division.name]))
        quotient = definition.node.add(op="FloorDiv", name=f"{node.name}/floor")
        quotient.input[:] = [division.input[0], negated.name]
        quotient.attr["T"].CopyFrom(node.attr["T"])
        node.op, node.input[:] = "Neg", [quotient.name]
    return import_like(function, definition)
