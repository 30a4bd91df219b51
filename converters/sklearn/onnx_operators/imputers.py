"""Imputers and missing-value indicators as ONNX. Missing values are NaN in numbers and "" in strings."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError

from ._builder import DOUBLE, Container, GraphBuilder, Operator, Scope

__all__ = ["missing_converters"]


def missing_converters() -> dict[type, Any]:
    """Return the skl2onnx conversion functions by estimator class."""
    from sklearn.impute import KNNImputer, MissingIndicator, SimpleImputer

    return {KNNImputer: _neighbors, MissingIndicator: _indicator, SimpleImputer: _imputer}


def _indicator(scope: Scope, operator: Operator, container: Container) -> None:
    graph = GraphBuilder(scope, container)
    rows = graph.double(operator.inputs[0].full_name)
    graph.write_output(_missing_indicator(graph, rows, operator.raw_operator), operator.outputs[0])


def _missing_indicator(graph: GraphBuilder, rows: str, model: Any) -> str:
    """Return 1 for missing values of the indicator's columns and 0 elsewhere, float64."""
    return graph.double(_is_missing(graph, graph.gather_columns(rows, model.features_), model.missing_values))


def _is_missing(graph: GraphBuilder, rows: str, missing_value: Any) -> str:
    """Return a mask of the missing values of float64 rows."""
    if missing_value is None or np.isnan(missing_value):
        return graph("IsNaN", rows)
    return graph("Equal", rows, graph.number(missing_value))


def _imputer(scope: Scope, operator: Operator, container: Container) -> None:
    from skl2onnx.common.data_types import StringTensorType

    model, graph = operator.raw_operator, GraphBuilder(scope, container)
    if isinstance(operator.inputs[0].type, StringTensorType):
        _text_imputer(graph, operator)
        return
    statistics = np.asarray(model.statistics_, dtype=np.float64)
    # Columns without any value in training are dropped, unless keep_empty_features is set.
    kept = np.flatnonzero(~np.isnan(statistics))
    rows = graph.double(operator.inputs[0].full_name)
    values = graph.gather_columns(rows, kept)
    imputed = graph("Where", _is_missing(graph, values, model.missing_values), graph.number(statistics[kept]), values)
    if model.add_indicator:
        imputed = graph("Concat", imputed, _missing_indicator(graph, rows, model.indicator_), axis=1)
    graph.write_output(imputed, operator.outputs[0])


def _text_imputer(graph: GraphBuilder, operator: Any) -> None:
    """Replace missing strings: "" and the model's own placeholder."""
    model, rows = operator.raw_operator, operator.inputs[0].full_name
    if model.add_indicator or not all(isinstance(value, str) for value in model.statistics_):
        raise UnsupportedModelError(
            "SimpleImputer: strings with add_indicator=True, or columns without any string, are not supported in ONNX.",
            fix="train it with add_indicator=False, on columns that contain strings.",
        )
    placeholders = sorted({"", model.missing_values} if isinstance(model.missing_values, str) else {""})
    is_present = graph("Equal", graph.encode_labels(rows, placeholders), graph.constant(np.array(-1)))
    filled = graph.constant(np.array([model.statistics_.tolist()], dtype=np.str_))
    graph("Where", is_present, rows, filled, output=operator.outputs[0].full_name)


def _neighbors(scope: Scope, operator: Operator, container: Container) -> None:
    """Replace a missing value by the column's mean over the nearest training rows that have one.

    Distances are Euclidean over the columns that are present in both rows, scaled up to all columns.
    """
    model, graph = operator.raw_operator, GraphBuilder(scope, container)
    if model.weights != "uniform" or model.metric != "nan_euclidean" or model.missing_values == model.missing_values:
        raise UnsupportedModelError(
            "KNNImputer: custom weights, metrics and missing_values are not supported in ONNX.",
            fix="train it with weights='uniform', metric='nan_euclidean' and missing_values=np.nan.",
        )
    training_rows = np.asarray(model._fit_X, dtype=np.float64)  # noqa: SLF001  # no public attribute
    valid = model._valid_mask  # noqa: SLF001  # no public attribute
    observed = ~np.isnan(training_rows)
    filled = np.where(observed, training_rows, 0.0)
    rows = graph.double(operator.inputs[0].full_name)
    missing = graph("IsNaN", rows)
    present = graph("Sub", graph.number(1.0), graph("Cast", missing, to=DOUBLE))
    values = graph("Where", missing, graph.number(0.0), rows)
    # Σ (x² − 2xy + y²) over the columns that are present in both rows.
    squares = graph("MatMul", graph("Mul", values, values), graph.number(observed.T))
    products = graph("MatMul", values, graph.number(-2.0 * filled.T))
    donor_squares = graph("MatMul", present, graph.number(np.square(filled).T))
    shared = graph("MatMul", present, graph.number(observed.T))
    # Without a common column, the quotient is NaN.
    distances = graph("Div", graph("Add", graph("Add", squares, products), donor_squares), shared)
    distances = graph("Where", graph("Equal", shared, graph.number(0.0)), graph.number(np.inf), distances)
    columns = []
    for column in np.flatnonzero(valid):
        donors = np.flatnonzero(observed[:, column])
        count = graph.constant(np.array([min(model.n_neighbors, len(donors))]))
        nearest_distances, nearest = graph.multi_output(
            "TopK", graph.gather_columns(distances, donors), count, outputs=2, axis=1, largest=0
        )
        mean = graph("ReduceMean", graph("Gather", graph.number(training_rows[donors, column]), nearest), axes=[1])
        no_neighbors = graph("IsInf", graph.gather_columns(nearest_distances, [0]))
        mean = graph("Where", no_neighbors, graph.number(training_rows[donors, column].mean()), mean)
        columns.append(
            graph("Where", graph.gather_columns(missing, [column]), mean, graph.gather_columns(rows, [column]))
        )
    imputed = graph("Concat", *columns, axis=1)
    if model.add_indicator:
        imputed = graph("Concat", imputed, _missing_indicator(graph, rows, model.indicator_), axis=1)
    graph.write_output(imputed, operator.outputs[0])
