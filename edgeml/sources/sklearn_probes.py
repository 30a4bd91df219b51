"""Inputs made from a fitted scikit-learn model itself: on its thresholds, at its categories, beyond its ranges."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice, zip_longest
from typing import Any

import numpy as np

from edgeml.core.errors import EdgemlError
from edgeml.core.finite import finite_samples
from edgeml.core.source import Probes, Reference
from edgeml.sources.sklearn_columns import Column
from edgeml.sources.sklearn_table import ModelTable
from edgeml.sources.sklearn_thresholds import Branches, ModelValues, model_values, node_constraints
from edgeml.sources.text_probes import probe_texts

__all__ = ["compared_columns", "make_probes"]

_SEED = 0
_MAX_ROWS = 512
_NODES, _CUTS, _CATEGORIES, _WIDE_COLUMNS, _WIDE_ROWS, _TEXTS = 64, 64, 96, 32, 48, 192
_LINES, _STEPS, _MIXES = 12, 17, 128  # between samples of different labels
_ANYWHERE = 192  # rows in the columns' ranges, and as many in those widened
_NARROW = 24  # rows of each kind where classes nearly tie
_WIDENED = 0.5  # of the range, beyond either end
_SLACK = 0.05  # of the range, from a threshold that a row need not lie on
_MAX_CALLS = 64  # of a model that refuses some rows

Row = tuple[int, dict[int, Any]]
"""A judged sample, and the values that replace its own, by column of the model's table."""


def compared_columns(model: Any, table: ModelTable) -> dict[str, tuple[int, ...]]:
    """Return the columns of each input that the model only compares with thresholds or categories of its own."""
    values = model_values(model, table.width)
    exact = values.compared - values.computed
    places = [(table.input_names[number if table.typed else 0], number) for number in range(len(table.columns))]
    return {
        name: tuple(
            0 if table.typed else number
            for place, number in places
            if place == name and table.columns[number].position in exact
        )
        for name in table.input_names
    }


def make_probes(
    model: Any,
    table: ModelTable,
    inputs: Mapping[str, np.ndarray],
    reference: Callable[[dict[str, np.ndarray]], Reference],
) -> Probes:
    """Return up to 512 rows made from a model, with its outputs; without those that it refuses.

    Args:
        model: The fitted model.
        table: The part of its training table that it reads.
        inputs: Typical samples ``[samples, ...]`` by input name.
        reference: Function from inputs to the model's outputs.
    """
    maker = _ProbeMaker(table, inputs, model_values(model, table.width), np.random.default_rng(_SEED))
    groups = [
        list(maker.nodes()),
        list(maker.cuts()),
        list(maker.categories()),
        list(maker.texts()),
        list(maker.wide()),
        maker.narrow(reference),
    ]
    rows = list(
        islice(((row, kind) for turn in zip_longest(*groups) for kind, row in enumerate(turn) if row), _MAX_ROWS)
    )
    kinds = np.array([kind for _, kind in rows])
    places = [np.flatnonzero(kinds == kind) for kind in range(len(groups))]
    return _answered(maker.arrays([row for row, _ in rows]), places, reference)


@dataclass(slots=True)
class _ProbeMaker:
    table: ModelTable
    inputs: Mapping[str, np.ndarray]
    values: ModelValues
    rng: np.random.Generator

    @property
    def _columns(self) -> dict[int, Column]:
        return {column.position: column for column in self.table.columns}

    def _samples(self, position: int) -> np.ndarray:
        """Return the judged values of a column ``[samples]``."""
        number = [column.position for column in self.table.columns].index(position)
        if self.table.typed:
            return self.inputs[self.table.input_names[number]][:, 0]
        return next(iter(self.inputs.values()))[:, number]

    def _numbers(self) -> list[int]:
        return [column.position for column in self.table.columns if not column.text]

    def _base(self) -> int:
        return int(self.rng.integers(len(next(iter(self.inputs.values())))))

    def _range(self, position: int) -> tuple[float, float]:
        """Return the smallest and largest value of a column, in the judged data and by the model's statistics."""
        known = self._samples(position).astype(np.float64)
        known = np.concatenate([known[np.isfinite(known)], self.values.ranges.get(position, ())])
        return (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)

    def nodes(self) -> Iterator[Row]:
        """Yield rows that reach nodes of the model's trees, with a feature on the threshold and just beside it."""
        trees = self.values.trees
        inner = [np.flatnonzero(tree.feature >= 0) for tree in trees]
        ends = np.cumsum([len(nodes) for nodes in inner])
        total = int(ends[-1]) if len(ends) else 0
        for number in np.sort(self.rng.permutation(total)[:_NODES]).tolist():
            which = int(np.searchsorted(ends, number, side="right"))
            node = int(inner[which][number - (ends[which - 1] if which else 0)])
            yield from self._node(trees[which], node)

    def _node(self, tree: Branches, node: int) -> Iterator[Row]:
        position = int(tree.feature[node])
        feature = tree.features[position] if position < len(tree.features) else None
        if feature is None or feature.column not in self._columns:
            return
        bounds: dict[int, tuple[float, float]] = {}
        for above, threshold, goes_left in node_constraints(tree, node):
            value = float(above.column_values(threshold))
            low, high = bounds.get(above.column, (-np.inf, np.inf))
            bounds[above.column] = (low, min(high, value)) if goes_left else (max(low, value), high)
        base = self._base()
        values = {
            column: self._between(column, base, low, high)
            for column, (low, high) in bounds.items()
            if column in self._columns and column != feature.column
        }
        for value in _beside(float(feature.column_values(tree.threshold[node]))):
            yield base, {**values, feature.column: value}

    def _between(self, position: int, base: int, low: float, high: float) -> float:
        """Return a sample's value of a column, moved into an interval."""
        value = float(self._samples(position)[base])
        if low < value <= high:
            return value
        if np.isfinite(low) and np.isfinite(high):
            return float(np.float32((low + high) / 2))
        begin, end = self._range(position)
        slack = _SLACK * ((end - begin) or 1.0)
        return float(np.float32(low + slack if np.isfinite(low) else high - slack))

    def cuts(self) -> Iterator[Row]:
        """Yield samples with one column on an edge or a clip's end, and just beside it."""
        cuts = [
            (position, value)
            for position, values in self.values.cuts.items()
            if position in self._numbers()
            for value in dict.fromkeys(values)
        ]
        for index in np.sort(self.rng.permutation(len(cuts))[:_CUTS]).tolist():
            position, cut = cuts[index]
            base = self._base()
            for value in _beside(cut):
                yield base, {position: value}

    def categories(self) -> Iterator[Row]:
        """Yield samples with each category of a column, and with an unknown one where the model accepts it."""
        known = [
            (position, value)
            for position, values in self.values.categories.items()
            if position in self._columns
            for value in dict.fromkeys(values)
        ]
        for position, values in self.values.categories.items():
            if position in self._columns and position not in self.values.closed:
                numbers = [value for value in values if isinstance(value, float)]
                unknown: list[object] = [max(numbers) + 1.0, min(numbers) - 0.5] if numbers else ["qqxzz", "日本"]
                known += [(position, value) for value in unknown]
        for index in np.sort(self.rng.permutation(len(known))[:_CATEGORIES]).tolist():
            position, value = known[index]
            if isinstance(value, str) == self._columns[position].text and value != "":
                yield self._base(), {position: value}

    def texts(self) -> Iterator[Row]:
        """Yield samples with texts of the words that the model counts."""
        listed = [
            (position, text)
            for position, vectorizers in self.values.vectorizers.items()
            if position in self._columns
            for vectorizer in vectorizers
            for text in probe_texts(vectorizer, self.rng)
        ]
        for index in np.sort(self.rng.permutation(len(listed))[:_TEXTS]).tolist():
            position, text = listed[index]
            yield self._base(), {position: text}

    def wide(self) -> Iterator[Row]:
        """Yield rows in ranges widened by half: one column, and all columns at once."""
        numbers = self._numbers()
        ranges = {position: self._range(position) for position in numbers}
        ends = {
            position: (low - _WIDENED * (high - low), high + _WIDENED * (high - low))
            for position, (low, high) in ranges.items()
        }
        for index in np.sort(self.rng.permutation(len(numbers))[:_WIDE_COLUMNS]).tolist():
            for value in ends[numbers[index]]:
                yield self._base(), {numbers[index]: _float32(value)}
        for corners in (ranges, ends):
            for side in (0, 1):
                yield self._base(), {position: _float32(corners[position][side]) for position in numbers}
        yield self._base(), dict.fromkeys(numbers, 0.0)
        yield self._base(), {position: _float32(sum(ranges[position]) / 2) for position in numbers}
        for number in range(_WIDE_ROWS):
            base = self._base()
            if number % 2:
                yield base, {position: _float32(self.rng.uniform(*ends[position])) for position in numbers}
            else:
                factors = self.rng.uniform(1 - _WIDENED, 1 + _WIDENED, len(numbers))
                scaled = (
                    float(self._samples(position)[base]) * factor
                    for position, factor in zip(numbers, factors, strict=True)
                )
                yield base, dict(zip(numbers, map(_float32, scaled), strict=True))

    def narrow(self, reference: Callable[[dict[str, np.ndarray]], Reference]) -> list[Row]:
        """Return rows between samples of different labels: where the label changes, and where scores nearly tie."""
        count = len(next(iter(self.inputs.values())))
        labels = reference(self.arrays([(base, {}) for base in range(min(count, _MAX_ROWS))])).labels
        if labels is None or len(np.unique(labels)) < 2 or not self._numbers():
            return []
        lines = [row for _ in range(_LINES) for row in self._line(labels)]
        mixes = [self._mix(labels) for _ in range(_MIXES)]
        candidates = [*lines, *mixes, *self._anywhere(0.0, _ANYWHERE), *self._anywhere(_WIDENED, _ANYWHERE)]
        answers = self._answers(candidates, reference)
        if answers is None:
            return []
        assert answers.labels is not None
        changes = np.diff(answers.labels[: len(lines)].reshape(_LINES, _STEPS), axis=1) != 0
        line, step = np.nonzero(changes)
        chosen = {int(place) for place in (line * _STEPS + step).tolist()}
        chosen |= {place + 1 for place in chosen}
        tied = _nearly_tied(answers)
        rows = [candidates[place] for place in sorted({*chosen, *chain.from_iterable(tied)})]
        # Nearer still to where several classes meet, which most lines miss.
        near = [[candidates[place] for place in places] for places in tied[:2]]
        between = [self._between_rows(near[number % 2]) for number in range(_MIXES)]
        answers = self._answers(between, reference)
        return rows if answers is None else [*(between[place] for place in _nearly_tied(answers)[1]), *rows]

    def _anywhere(self, widened: float, count: int) -> Iterator[Row]:
        """Yield rows anywhere in the columns' ranges."""
        ends = {
            position: (low - widened * (high - low), high + widened * (high - low))
            for position, (low, high) in ((position, self._range(position)) for position in self._numbers())
        }
        for _ in range(count):
            yield self._base(), {position: _float32(self.rng.uniform(*end)) for position, end in ends.items()}

    def _answers(self, rows: list[Row], reference: Callable[[dict[str, np.ndarray]], Reference]) -> Reference | None:
        """Return the model's outputs for rows; None where the model refuses some of them."""
        probes = _answered(self.arrays(rows), [np.arange(len(rows))], reference, calls=1)
        return probes.reference if probes.rows == len(rows) else None

    def _between_rows(self, rows: list[Row]) -> Row:
        chosen = [rows[place] for place in self.rng.choice(len(rows), 3).tolist()]
        shares = self.rng.dirichlet(np.ones(3)).tolist()
        values = {
            position: _float32(sum(share * row[1][position] for share, row in zip(shares, chosen, strict=True)))
            for position in self._numbers()
            if all(position in row[1] for row in chosen)
        }
        return chosen[0][0], values

    def _line(self, labels: np.ndarray) -> Iterator[Row]:
        first, second = self._of_different_labels(labels, 2)
        for share in np.linspace(0.0, 1.0, _STEPS).tolist():
            yield first, self._mixed((first, second), (1 - share, share))

    def _mix(self, labels: np.ndarray) -> Row:
        bases = self._of_different_labels(labels, 3)
        return bases[0], self._mixed(bases, tuple(self.rng.dirichlet(np.ones(len(bases))).tolist()))

    def _of_different_labels(self, labels: np.ndarray, count: int) -> tuple[int, ...]:
        present = np.unique(labels)
        chosen = self.rng.permutation(present)[:count]
        return tuple(int(self.rng.choice(np.flatnonzero(labels == label))) for label in chosen)

    def _mixed(self, bases: tuple[int, ...], shares: tuple[float, ...]) -> dict[int, Any]:
        return {
            position: _float32(
                sum(share * float(self._samples(position)[base]) for base, share in zip(bases, shares, strict=True))
            )
            for position in self._numbers()
        }

    def arrays(self, rows: list[Row]) -> dict[str, np.ndarray]:
        """Return rows as inputs of the model."""
        bases = np.array([base for base, _ in rows], np.intp)
        arrays = {}
        for name, array in self.inputs.items():
            samples = np.asarray(array)[bases]
            arrays[name] = samples.astype(object) if samples.dtype.kind == "U" else samples
        for number, column in enumerate(self.table.columns):
            name, place = (self.table.input_names[number], 0) if self.table.typed else (next(iter(arrays)), number)
            for row, (_, values) in enumerate(rows):
                if column.position in values:
                    arrays[name][row, place] = values[column.position]
        return {name: array.astype(str) if array.dtype == object else array for name, array in arrays.items()}


def _beside(value: float) -> list[float]:
    """Return the nearest float32 of a value, and its two neighbors."""
    nearest = np.float32(value)
    ends = np.float32(-np.inf), np.float32(np.inf)
    near = (float(number) for number in (nearest, *(np.nextafter(nearest, end) for end in ends)))
    return [number for number in near if np.isfinite(number)]


def _float32(value: float) -> float:
    return float(np.float32(value))


def _nearly_tied(answers: Reference) -> tuple[list[int], ...]:
    """Return rows where the best two scores are close, where the best three are, and where the best is low."""
    values = answers.deciding if answers.deciding is not None else next(iter(answers.outputs.values()))
    scores = values.reshape(len(values), -1).astype(np.float64)
    if scores.shape[1] == 1:
        scores = np.concatenate([scores, np.zeros_like(scores)], axis=1)
    ordered = np.sort(scores, axis=1)
    third = ordered[:, -3 if scores.shape[1] > 2 else -2]
    figures = ordered[:, -1] - ordered[:, -2], ordered[:, -1] - third, ordered[:, -1]
    return tuple(np.argsort(figure, kind="stable")[:_NARROW].tolist() for figure in figures)


def _answered(
    inputs: dict[str, np.ndarray],
    groups: list[np.ndarray],
    reference: Callable[[dict[str, np.ndarray]], Reference],
    *,
    calls: int = _MAX_CALLS,
) -> Probes:
    """Return the rows that the model answers with numbers, and its outputs.

    Args:
        inputs: Rows by input name.
        groups: Positions of the rows of each kind: a model often refuses a whole kind.
        reference: Function from inputs to the model's outputs.
        calls: Most calls of the model.
    """
    left = iter(range(calls))

    def answers(rows: np.ndarray) -> Iterator[tuple[np.ndarray, Reference]]:
        if not len(rows) or next(left, None) is None:
            return
        try:
            yield rows, reference({name: array[rows] for name, array in inputs.items()})
        except (EdgemlError, MemoryError):
            raise
        except Exception:  # noqa: BLE001  # scikit-learn raises many types; each means that the model refuses a row
            if len(rows) > 1:
                for half in np.array_split(rows, 2):
                    yield from answers(half)

    parts = [part for group in groups for part in answers(group)]
    if not parts:
        return Probes({name: array[:0] for name, array in inputs.items()}, Reference({}))
    rows = np.concatenate([part for part, _ in parts])
    outputs = {name: np.concatenate([answer.outputs[name] for _, answer in parts]) for name in parts[0][1].outputs}
    finite = finite_samples(outputs.values())

    def joined(name: str) -> np.ndarray | None:
        arrays = [getattr(answer, name) for _, answer in parts]
        return None if arrays[0] is None else np.concatenate(arrays)[finite]

    reference_ = Reference(
        {name: values[finite] for name, values in outputs.items()}, joined("labels"), deciding=joined("deciding")
    )
    return Probes({name: array[rows[finite]] for name, array in inputs.items()}, reference_)
