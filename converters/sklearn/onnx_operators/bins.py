"""KBinsDiscretizer as ONNX, with the edges in float64 as scikit-learn compares them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._builder import FLOAT, Container, GraphBuilder, Operator, Scope

__all__ = ["bin_converters"]


def bin_converters() -> dict[type, Any]:
    """Return the skl2onnx conversion functions by estimator class."""
    from sklearn.preprocessing import KBinsDiscretizer

    return {KBinsDiscretizer: _bins}


def _bins(scope: Scope, operator: Operator, container: Container) -> None:
    """Count the inner edges that each value reaches."""
    model, graph = operator.raw_operator, GraphBuilder(scope, container)
    inner = [np.asarray(edges, dtype=np.float64)[1:-1] for edges in model.bin_edges_]
    edges = np.full((1, len(inner), max(1, *map(len, inner))), np.inf)
    for row, values in zip(edges[0], inner, strict=True):
        row[: len(values)] = values
    each = graph("Unsqueeze", graph.double(operator.inputs[0].full_name), graph.constant(np.array([2], dtype=np.int64)))
    reached = graph("Cast", graph("GreaterOrEqual", each, graph.number(edges)), to=FLOAT)
    bins = graph.reduce_sum(reached, 2, keepdims=0)
    if model.encode != "ordinal":
        counts = [int(count) for count in model.n_bins_]
        columns = graph.gather_columns(bins, np.repeat(np.arange(len(counts)), counts))
        codes = np.concatenate([np.arange(count) for count in counts]).astype(np.float32)
        bins = graph("Equal", columns, graph.constant(codes))
    graph.write_output(bins, operator.outputs[0])
