"""Models as TensorFlow functions, the common form for every conversion that goes through TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError
from edgeml.core.tensors import Signature, TensorSpec

from .divided_outputs import divide_outputs
from .integer_casts import keep_integers
from .operators import TFLITE_INTEGER, Formulas, replace_operators
from .resizing import replace_resizing_by_matmul
from .sign_bits import replace_sign_bits

__all__ = ["Graph", "flat_outputs", "freeze", "freeze_for_integers"]


@dataclass(frozen=True, slots=True)
class Graph:
    """A model as a Python function that TensorFlow can trace.

    Attributes:
        function: Called with one `tf.Tensor` ``[batch, ...]`` per input, in the signature's order and dtypes; returns
            tensors ``[batch, ...]`` by output name, likewise.
        signature: The source's signature; inputs may be encoded, and a label's position may be added to the outputs.
        unrolled: The same function with its recurrent layers unrolled; None for models without recurrent layers or with
            long sequences.
        integer_inputs: Names of inputs that hold indices, such as token ids, which int8 cannot represent. The function
            accepts them as int32, too.
    """

    function: Callable[..., dict[str, Any]]
    signature: Signature
    unrolled: Callable[..., dict[str, Any]] | None = None
    integer_inputs: frozenset[str] = frozenset()


def freeze(graph: Graph, batch: int | None, formulas: Formulas) -> Any:
    """Convert the graph to a `tf.function` whose weights are constants.

    Converters cannot calibrate a graph with variables, and treat every other captured tensor as an input.

    Args:
        graph: The model.
        batch: The fixed batch size, or None to keep it dynamic.
        formulas: Formulas for operators that the converter gets wrong.

    Returns:
        A `ConcreteFunction` of one tensor per input; its outputs are in the order of their sorted names.

    Raises:
        UnsupportedModelError: The model holds resources other than variables, such as lookup tables.
    """
    inputs = _inputs(graph, batch, frozenset())
    return replace_operators(_constant_function(graph.function, inputs, integer=False), formulas)


def freeze_for_integers(
    graph: Graph, batch: int, batches: Callable[[], Iterable[Mapping[str, np.ndarray]]]
) -> tuple[Any, Sequence[TensorSpec]]:
    """Convert the graph as `freeze` does, prepared for full integer quantization.

    Index inputs become int32, outputs that the model casts from integers stay integers, recurrent layers are unrolled
    where possible, and outputs of values of different range are divided into parts.

    Args:
        graph: The model.
        batch: The fixed batch size.
        batches: Function that returns calibration samples by input name, batch by batch.

    Returns:
        The function, and the specs of its outputs, in its order.
    """
    import tensorflow as tf

    inputs = _inputs(graph, batch, graph.integer_inputs)
    function = _constant_function(graph.unrolled or graph.function, inputs, integer=True)

    def samples() -> Iterator[list[Any]]:
        for arrays in batches():
            yield [tf.constant(arrays[spec.name], spec.dtype) for spec in inputs]

    return divide_outputs(replace_operators(function, TFLITE_INTEGER), flat_outputs(graph), samples)


def _inputs(graph: Graph, batch: int | None, integer_inputs: frozenset[str]) -> list[Any]:
    import tensorflow as tf

    return [
        tf.TensorSpec((batch, *spec.shape[1:]), "int32" if spec.name in integer_inputs else spec.dtype, name=spec.name)
        for spec in graph.signature.inputs
    ]


def flat_outputs(graph: Graph) -> list[TensorSpec]:
    """Return the outputs in the order in which TensorFlow flattens a dict."""
    return sorted(graph.signature.outputs, key=lambda spec: spec.name)


def _constant_function(function: Callable[..., dict[str, Any]], inputs: list[Any], *, integer: bool) -> Any:
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    with _inlined():
        traced = tf.function(function, input_signature=inputs).get_concrete_function()
    _check_state(traced)
    constant = convert_variables_to_constants_v2(traced, lower_control_flow=False)
    constant = replace_sign_bits(replace_resizing_by_matmul(constant), integer=integer)
    return keep_integers(constant) if integer else constant


def _check_state(traced: Any) -> None:
    variables = {id(variable.handle) for variable in traced.variables}
    others = [
        inner for outer, inner in traced.graph.captures if outer.dtype.name == "resource" and id(outer) not in variables
    ]
    if others:
        users = sorted({user.type for inner in others for user in inner.consumers()})
        raise UnsupportedModelError(
            f"The model contains a lookup table ({', '.join(users)}), which is not supported in TFLite and ONNX.",
            fix="move the lookup out of the model and pass the resulting numbers as inputs.",
        )


@contextmanager
def _inlined() -> Iterator[None]:
    """Inline nested functions while tracing: Keras compiles some with XLA, which the converters cannot read."""
    import tensorflow as tf

    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)
