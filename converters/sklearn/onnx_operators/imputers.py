"""What fills and marks missing values, as ONNX: NaN among numbers, "" among text."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError

from ._builder import DOUBLE, Container, Nodes, Operator, Scope

__all__ = ["missing_converters"]


def missing_converters() -> dict[type, Any]:
    """The conversion functions that skl2onnx is to use, by class of model."""
    from sklearn.impute import KNNImputer, MissingIndicator, SimpleImputer

    return {KNNImputer: _neighbors, MissingIndicator: _indicator, SimpleImputer: _imputer}


def _indicator(scope: Scope, operator: Operator, container: Container) -> None:
    nodes = Nodes(scope, container)
    rows = nodes.double(operator.inputs[0].full_name)
    nodes.give(_marks(nodes, rows, operator.raw_operator), operator.outputs[0])


def _marks(nodes: Nodes, rows: str, model: Any) -> str:
    """1 where a value of the columns that the indicator tells of is missing and 0 elsewhere, float64."""
    return nodes.double(_missing(nodes, nodes.columns(rows, model.features_), model.missing_values))


def _missing(nodes: Nodes, rows: str, mark: Any) -> str:
    """Where float64 rows lack a value."""
    if mark is None or np.isnan(mark):
        return nodes("IsNaN", rows)
    return nodes("Equal", rows, nodes.number(mark))


def _imputer(scope: Scope, operator: Operator, container: Container) -> None:
    from skl2onnx.common.data_types import StringTensorType

    model, nodes = operator.raw_operator, Nodes(scope, container)
    if isinstance(operator.inputs[0].type, StringTensorType):
        _text_imputer(nodes, operator)
        return
    statistics = np.asarray(model.statistics_, dtype=np.float64)
    # A column that had no value at all in training is left out, unless it is to be kept.
    kept = np.flatnonzero(~np.isnan(statistics))
    rows = nodes.double(operator.inputs[0].full_name)
    values = nodes.columns(rows, kept)
    made = nodes("Where", _missing(nodes, values, model.missing_values), nodes.number(statistics[kept]), values)
    if model.add_indicator:
        made = nodes("Concat", made, _marks(nodes, rows, model.indicator_), axis=1)
    nodes.give(made, operator.outputs[0])


def _text_imputer(nodes: Nodes, operator: Any) -> None:
    """Fills gaps in text, which are "" here, and what else the model takes for one."""
    model, rows = operator.raw_operator, operator.inputs[0].full_name
    if model.add_indicator or not all(isinstance(value, str) for value in model.statistics_):
        raise UnsupportedModelError(
            "A SimpleImputer of text with an indicator, or of a column without any text, has no route.",
            fix="train it with add_indicator=False, on columns that hold text.",
        )
    marks = sorted({"", model.missing_values} if isinstance(model.missing_values, str) else {""})
    known = nodes("Equal", nodes.label_codes(rows, marks), nodes.constant(np.array(-1)))
    filled = nodes.constant(np.array([model.statistics_.tolist()], dtype=np.str_))
    nodes("Where", known, rows, filled, output=operator.outputs[0].full_name)


def _neighbors(scope: Scope, operator: Operator, container: Container) -> None:
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
    made = nodes("Concat", *columns, axis=1)
    if model.add_indicator:
        made = nodes("Concat", made, _marks(nodes, rows, model.indicator_), axis=1)
    nodes.give(made, operator.outputs[0])
