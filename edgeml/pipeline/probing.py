"""Proof of float artifacts on rows made from the source itself, beyond the judged data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from edgeml.core.goal import Goal
from edgeml.core.recipe import Precision, Recipe
from edgeml.core.records.evidence import ProbeFidelity
from edgeml.core.source import Reference
from edgeml.core.tensors import TensorSpec
from edgeml.pipeline.outcome import ProvenArtifact
from edgeml.pipeline.reference import ReferenceOutputs

__all__ = ["ProbeSet"]

_ROW_SLACK_DB = 10.0  # below the floor of all samples, for the largest error of a single row
_LEAST_COLUMN = 1e-3  # of an output's largest value, up to which a smaller column has a scale of its own
_MOVED_ROWS = 64  # differing rows for which the source is asked about moved inputs
_MOVED_COLUMNS, _MOVED_AT_RANDOM = 16, 12
_SEED = 0
_STEPS: Mapping[Precision, float] = {"fp32": 2.0**-23, "fp16": 2.0**-10}
_SHOWN = 6  # values of a row in a message
_DIGITS = 9  # that tell float32 apart


@dataclass(frozen=True, slots=True)
class ProbeSet:
    """Rows made from the source, and the source's outputs for them.

    Attributes:
        inputs: Arrays ``[rows, ...]`` by input name.
        reference: Outputs of the source.
        judged: Outputs of the source for the judged data, whose sizes are the outputs' scales.
        samples: The judged data, whose sizes are the inputs' scales.
        compared: Columns by input name that the source compares with thresholds of its own. Beside these, an artifact
            must decide as the source does; other inputs may be off by a last bit.
        run_source: Function from inputs to the source's outputs.
    """

    inputs: dict[str, np.ndarray]
    reference: ReferenceOutputs
    judged: ReferenceOutputs
    samples: Mapping[str, np.ndarray]
    compared: Mapping[str, tuple[int, ...]]
    run_source: Callable[[dict[str, np.ndarray]], Reference]

    def hold(self, proven: ProvenArtifact, recipe: Recipe, goal: Goal) -> ProvenArtifact:
        """Return an artifact with its figures on these rows, and rejected if it differs from the source there."""
        outputs = proven.run.probe_outputs
        if outputs is None:
            return proven
        floor = goal.floor(recipe.floor)
        tolerance = 10 ** (-(floor.sqnr_db - _ROW_SLACK_DB) / 20)
        differing = np.flatnonzero(self._differs(outputs, proven.artifact.signature.outputs, tolerance))
        excused = self._excused(differing[:_MOVED_ROWS], outputs, proven, tolerance, _STEPS[recipe.precision])
        wrong = np.concatenate([differing[:_MOVED_ROWS][~excused], differing[_MOVED_ROWS:]])
        rows = len(next(iter(self.inputs.values())))
        figures = ProbeFidelity(rows, len(wrong), int(excused.sum()))
        proven = replace(proven, evaluation=msgspec.structs.replace(proven.evaluation, probes=figures))
        if len(wrong) <= (1 - floor.agreement) * rows:
            return proven
        reason = (
            f"{len(wrong)} of {rows} rows made from the model itself differ from the source, for instance "
            f"{self._describe(int(wrong[0]), outputs, proven.artifact.signature.outputs)}"
        )
        verdict = proven.verdict
        return replace(
            proven, verdict=msgspec.structs.replace(verdict, status="rejected", reasons=(*verdict.reasons, reason))
        )

    def _differs(
        self, outputs: Mapping[str, np.ndarray], specs: tuple[TensorSpec, ...], tolerance: float
    ) -> np.ndarray:
        """Return a mask of the rows with another label or output than the source's ``[rows]``."""
        wrong = np.any(
            [
                ~(np.abs(_flat(outputs[name]) - expected) <= tolerance * self._scale(name, expected)).all(axis=1)
                for name, expected in ((name, _flat(values)) for name, values in self.reference.outputs.items())
            ],
            axis=0,
        )
        for labels in self.reference.compare_labels(outputs, specs).values():
            flips = (labels.source != labels.artifact) & ~labels.tied
            wrong |= flips.reshape(len(flips), -1).any(axis=1)
        return np.asarray(wrong)

    def _scale(self, name: str, expected: np.ndarray) -> np.ndarray:
        """Return the size of each value that its error is judged by ``[rows, columns]``."""
        sizes = np.abs(_flat(self.judged.outputs[name])).max(axis=0, initial=0.0)
        return np.maximum(np.maximum(sizes, _LEAST_COLUMN * sizes.max(initial=0.0)), np.abs(expected))

    def _excused(
        self,
        rows: np.ndarray,
        outputs: Mapping[str, np.ndarray],
        proven: ProvenArtifact,
        tolerance: float,
        step: float,
    ) -> np.ndarray:
        """Return a mask of the rows whose outputs the source gives too, for inputs moved by one step ``[rows]``."""
        moves = self._moves(rows, step) if len(rows) else None
        if moves is None:
            return np.zeros(len(rows), bool)
        moved = ReferenceOutputs(self.run_source(moves), self.reference.info)
        count = len(next(iter(moves.values()))) // len(rows)
        excused = np.ones(len(rows), bool)
        for name, values in self.reference.outputs.items():
            expected = _flat(values)[rows]
            answers = np.concatenate([expected[:, None], _flat(moved.outputs[name]).reshape(len(rows), count, -1)], 1)
            slack = tolerance * self._scale(name, expected)
            got = _flat(outputs[name])[rows]
            inside = (got >= answers.min(axis=1) - slack) & (got <= answers.max(axis=1) + slack)
            excused &= inside.all(axis=1)
        for name, labels in self.reference.compare_labels(outputs, proven.artifact.signature.outputs).items():
            source, artifact, tied = (each[rows].reshape(len(rows), -1) for each in labels.compared)
            possible = moved.label_positions[name].reshape(len(rows), count, -1)
            possible = np.concatenate([source[:, None], possible], axis=1)
            excused &= ((artifact[:, None] == possible).any(axis=1) | tied).all(axis=1)
        return excused

    def _moves(self, rows: np.ndarray, step: float) -> dict[str, np.ndarray] | None:
        """Return each row several times, its numbers moved; None where the source only compares them.

        A step is the last bit of the value, or of the column's size where that is larger: a number near 0 has lost as
        much once a mean is subtracted.
        """
        exact = step < _STEPS["fp16"]
        numbers = {
            name: [column for column in range(array.shape[-1]) if not (exact and column in self.compared.get(name, ()))]
            for name, array in self.inputs.items()
            if array.dtype.kind == "f" and name not in self.reference.info.whole_inputs
        }
        numbers = {name: columns for name, columns in numbers.items() if columns}
        if not numbers:
            return None
        rng = np.random.default_rng(_SEED)
        signs = self._signs(numbers, rng)
        count = len(next(iter(signs.values())))
        moves = {}
        for name, array in self.inputs.items():
            repeated = np.repeat(array[rows], count, axis=0)
            if name in signs:
                known = self.samples[name].astype(np.float64)
                with np.errstate(invalid="ignore"):
                    size = np.sqrt(np.nanmean(np.square(known), axis=0)) if np.isfinite(known).any() else 0.0
                reach = step * np.maximum(np.abs(repeated.astype(np.float64)), np.nan_to_num(size))
                repeated = (repeated + np.tile(signs[name], (len(rows), *[1] * (array.ndim - 1))) * reach).astype(
                    array.dtype
                )
            moves[name] = repeated
        return moves

    def _signs(self, numbers: Mapping[str, list[int]], rng: np.random.Generator) -> dict[str, np.ndarray]:
        """Return directions to move the inputs in: all up, all down, some columns alone, and at random."""
        columns = [(name, column) for name, listed in numbers.items() for column in listed]
        alone = [columns[i] for i in rng.permutation(len(columns))[:_MOVED_COLUMNS].tolist()]
        count = 2 + 2 * len(alone) + _MOVED_AT_RANDOM
        signs = {}
        for name, listed in numbers.items():
            shape = self.inputs[name].shape[1:]
            mask = np.zeros(shape)
            mask[..., listed] = 1.0
            rows = rng.choice(np.array([-1.0, 1.0]), (count, *shape))
            rows[0], rows[1] = 1.0, -1.0
            rows[2 : 2 + 2 * len(alone)] = 0.0
            for number, (owner, column) in enumerate(alone):
                if owner == name:
                    rows[2 + 2 * number, ..., column], rows[3 + 2 * number, ..., column] = 1.0, -1.0
            signs[name] = rows * mask
        return signs

    def _describe(self, row: int, outputs: Mapping[str, np.ndarray], specs: tuple[TensorSpec, ...]) -> str:
        """Return a row, the artifact's output for it and the source's, for a message."""
        shown = ", ".join(f"{name} {_text(array[row])}" for name, array in self.inputs.items())
        name = next(iter(self.reference.outputs))
        got, expected = _text(outputs[name][row]), _text(self.reference.outputs[name][row])
        for labels in self.reference.compare_labels(outputs, specs).values():
            if labels.source.ndim == 1 and labels.source[row] != labels.artifact[row]:
                names = labels.decision.labels
                known = labels.artifact[row] >= 0
                got += f", label {names[labels.artifact[row]] if known else 'unknown'!s}"
                expected += f", label {names[labels.source[row]]}"
        return f"{shown}: got {got}, expected {expected}"


def _flat(values: np.ndarray) -> np.ndarray:
    return values.reshape(len(values), -1).astype(np.float64)


def _text(values: np.ndarray) -> str:
    """Return the first values of an array."""
    listed = np.ravel(values)[:_SHOWN].tolist()
    texts = [f"{value:.{_DIGITS}g}" if isinstance(value, float) else repr(value) for value in listed]
    return f"[{', '.join(texts)}{', …' if values.size > _SHOWN else ''}]"
