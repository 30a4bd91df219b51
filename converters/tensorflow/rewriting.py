"""Functions from changed graph definitions."""

from __future__ import annotations

from typing import Any

__all__ = ["function_of"]


def function_of(definition: Any, function: Any) -> Any:
    """Return a function that computes a changed graph definition.

    Args:
        definition: The changed definition of the function's graph, in which inputs and outputs keep their names.
        function: The `ConcreteFunction` before the change, without captured tensors.
    """
    import tensorflow as tf

    imported = tf.compat.v1.wrap_function(lambda: tf.import_graph_def(definition, name=""), [])
    ends = [[imported.graph.as_graph_element(end.name) for end in side] for side in (function.inputs, function.outputs)]
    return imported.prune(*ends)
