"""Models made of other models as ONNX: skl2onnx converts the parts."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError

from ._builder import DOUBLE, Container, Nodes, Operator, Scope
from ._decision_scores import decisions

__all__ = ["composed_converters"]


def composed_converters() -> dict[type, Any]:
    """The conversion functions that skl2onnx is to use, by class of model."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.model_selection import FixedThresholdClassifier, TunedThresholdClassifierCV
    from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier, OutputCodeClassifier
    from sklearn.multioutput import RegressorChain

    return {
        FixedThresholdClassifier: _threshold,
        OneVsOneClassifier: _one_against_one,
        OneVsRestClassifier: _one_against_rest,
        OutputCodeClassifier: _output_code,
        RegressorChain: _chain,
        TransformedTargetRegressor: _transformed_target,
        TunedThresholdClassifierCV: _threshold,
    }


def _threshold(scope: Scope, operator: Operator, container: Container) -> None:
    """A classifier of two classes whose second one needs a score above, or at, a threshold of its own."""
    model, nodes = operator.raw_operator, Nodes(scope, container)
    inner = getattr(model, "estimator_", model.estimator)
    if model.response_method == "decision_function" and hasattr(inner, "predict_proba"):
        raise UnsupportedModelError(
            f"The {type(model).__name__} decides by decision_function, and gives probabilities.",
            fix="train it with response_method='predict_proba'.",
        )
    scorer = getattr(model, "_curve_scorer", None)
    positive = model.pos_label if scorer is None else scorer._get_pos_label()  # noqa: SLF001
    if positive is not None and positive != model.classes_[1]:
        raise UnsupportedModelError(
            f"The {type(model).__name__} has the first class as its positive label.", fix="name the second one."
        )
    best = getattr(model, "best_threshold_", None)
    best = getattr(model, "threshold", "auto") if best is None else best
    if best == "auto":
        best = 0.5 if hasattr(inner, "predict_proba") else 0.0
    label, scores = (output.full_name for output in operator.outputs)
    _, found = nodes.part(inner, operator.inputs[0])
    nodes("Identity", found, output=scores)
    second = nodes.double(nodes("Gather", found, nodes.constant(np.array(-1)), axis=1))
    above = nodes("Cast", nodes("GreaterOrEqual", second, nodes.number(best)), to=DOUBLE)
    sides = nodes("Unsqueeze", above, nodes.constant(np.array([1])))
    pair = nodes("Concat", nodes("Sub", nodes.number(1.0), sides), sides, axis=1)
    nodes.label(pair, np.asarray(model.classes_), output=label)


def _binary_scores(nodes: Nodes, model: Any, rows: Any) -> tuple[str, str]:
    """Of a classifier of 0 and 1, or a regressor: its label and its score for 1, float64 ``[batch, 1]``."""
    from sklearn.base import is_regressor

    if type(model).__name__ == "_ConstantPredictor":
        answer = nodes.repeated(rows.full_name, model.y_)  # it has seen a single class
        return answer, answer
    column = nodes.constant(np.array([-1, 1]))
    if is_regressor(model):
        (value,) = nodes.part(model, rows)
        value = nodes("Reshape", nodes.double(value), column)
        return nodes("Cast", nodes("Greater", value, nodes.number(0.5)), to=DOUBLE), value
    label, _ = nodes.part(model, rows)
    return nodes.double(nodes("Reshape", label, column)), decisions(nodes, model, rows)


def _one_against_one(scope: Scope, operator: Operator, container: Container) -> None:
    """Votes, and the sums of scores squeezed into thirds of a vote."""
    model, nodes = operator.raw_operator, Nodes(scope, container)
    if model.pairwise_indices_ is not None:
        raise UnsupportedModelError("The OneVsOneClassifier works on kernels.", fix="train it on a table.")
    count = len(model.classes_)
    pairs = [(i, j) for i in range(count) for j in range(i + 1, count)]
    parts = [_binary_scores(nodes, inner, operator.inputs[0]) for inner in model.estimators_]
    labels = nodes("Concat", *(label for label, _ in parts), axis=1)
    scores = nodes("Concat", *(score for _, score in parts), axis=1)
    first, second = np.zeros((2, len(pairs), count))
    for place, (i, j) in enumerate(pairs):
        first[place, i] = second[place, j] = 1.0
    votes = nodes("Add", nodes("MatMul", labels, nodes.number(second - first)), nodes.number(first.sum(axis=0)))
    sums = nodes("MatMul", scores, nodes.number(second - first))
    size = nodes("Mul", nodes("Add", nodes("Abs", sums), nodes.number(1.0)), nodes.number(3.0))
    table = nodes("Add", votes, nodes("Div", sums, size))
    label, output = (made.full_name for made in operator.outputs)
    nodes.single(table, output=output)
    if count > 2:
        nodes.label(table, model.classes_, output=label)
        return
    threshold = 0.0 if hasattr(model.estimators_[0], "decision_function") else 0.5
    above = nodes("Greater", nodes.columns(table, [1]), nodes.number(threshold))
    above = nodes("Cast", above, to=DOUBLE)
    nodes.label(nodes("Concat", nodes("Sub", nodes.number(1.0), above), above, axis=1), model.classes_, output=label)


def _one_against_rest(scope: Scope, operator: Operator, container: Container) -> None:
    """The class with the largest score, of equal ones the last; of two classes the second if its score is above 0."""
    from skl2onnx.operator_converters.one_vs_rest_classifier import convert_one_vs_rest_classifier

    model, nodes = operator.raw_operator, Nodes(scope, container)
    if hasattr(model, "predict_proba"):
        convert_one_vs_rest_classifier(scope, operator, container)
        return
    parts = [_binary_scores(nodes, inner, operator.inputs[0])[1] for inner in model.estimators_]
    table = nodes("Concat", *parts, axis=1)
    label, scores = operator.outputs
    nodes.give(table, scores)
    if len(parts) == 1:
        above = nodes("Cast", nodes("Greater", table, nodes.number(0.0)), to=DOUBLE)
        table = nodes("Concat", nodes("Sub", nodes.number(1.0), above), above, axis=1)
    nodes.label(table, model.classes_, output=label.full_name, last=len(parts) > 1)


def _output_code(scope: Scope, operator: Operator, container: Container) -> None:
    """The class whose row of the code book is nearest."""
    model, nodes = operator.raw_operator, Nodes(scope, container)
    parts = [_binary_scores(nodes, inner, operator.inputs[0]) for inner in model.estimators_]
    codes = nodes("Concat", *(score for _, score in parts), axis=1)
    distances = nodes("Neg", nodes.exact_square_distances(codes, model.code_book_))
    label, scores = (output.full_name for output in operator.outputs)
    nodes.single(distances, output=scores)
    nodes.label(distances, model.classes_, output=label)


def _chain(scope: Scope, operator: Operator, container: Container) -> None:
    """Regressors of which each sees the answers of those before it."""
    model, nodes = operator.raw_operator, Nodes(scope, container)
    rows, width = nodes.double(operator.inputs[0].full_name), operator.inputs[0].type.shape[1]
    column = nodes.constant(np.array([-1, 1]))
    answers: list[str] = []
    for place, inner in enumerate(model.estimators_):
        seen = nodes("Concat", rows, *answers, axis=1) if answers else rows
        (value,) = nodes.part(inner, seen, width + place)
        answers.append(nodes.double(nodes("Reshape", value, column)))
    ordered = nodes.columns(nodes("Concat", *answers, axis=1), np.argsort(model.order_))
    nodes.single(ordered, output=operator.outputs[0].full_name)


# Inverses that are one operator, by numpy's name; scikit-learn's examples use the first two.
_INVERSES = {"expm1": "Exp", "exp": "Exp", "sqrt": "Sqrt", "log": "Log", "absolute": "Abs", "negative": "Neg"}


def _transformed_target(scope: Scope, operator: Operator, container: Container) -> None:
    """A regressor whose answers are turned back into the target's own units."""
    model, nodes = operator.raw_operator, Nodes(scope, container)
    (value,) = nodes.part(model.regressor_, list(operator.inputs))
    values = nodes("Reshape", nodes.double(value), nodes.constant(np.array([-1, operator.outputs[0].type.shape[1]])))
    nodes.give(_inverse(nodes, model.transformer_, values), operator.outputs[0])


def _inverse(nodes: Nodes, transformer: Any, values: str) -> str:
    kind = type(transformer).__name__
    if kind == "FunctionTransformer":
        name = getattr(transformer.inverse_func, "__name__", None)
        if transformer.inverse_func is None:
            return values
        if name in _INVERSES and getattr(np, name, None) is transformer.inverse_func:
            made = nodes(_INVERSES[name], values)
            return nodes("Sub", made, nodes.number(1.0)) if name == "expm1" else made
        kind = f"function {name}"
    if kind == "StandardScaler":
        scale = transformer.scale_ if transformer.scale_ is not None else 1.0
        center = transformer.mean_ if transformer.with_mean else 0.0
        return nodes("Add", nodes("Mul", values, nodes.number(scale)), nodes.number(center))
    if kind == "MinMaxScaler":
        return nodes("Div", nodes("Sub", values, nodes.number(transformer.min_)), nodes.number(transformer.scale_))
    raise UnsupportedModelError(
        f"The TransformedTargetRegressor turns its answers back by a {kind}, for which there is no route.",
        fix=f"take one of numpy's {', '.join(_INVERSES)}, a StandardScaler or a MinMaxScaler.",
    )
