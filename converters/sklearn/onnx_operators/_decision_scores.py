"""Scores used by scikit-learn's meta-estimators: the decision function if there is one, otherwise probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._builder import GraphBuilder

__all__ = ["decision_scores"]


def decision_scores(graph: GraphBuilder, model: Any, rows: Any) -> str:
    """Add a classifier's decision function or, if it has none, its probabilities.

    Args:
        graph: The graph to extend.
        model: The classifier.
        rows: Input variable of skl2onnx.

    Returns:
        Name of a float64 tensor ``[batch, classes]``, or ``[batch, 1]`` with the second of two classes.

    Raises:
        UnsupportedModelError: skl2onnx does not support the classifier's decision function.
    """
    from sklearn.linear_model._base import LinearClassifierMixin

    if isinstance(model, LinearClassifierMixin):  # in float64: the next step may amplify rounding errors
        weights = np.asarray(model.coef_.toarray() if hasattr(model.coef_, "toarray") else model.coef_)
        product = graph("MatMul", graph.double(rows.full_name), graph.number(np.atleast_2d(weights).T))
        return graph("Add", product, graph.number(model.intercept_))
    _, scores = graph.add_model(model, rows, raw=hasattr(model, "decision_function"))
    if len(model.classes_) > 2:
        return graph.double(scores)
    # Binary classifiers return one column, or two in some converters.
    last = graph("Gather", scores, graph.constant(np.array([-1])), axis=1)
    return graph.double(last)
