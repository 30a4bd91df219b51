"""The columns of a table that a scikit-learn model was trained on, and which of them hold text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError
from edgeml.core.preprocessing import GAPS

__all__ = ["Column", "first_step", "table_columns"]

_WRAPPED_ATTRIBUTES = ("best_estimator_", "regressor_")


@dataclass(frozen=True, slots=True)
class Column:
    """A column that the model reads.

    Attributes:
        name: Name of the column in the training table; None for an array.
        position: Position of the column in the training table.
        text: Whether the column holds text.
        missing_marker: Value of a missing text in that table: NaN, None, or "" where the model has no such value.
        categories: Texts that the model was trained on, as far as it keeps them.
        closed: Whether the model refuses other texts.
        literal: Texts that the model was trained on although files spell missing values so.
    """

    name: str | None
    position: int
    text: bool = False
    missing_marker: float | str | None = ""
    categories: tuple[str, ...] = ()
    closed: bool = False
    literal: tuple[str, ...] = ()


def table_columns(model: Any) -> tuple[Column, ...]:
    """Return the columns that the model reads, in the table's order; empty where the model does not record them.

    A column that a ColumnTransformer drops is not read.

    Raises:
        UnsupportedModelError: One part of the model reads a column as text, and another as numbers.
    """
    names = getattr(model, "feature_names_in_", None)
    columns: dict[int, Column] = {}
    for position, text in _uses(model, None):
        name = None if names is None else str(names[position])
        use = text or _TextUse()
        column = Column(name, position, text is not None, use.missing_marker, use.categories, use.closed, use.literal)
        earlier = columns.setdefault(position, column)
        if earlier.text != column.text:
            raise UnsupportedModelError(
                f"One part of the model reads column '{name or position}' as text, another as numbers.",
                fix="pass it to one of them as a separate column.",
            )
        if column.closed and not earlier.closed:
            columns[position] = column
    return tuple(columns[position] for position in sorted(columns))


def first_step(model: Any) -> Any:
    """Return the estimator that receives the table itself: of a pipeline the first step that is not passthrough."""
    for name in _WRAPPED_ATTRIBUTES:
        if hasattr(model, name):
            return first_step(getattr(model, name))
    for _, step in getattr(model, "steps", ()):
        if step is not None and not isinstance(step, str):
            return first_step(step)
    return model


@dataclass(frozen=True, slots=True)
class _TextUse:
    """The way an estimator reads a column of text; attributes as those of `Column`."""

    missing_marker: float | str | None = ""
    categories: tuple[str, ...] = ()
    closed: bool = False
    literal: tuple[str, ...] = ()


def _uses(model: Any, positions: Sequence[int] | None) -> Iterator[tuple[int, _TextUse | None]]:
    """Yield the position of each column that a model reads, and how the model reads text in it, if it does.

    Args:
        model: The model, or a part of it.
        positions: Positions of the part's columns in the whole table; None for the whole table itself.
    """
    first = first_step(model)
    if positions is None:
        count = getattr(first, "n_features_in_", None)
        if count is None:
            return
        positions = range(int(count))
    name = type(first).__name__
    if name == "ColumnTransformer":
        for key, part, _ in first.transformers_:
            if not isinstance(part, str) or part != "drop":
                selected = first._transformer_to_input_indices[key]  # noqa: SLF001  # scikit-learn has no public name
                yield from _uses(part, [positions[i] for i in selected])
        return
    if name == "FeatureUnion":
        for _, part in first.transformer_list:
            if part != "drop":
                yield from _uses(part, positions)
        return
    if hasattr(first, "vocabulary_") or name == "HashingVectorizer":
        yield from ((position, _TextUse(literal=_literal_words(first))) for position in positions)
        return
    for number, position in enumerate(positions):
        yield position, _text_use(model, first, number)


def _text_use(model: Any, first: Any, number: int) -> _TextUse | None:
    """Return how an estimator, or a pipeline that begins with it, reads text in one of its columns; None for numbers.

    Args:
        model: The estimator or pipeline.
        first: Its first step.
        number: Position of the column among those of `model`.
    """
    if hasattr(first, "categories_"):
        values = np.asarray(first.categories_[number])
        categories = values.tolist() if values.dtype.kind in "OU" else []
        texts = tuple(value for value in categories if isinstance(value, str))
        markers = [value for value in categories if not isinstance(value, str)]
        if not texts:
            return None
        closed = getattr(first, "handle_unknown", "") == "error"
        return _TextUse(markers[0] if markers else "", texts, closed, _literal_texts(texts))
    statistics = getattr(first, "statistics_", None)
    if statistics is None or not isinstance(np.asarray(statistics, dtype=object)[number], str):
        return None
    encoder = _second_step(model, first)
    use = None if encoder is None or not hasattr(encoder, "categories_") else _text_use(encoder, encoder, number)
    categories, closed = (use.categories, use.closed) if use else ((), False)
    return _TextUse(first.missing_values, categories, closed, _literal_texts(categories))


def _literal_texts(categories: tuple[str, ...]) -> tuple[str, ...]:
    """Return the categories that files also use for missing values."""
    return tuple(text for text in categories if text and text.strip() in GAPS)


def _literal_words(vectorizer: Any) -> tuple[str, ...]:
    """Return the spellings of missing values in which a vectorizer counts words."""
    words, vocabulary = vectorizer.build_analyzer(), getattr(vectorizer, "vocabulary_", None)
    return tuple(text for text in sorted(GAPS) if any(vocabulary is None or word in vocabulary for word in words(text)))


def _second_step(model: Any, first: Any) -> Any:
    """Return the step of a pipeline after its first one, where that keeps the columns as they are."""
    steps = [step for _, step in getattr(model, "steps", ()) if step is not None and not isinstance(step, str)]
    if len(steps) > 1 and steps[0] is first and not getattr(first, "add_indicator", False):
        return steps[1]
    return None
