"""Meta-estimators as ONNX; skl2onnx converts their inner models."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError

from ._builder import DOUBLE, Container, GraphBuilder, Operator, Scope
from ._decision_scores import decision_scores

__all__ = ["composed_converters"]


def composed_converters() -> dict[type, Any]:
    """Return the skl2onnx conversion functions by estimator class."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
    from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
    from sklearn.multioutput import RegressorChain

    return {
        FixedThresholdClassifier: _threshold,
        OneVsOneClassifier: _one_vs_one,
        OneVsRestClassifier: _one_vs_rest,
        OutputCodeClassifier: _output_code,
        RegressorChain: _regressor_chain,
        TransformedTargetRegressor: _transformed_target,
        TunedThresholdClassifierCV: _threshold,
    }


def _threshold(scope: Scope, operator: Operator, container: Container) -> None:
    """Convert a binary classifier that predicts its second class from a custom threshold of the score on."""
    model, graph = operator.raw_operator, GraphBuilder(scope, container)
    inner = getattr(model, "estimator_", model.estimator)
    if model.response_method == "decision_function" and hasattr(inner, "predict_proba"):
        raise UnsupportedModelError(
            f"{type(model).__name__}: response_method='decision_function' is not supported for classifiers "
            "with probabilities.",
            fix="train it with response_method='predict_proba'.",
        )
    scorer = getattr(model, "_curve_scorer", None)
    positive = model.pos_label if scorer is None else scorer._get_pos_label()  # noqa: SLF001
    if positive is not None and positive != model.classes_[1]:
        raise UnsupportedModelError(
            f"{type(model).__name__}: the first class as positive label is not supported.",
            fix="train it with the second class as pos_label.",
        )
    threshold = getattr(model, "best_threshold_", None)
    threshold = getattr(model, "threshold", "auto") if threshold is None else threshold
    if threshold == "auto":
        threshold = 0.5 if hasattr(inner, "predict_proba") else 0.0
    label, scores = (output.full_name for output in operator.outputs)
    _, inner_scores = graph.add_model(inner, operator.inputs[0])
    graph("Identity", inner_scores, output=scores)
    second = graph.double(graph("Gather", inner_scores, graph.constant(np.array(-1)), axis=1))
    above = graph("Cast", graph("GreaterOrEqual", second, graph.number(threshold)), to=DOUBLE)
    sides = graph("Unsqueeze", above, graph.constant(np.array([1])))
    pair = graph("Concat", graph("Sub", graph.number(1.0), sides), sides, axis=1)
    graph.label(pair, np.asarray(model.classes_), output=label)


def _binary_scores(graph: GraphBuilder, model: Any, rows: Any) -> tuple[str, str]:
    """Return label and score, float64 ``[batch, 1]``, of a classifier of 0 and 1 or of a regressor."""
    from sklearn.base import is_regressor

    if type(model).__name__ == "_ConstantPredictor":
        constant = graph.repeat_row(rows.full_name, model.y_)  # trained on a single class
        return constant, constant
    column = graph.constant(np.array([-1, 1]))
    if is_regressor(model):
        (value,) = graph.add_model(model, rows)
        value = graph("Reshape", graph.double(value), column)
        return graph("Cast", graph("Greater", value, graph.number(0.5)), to=DOUBLE), value
    label, _ = graph.add_model(model, rows)
    return graph.double(graph("Reshape", label, column)), decision_scores(graph, model, rows)


def _one_vs_one(scope: Scope, operator: Operator, container: Container) -> None:
    """Convert votes, with the sums of scores scaled to less than a third of a vote as tie-breakers."""
    model, graph = operator.raw_operator, GraphBuilder(scope, container)
    if model.pairwise_indices_ is not None:
        raise UnsupportedModelError(
            "OneVsOneClassifier: precomputed kernels are not supported.", fix="train it on a table of features."
        )
    count = len(model.classes_)
    pairs = [(i, j) for i in range(count) for j in range(i + 1, count)]
    parts = [_binary_scores(graph, inner, operator.inputs[0]) for inner in model.estimators_]
    labels = graph("Concat", *(label for label, _ in parts), axis=1)
    scores = graph("Concat", *(score for _, score in parts), axis=1)
    first, second = np.zeros((2, len(pairs), count))
    for index, (i, j) in enumerate(pairs):
        first[index, i] = second[index, j] = 1.0
    votes = graph("Add", graph("MatMul", labels, graph.number(second - first)), graph.number(first.sum(axis=0)))
    sums = graph("MatMul", scores, graph.number(second - first))
    magnitude = graph("Mul", graph("Add", graph("Abs", sums), graph.number(1.0)), graph.number(3.0))
    table = graph("Add", votes, graph("Div", sums, magnitude))
    label, score_output = (output.full_name for output in operator.outputs)
    graph.single(table, output=score_output)
    if count > 2:
        graph.label(table, model.classes_, output=label)
        return
    threshold = 0.0 if hasattr(model.estimators_[0], "decision_function") else 0.5
    above = graph("Greater", graph.gather_columns(table, [1]), graph.number(threshold))
    above = graph("Cast", above, to=DOUBLE)
    graph.label(graph("Concat", graph("Sub", graph.number(1.0), above), above, axis=1), model.classes_, output=label)


def _one_vs_rest(scope: Scope, operator: Operator, container: Container) -> None:
    """Predict the class with the largest score, the last of equal ones; for two classes, the sign decides."""
    from skl2onnx.operator_converters.one_vs_rest_classifier import convert_one_vs_rest_classifier

    model, graph = operator.raw_operator, GraphBuilder(scope, container)
    if hasattr(model, "predict_proba"):
        convert_one_vs_rest_classifier(scope, operator, container)
        return
    parts = [_binary_scores(graph, inner, operator.inputs[0])[1] for inner in model.estimators_]
    table = graph("Concat", *parts, axis=1)
    label, scores = operator.outputs
    graph.write_output(table, scores)
    if len(parts) == 1:
        above = graph("Cast", graph("Greater", table, graph.number(0.0)), to=DOUBLE)
        table = graph("Concat", graph("Sub", graph.number(1.0), above), above, axis=1)
    graph.label(table, model.classes_, output=label.full_name, last=len(parts) > 1)


def _output_code(scope: Scope, operator: Operator, container: Container) -> None:
    """Predict the class with the nearest row of the code book."""
    model, graph = operator.raw_operator, GraphBuilder(scope, container)
    parts = [_binary_scores(graph, inner, operator.inputs[0]) for inner in model.estimators_]
    codes = graph("Concat", *(score for _, score in parts), axis=1)
    distances = graph("Neg", graph.exact_square_distances(codes, model.code_book_))
    label, scores = (output.full_name for output in operator.outputs)
    graph.single(distances, output=scores)
    graph.label(distances, model.classes_, output=label)


def _regressor_chain(scope: Scope, operator: Operator, container: Container) -> None:
    """Convert a chain of regressors, each of which also reads the predictions of the previous ones."""
    model, graph = operator.raw_operator, GraphBuilder(scope, container)
    rows, width = graph.double(operator.inputs[0].full_name), operator.inputs[0].type.shape[1]
    column = graph.constant(np.array([-1, 1]))
    predictions: list[str] = []
    for index, inner in enumerate(model.estimators_):
        inputs = graph("Concat", rows, *predictions, axis=1) if predictions else rows
        (value,) = graph.add_model(inner, inputs, width + index)
        predictions.append(graph.double(graph("Reshape", value, column)))
    ordered = graph.gather_columns(graph("Concat", *predictions, axis=1), np.argsort(model.order_))
    graph.single(ordered, output=operator.outputs[0].full_name)


# ONNX operators of inverse functions, by NumPy name; scikit-learn's examples use the first two.
_INVERSES = {"expm1": "Exp", "exp": "Exp", "sqrt": "Sqrt", "log": "Log", "absolute": "Abs", "negative": "Neg"}


def _transformed_target(scope: Scope, operator: Operator, container: Container) -> None:
    """Convert a regressor whose predictions are transformed back into the target's units."""
    model, graph = operator.raw_operator, GraphBuilder(scope, container)
    (value,) = graph.add_model(model.regressor_, list(operator.inputs))
    values = graph("Reshape", graph.double(value), graph.constant(np.array([-1, operator.outputs[0].type.shape[1]])))
    graph.write_output(_inverse_transform(graph, model.transformer_, values), operator.outputs[0])


def _inverse_transform(graph: GraphBuilder, transformer: Any, values: str) -> str:
    kind = type(transformer).__name__
    if kind == "FunctionTransformer":
        name = getattr(transformer.inverse_func, "__name__", None)
        if transformer.inverse_func is None:
            return values
        if name in _INVERSES and getattr(np, name, None) is transformer.inverse_func:
            inverted = graph(_INVERSES[name], values)
            return graph("Sub", inverted, graph.number(1.0)) if name == "expm1" else inverted
        kind = f"function {name}"
    if kind == "StandardScaler":
        scale = transformer.scale_ if transformer.scale_ is not None else 1.0
        center = transformer.mean_ if transformer.with_mean else 0.0
        return graph("Add", graph("Mul", values, graph.number(scale)), graph.number(center))
    if kind == "MinMaxScaler":
        return graph("Div", graph("Sub", values, graph.number(transformer.min_)), graph.number(transformer.scale_))
    raise UnsupportedModelError(
        f"TransformedTargetRegressor: the inverse transform {kind} is not supported in ONNX.",
        fix=f"use one of NumPy's {', '.join(_INVERSES)}, a StandardScaler or a MinMaxScaler.",
    )
