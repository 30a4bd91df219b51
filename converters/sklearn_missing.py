"""Indicators of missing values as ONNX. NaN reaches them in tools that let it through; sessions take none."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError

from .skl2onnx_nodes import DOUBLE, FLOAT, Nodes

__all__ = ["missing_converters"]


def missing_converters() -> dict[type, Any]:
    """The conversion functions that skl2onnx is to use, by class of model."""
    from sklearn.impute import KNNImputer, MissingIndicator, SimpleImputer

    return {KNNImputer: _neighbors, MissingIndicator: _indicator, SimpleImputer: _imputer}


def _indicator(scope: Any, operator: Any, container: Any) -> None:
    nodes = Nodes(scope, container)
    nodes(
        "Identity",
        _marks(nodes, operator.inputs[0].full_name, operator.raw_operator),
        output=operator.outputs[0].full_name,
    )


def _marks(nodes: Nodes, rows: str, model: Any) -> str:
    """1 where a value is missing and 0 elsewhere, float32."""
    chosen = nodes.columns(rows, model.features_)
    if model.missing_values is None or model.missing_values != model.missing_values:
        return nodes("Cast", nodes("IsNaN", chosen), to=FLOAT)
    return nodes("Cast", nodes("Equal", chosen, nodes.single(nodes.number(model.missing_values))), to=FLOAT)


def _imputer(scope: Any, operator: Any, container: Any) -> None:
    from skl2onnx.operator_converters.imputer_op import convert_sklearn_imputer
    from sklearn.base import clone

    model = operator.raw_operator
    if not model.add_indicator:
        convert_sklearn_imputer(scope, operator, container)
        return
    nodes = Nodes(scope, container)
    alone = clone(model).set_params(add_indicator=False)
    for name in ("statistics_", "n_features_in_", "_fit_dtype", "_fill_dtype", "indicator_"):
        if hasattr(model, name):
            setattr(alone, name, getattr(model, name))
    (filled,) = nodes.part(alone, operator.inputs[0])
    marks = _marks(nodes, operator.inputs[0].full_name, model.indicator_)
    nodes("Concat", filled, marks, axis=1, output=operator.outputs[0].full_name)


def _neighbors(scope: Any, operator: Any, container: Any) -> None:
    """Fills a gap with the mean of that column over the nearest training rows that have it.

    Distances are Euclidean over the columns that both rows have, scaled up to all of them.
    """
    model, nodes = operator.raw_operator, Nodes(scope, container)
    if model.weights != "uniform" or model.metric != "nan_euclidean" or model.missing_values == model.missing_values:
        raise UnsupportedModelError(
            "A KNNImputer with weights, a metric or a mark for gaps of its own has no route.",
            fix="train it with weights='uniform', metric='nan_euclidean' and missing_values=np.nan.",
        )
    trained = np.asarray(model._fit_X, dtype=np.float64)  # noqa: SLF001  # scikit-learn has no public name for it
    valid = model._valid_mask  # noqa: SLF001  # as above
    known = ~np.isnan(trained)
    filled = np.where(known, trained, 0.0)
    rows = nodes.double(operator.inputs[0].full_name)
    gaps = nodes("IsNaN", rows)
    given = nodes("Sub", nodes.number(1.0), nodes("Cast", gaps, to=DOUBLE))
    values = nodes("Where", gaps, nodes.number(0.0), rows)
    # Σ over the columns that both have of x² − 2xy + y².
    squares = nodes("MatMul", nodes("Mul", values, values), nodes.number(known.T))
    products = nodes("MatMul", values, nodes.number(-2.0 * filled.T))
    own = nodes("MatMul", given, nodes.number(np.square(filled).T))
    shared = nodes("MatMul", given, nodes.number(known.T))
    distances = nodes("Div", nodes("Add", nodes("Add", squares, products), own), shared)  # without a column: NaN
    distances = nodes("Where", nodes("Equal", shared, nodes.number(0.0)), nodes.number(np.inf), distances)
    columns = []
    for column in np.flatnonzero(valid):
        donors = np.flatnonzero(known[:, column])
        count = nodes.constant(np.array([min(model.n_neighbors, len(donors))]))
        near, nearest = nodes.several("TopK", nodes.columns(distances, donors), count, outputs=2, axis=1, largest=0)
        mean = nodes("ReduceMean", nodes("Gather", nodes.number(trained[donors, column]), nearest), axes=[1])
        far = nodes("IsInf", nodes.columns(near, [0]))
        mean = nodes("Where", far, nodes.number(trained[donors, column].mean()), mean)
        columns.append(nodes("Where", nodes.columns(gaps, [column]), mean, nodes.columns(rows, [column])))
    made = nodes.single(nodes("Concat", *columns, axis=1))
    if model.add_indicator:
        made = nodes("Concat", made, _marks(nodes, operator.inputs[0].full_name, model.indicator_), axis=1)
    nodes("Identity", made, output=operator.outputs[0].full_name)
