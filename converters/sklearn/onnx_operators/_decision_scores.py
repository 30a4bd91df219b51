"""The scores by which scikit-learn's models of classifiers decide: decisions before probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._builder import Nodes

__all__ = ["decisions"]


def decisions(nodes: Nodes, model: Any, rows: Any) -> str:
    """Decisions of a classifier, else its probabilities, float64 ``[batch, classes]``; of two classes the second's.

    Args:
        nodes: Takes the nodes.
        model: The classifier.
        rows: skl2onnx's variable.

    Raises:
        UnsupportedModelError: skl2onnx does not give them.
    """
    from sklearn.linear_model._base import LinearClassifierMixin

    if isinstance(model, LinearClassifierMixin):  # in float64, as it does: what comes after may be steep
        weights = np.asarray(model.coef_.toarray() if hasattr(model.coef_, "toarray") else model.coef_)
        product = nodes("MatMul", nodes.double(rows.full_name), nodes.number(np.atleast_2d(weights).T))
        return nodes("Add", product, nodes.number(model.intercept_))
    _, scores = nodes.part(model, rows, raw=hasattr(model, "decision_function"))
    if len(model.classes_) > 2:
        return nodes.double(scores)
    # Of two classes they come as one column or, of some classifiers, as two.
    last = nodes("Gather", scores, nodes.constant(np.array([-1])), axis=1)
    return nodes.double(last)
