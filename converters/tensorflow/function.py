"""A model as a TensorFlow function: where all routes that go through TensorFlow meet."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from edgeml.core.errors import UnsupportedModelError
from edgeml.core.tensors import Signature

from .resizing import resized_by_products

__all__ = ["Graph", "frozen"]


@dataclass(frozen=True, slots=True)
class Graph:
    """A model that TensorFlow can trace.

    Attributes:
        function: Called with one float32 `tf.Tensor` ``[batch, ...]`` per input, in the signature's order;
            returns float32 tensors ``[batch, ...]`` by output name.
        signature: The source's signature; inputs may be encoded, and a label's position may be added to the outputs.
        unrolled: The same function with its recurrent layers unrolled, or None where it has none or long ones.
        whole: Names of the inputs that number things, as tokens do, which 8 bits may not tell apart. The function takes
            them as int32 too.
    """

    function: Callable[..., dict[str, Any]]
    signature: Signature
    unrolled: Callable[..., dict[str, Any]] | None = None
    whole: frozenset[str] = frozenset()


def frozen(graph: Graph, batch: int | None, *, integer: bool = False) -> Any:
    """The graph as a `tf.function` whose weights are constants.

    Tools cannot calibrate with variables, and take for an input whatever else a trace refers to.

    Args:
        graph: The model.
        batch: Its fixed batch, or None to leave it free.
        integer: Whether all is to become integers: inputs that number things are int32 then, and recurrent layers
            unrolled where they can be.

    Returns:
        It takes one tensor per input, and has `input_signature` set.

    Raises:
        UnsupportedModelError: The model keeps something else than weights, as a table to look values up in.
    """
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    whole = graph.whole if integer else frozenset()
    inputs = [
        tf.TensorSpec((batch, *spec.shape[1:]), tf.int32 if spec.name in whole else tf.float32, name=spec.name)
        for spec in graph.signature.inputs
    ]
    function = graph.unrolled if integer and graph.unrolled is not None else graph.function
    with _inlined():
        traced = tf.function(function, input_signature=inputs).get_concrete_function()
    _check_state(traced)
    constant = resized_by_products(convert_variables_to_constants_v2(traced, lower_control_flow=False))
    names = sorted(spec.name for spec in graph.signature.outputs)  # the order in which TensorFlow flattens a dict

    def serve(*tensors: Any) -> dict[str, Any]:
        return dict(zip(names, constant(*tensors), strict=True))

    return tf.function(serve, input_signature=inputs)


def _check_state(traced: Any) -> None:
    variables = {id(variable.handle) for variable in traced.variables}
    others = [
        inner for outer, inner in traced.graph.captures if outer.dtype.name == "resource" and id(outer) not in variables
    ]
    if others:
        users = sorted({user.type for inner in others for user in inner.consumers()})
        raise UnsupportedModelError(
            f"The model keeps a table, which {' and '.join(users)} reads: neither TFLite nor ONNX can carry it.",
            fix="look values up before they reach the model, and give it the numbers found.",
        )


@contextmanager
def _inlined() -> Iterator[None]:
    """Traces functions within the function as part of it: Keras has XLA compile some, which tools cannot enter."""
    import tensorflow as tf

    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)
