"""Text vectorizers as ONNX: words in any script, and weights of repeated words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from ._builder import Container, GraphBuilder, Operator, Scope

__all__ = ["text_converters", "token_options"]

_WORD = r"[\p{L}\p{N}_]"  # what \w means in Python; for RE2, which onnxruntime uses, it is ASCII alone

_TOKENS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys((r"(?u)\b\w\w+\b", r"\b\w\w+\b"), _WORD + _WORD + "+"),
        **dict.fromkeys((r"(?u)\b\w+\b", r"\b\w+\b", r"(?u)\w+", r"\w+"), _WORD + "+"),
    }
)
"""Patterns of tokens in RE2, by scikit-learn's."""


def text_converters() -> dict[type, Any]:
    """Return the skl2onnx conversion functions by estimator class."""
    from sklearn.feature_extraction.text import TfidfTransformer, TfidfVectorizer

    return {TfidfTransformer: _transformer, TfidfVectorizer: _vectorizer}


def token_options(model: Any) -> dict[int, dict[str, Any]]:
    """Return skl2onnx's options for the text vectorizers in a model, by their `id`."""
    return {
        id(vectorizer): {"tokenexp": _TOKENS[vectorizer.token_pattern]}
        for vectorizer in _vectorizers(model, set())
        if vectorizer.analyzer == "word" and vectorizer.token_pattern in _TOKENS
    }


def _vectorizers(value: Any, visited: set[int]) -> Iterator[Any]:
    """Yield the vectorizers with a vocabulary inside a model."""
    if id(value) in visited:
        return
    visited.add(id(value))
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            yield from _vectorizers(item, visited)
    elif hasattr(value, "vocabulary_"):
        yield value
    elif hasattr(value, "get_params"):
        yield from _vectorizers(vars(value), visited)


def _transformer(scope: Scope, operator: Operator, container: Container) -> None:
    graph = GraphBuilder(scope, container)
    weighted = _weighted(graph, operator.raw_operator, operator.inputs[0].full_name)
    graph.write_output(weighted, operator.outputs[0])


def _vectorizer(scope: Scope, operator: Operator, container: Container) -> None:
    """Count words as a CountVectorizer does, and weight the counts."""
    from sklearn.feature_extraction.text import CountVectorizer

    model, graph = operator.raw_operator, GraphBuilder(scope, container)
    names = CountVectorizer().get_params()
    counter = CountVectorizer(**{name: value for name, value in model.get_params().items() if name in names})
    counter.vocabulary_ = model.vocabulary_
    for identity, options in token_options(counter).items():
        scope.add_options(identity, options)
        container.add_options(identity, options)
    (counts,) = graph.add_model(counter, list(operator.inputs))
    graph.write_output(_weighted(graph, model, counts), operator.outputs[0])


def _weighted(graph: GraphBuilder, model: Any, counts: str) -> str:
    """Multiply the counts, or 1 plus their logarithms, by the words' weights, and divide rows by their norms."""
    values = graph.double(counts)
    zero, unit = graph.number(0.0), graph.number(1.0)
    if model.sublinear_tf:
        present = graph("Greater", values, zero)
        logarithms = graph("Add", graph("Log", graph("Where", present, values, unit)), unit)
        values = graph("Where", present, logarithms, zero)
    if model.use_idf:
        values = graph("Mul", values, graph.number(np.asarray(model.idf_).reshape(-1)))
    if model.norm is not None:
        squared = model.norm == "l2"
        sizes = graph("Mul", values, values) if squared else graph("Abs", values)
        norms = graph.reduce_sum(sizes, 1)
        norms = graph("Sqrt", norms) if squared else norms
        values = graph("Div", values, graph("Where", graph("Equal", norms, zero), unit, norms))
    return values
