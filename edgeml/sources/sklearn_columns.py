"""Which columns of a table a scikit-learn model was trained on, and which of them hold text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError
from edgeml.core.preprocessing import GAPS

__all__ = ["Column", "first_step", "table_columns"]

_NAMES_OF_WRAPPED = ("best_estimator_", "regressor_")


@dataclass(frozen=True, slots=True)
class Column:
    """A column that the model reads.

    Attributes:
        name: As the table had it in training; None for an array.
        place: Its position in that table.
        text: Whether it holds text.
        gap: What stands for a missing text in that table: NaN, None, or "" where the model knows none.
        known: The texts that it was trained on, as far as it keeps them.
        closed: Whether it takes no other texts.
        literal: Texts that it knows although files spell missing values so.
    """

    name: str | None
    place: int
    text: bool = False
    gap: float | str | None = ""
    known: tuple[str, ...] = ()
    closed: bool = False
    literal: tuple[str, ...] = ()


def table_columns(model: Any) -> tuple[Column, ...]:
    """The columns that the model reads, in the table's order; none where it does not say what it was trained on.

    What goes into a ColumnTransformer and is dropped there is not read.

    Raises:
        UnsupportedModelError: One part of the model takes a column for text, and another for numbers.
    """
    names = getattr(model, "feature_names_in_", None)
    found: dict[int, Column] = {}
    for place, text in _uses(model, None):
        name = None if names is None else str(names[place])
        use = text or _Text()
        new = Column(name, place, text is not None, use.gap, use.known, use.closed, use.literal)
        old = found.setdefault(place, new)
        if old.text != new.text:
            raise UnsupportedModelError(
                f"One part of the model takes column '{name or place}' for text, another for numbers.",
                fix="give it to one of them as a column of its own.",
            )
        if new.closed and not old.closed:
            found[place] = new
    return tuple(found[place] for place in sorted(found))


def first_step(model: Any) -> Any:
    """The estimator that the table itself is given to: of a pipeline the first that does anything."""
    for name in _NAMES_OF_WRAPPED:
        if hasattr(model, name):
            return first_step(getattr(model, name))
    for _, step in getattr(model, "steps", ()):
        if step is not None and not isinstance(step, str):
            return first_step(step)
    return model


@dataclass(frozen=True, slots=True)
class _Text:
    gap: float | str | None = ""
    known: tuple[str, ...] = ()
    closed: bool = False
    literal: tuple[str, ...] = ()


def _uses(model: Any, places: Sequence[int] | None) -> Iterator[tuple[int, _Text | None]]:
    """Each column that a model reads, by its place in the whole table, and what it takes for text in it."""
    first = first_step(model)
    if places is None:
        count = getattr(first, "n_features_in_", None)
        if count is None:
            return
        places = range(int(count))
    name = type(first).__name__
    if name == "ColumnTransformer":
        for key, part, _ in first.transformers_:
            if not isinstance(part, str) or part != "drop":
                inner = first._transformer_to_input_indices[key]  # noqa: SLF001  # scikit-learn has no public name
                yield from _uses(part, [places[i] for i in inner])
        return
    if name == "FeatureUnion":
        for _, part in first.transformer_list:
            if part != "drop":
                yield from _uses(part, places)
        return
    if hasattr(first, "vocabulary_") or name == "HashingVectorizer":
        yield from ((place, _Text(literal=_literal_words(first))) for place in places)
        return
    for number, place in enumerate(places):
        yield place, _text(model, first, number)


def _text(model: Any, first: Any, number: int) -> _Text | None:
    """What an estimator, or a pipeline that begins with it, takes for text in its column of that number."""
    if hasattr(first, "categories_"):
        categories = np.asarray(first.categories_[number])
        values = categories.tolist() if categories.dtype.kind in "OU" else []
        texts = tuple(value for value in values if isinstance(value, str))
        gaps = [value for value in values if not isinstance(value, str)]
        if not texts:
            return None
        return _Text(gaps[0] if gaps else "", texts, getattr(first, "handle_unknown", "") == "error", _literal(texts))
    statistics = getattr(first, "statistics_", None)
    if statistics is None or not isinstance(np.asarray(statistics, dtype=object)[number], str):
        return None
    gap = first.missing_values
    later = _later(model, first)
    after = None if later is None or not hasattr(later, "categories_") else _text(later, later, number)
    known, closed = (after.known, after.closed) if after else ((), False)
    return _Text(gap, known, closed, _literal(known))


def _literal(known: tuple[str, ...]) -> tuple[str, ...]:
    """Return the known texts that files use for missing values too."""
    return tuple(text for text in known if text and text.strip() in GAPS)


def _literal_words(vectorizer: Any) -> tuple[str, ...]:
    """Return the spellings of missing values in which a vectorizer counts words."""
    words, vocabulary = vectorizer.build_analyzer(), getattr(vectorizer, "vocabulary_", None)
    return tuple(text for text in sorted(GAPS) if any(vocabulary is None or word in vocabulary for word in words(text)))


def _later(model: Any, first: Any) -> Any:
    """The step of a pipeline after its first one, where that keeps the columns as they are."""
    steps = [step for _, step in getattr(model, "steps", ()) if step is not None and not isinstance(step, str)]
    if len(steps) > 1 and steps[0] is first and not getattr(first, "add_indicator", False):
        return steps[1]
    return None
