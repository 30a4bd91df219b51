"""Decision trees as one table, run as gathers along the depth, exact in float32."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgeml.core.encoding import RANKS
from edgeml.core.errors import UnsupportedModelError

__all__ = ["Tree", "Trees", "fitted_tree", "tree_table"]

_LARGEST = np.finfo(np.float32).max
_SIGN = 0x7FFFFFFF
# A threshold lies a quarter of a step above the last rank that goes left: rounded to the ranks' own scale it is
# that rank, and the comparison holds in integers as well.
_ABOVE = 0.25


@dataclass(frozen=True, slots=True)
class Trees:
    """Trees as one table: first all inner nodes, then the distinct leaves.

    Attributes:
        feature: int32 ``[inner]``. A row goes left where ``x[feature] <= threshold``.
        threshold: ``[inner]``: float64 as scikit-learn has it, or float32 once moved.
        missing_left: ``[inner]`` of bool, whether NaN goes left.
        left: int32 ``[inner]``, number of the next node. `right`: the same.
        roots: int32 ``[trees]``.
        values: float64 ``[leaves, outputs]``.
        depth: The most comparisons on the way to a leaf.
        groups: Each tree in turn gives to one of so many groups of outputs.
        mean: Whether outputs are the mean over trees, else their sum.
        wide: Whether scikit-learn compares float64 features, else float32 ones.
        ranks: Whether features are ranks of 256, and stay so in integers.
    """

    feature: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    left: np.ndarray
    right: np.ndarray
    roots: np.ndarray
    values: np.ndarray
    depth: int
    groups: int = 1
    mean: bool = False
    wide: bool = False
    ranks: bool = False

    def before(self, transform: Callable[[np.ndarray], np.ndarray], origin: np.ndarray, inputs: int) -> Trees:
        """The same trees about the rows that `transform` takes: each threshold is the largest float32 that stays left.

        Args:
            transform: float32 ``[rows, inputs]`` to what the trees compare.
            origin: For each column that it gives, the one of the rows from which that rises, each another.
            inputs: Number of columns of the rows.
        """
        columns = [np.unique(self.threshold[self.feature == column]) for column in range(len(origin))]
        limits = np.full((max(map(len, columns), default=0), len(origin)), np.inf)
        for column, values in enumerate(columns):
            limits[: len(values), column] = values

        def left(values: np.ndarray) -> np.ndarray:
            rows = np.zeros((len(values), inputs), dtype=np.float32)
            rows[:, origin] = values
            with np.errstate(all="ignore"):
                made = transform(rows)
                return np.asarray(made if self.wide else made.astype(np.float32)).astype(np.float64) <= limits

        # Bisection over all float32 in their order, of which 33 halvings leave one.
        low = np.full(limits.shape, -int(_ordered(_LARGEST)), dtype=np.int64)
        high = -low
        for _ in range(33):
            middle = (low + high + 1) >> 1
            stays = left(_unordered(middle))
            low, high = np.where(stays, middle, low), np.where(stays, high, middle - 1)
        moved = _unordered(low)
        place = np.empty(len(self.feature), dtype=np.intp)
        for column, values in enumerate(columns):
            own = self.feature == column
            place[own] = np.searchsorted(values, self.threshold[own])
        return replace(
            self,
            feature=origin[self.feature].astype(np.int32),
            threshold=moved[place, self.feature],
            missing_left=self._missing(transform, inputs),
        )

    def _missing(self, transform: Callable[[np.ndarray], np.ndarray], inputs: int) -> np.ndarray:
        """Where NaN goes: to what an imputer puts in its place, else as the trees learned it."""
        try:
            filled = transform(np.full((1, inputs), np.nan, dtype=np.float32))[0, self.feature].astype(np.float64)
        except ValueError:  # a step that takes no NaN: the model never sees one
            return np.zeros(len(self.feature), dtype=bool)
        return np.where(np.isnan(filled), self.missing_left, filled <= self.threshold)

    def ranked(self, inputs: int) -> tuple[tuple[tuple[float, ...], ...], Trees]:
        """The cuts of each feature, ascending, and the same trees about the features' ranks among them.

        Raises:
            UnsupportedModelError: A feature has more cuts than int8 has steps.
        """
        cuts = [np.unique(self.threshold[self.feature == column]) for column in range(inputs)]
        most = max(map(len, cuts), default=0)
        if most >= RANKS:
            raise UnsupportedModelError(
                f"Its trees compare a feature with {most} thresholds, and 8 bits tell {RANKS - 1} apart.",
                fix="use tflite-fp32 or onnx-fp32, or train fewer or smaller trees.",
            )
        threshold = np.empty(len(self.feature), dtype=np.float32)
        for column, values in enumerate(cuts):
            own = self.feature == column
            threshold[own] = (np.searchsorted(values, self.threshold[own]) + _ABOVE) / RANKS
        ranked = replace(self, threshold=threshold, missing_left=np.zeros_like(self.missing_left), ranks=True)
        return tuple(tuple(map(float, values)) for values in cuts), ranked

    def __call__(self, value: Any) -> Any:
        """Outputs ``[batch, outputs]`` as TensorFlow operations."""
        import tensorflow as tf

        feature, threshold, left, right = self.feature, self.threshold, self.left, self.right
        swapped = self.missing_left
        if swapped.any():
            # NaN fails every comparison. Where it is to go left, -x is compared, and what holds goes right.
            columns = int(value.shape[1])
            with np.errstate(over="ignore"):  # the largest has infinity above it
                above = np.nextafter(threshold, np.float32(np.inf))
            threshold = np.where(swapped, -above, threshold)
            feature = np.where(swapped, feature + columns, feature)
            left, right = np.where(swapped, right, left), np.where(swapped, left, right)
            value = tf.concat([value, -value], axis=1)
        value = self._pinned(value)
        inner, leaves = len(feature), np.arange(len(self.values))
        # A leaf leads to itself, so that short ways stay where they end.
        tables = [
            tf.constant(np.concatenate([own, end]).astype(kind))
            for own, end, kind in (
                (feature, np.zeros_like(leaves), np.int32),
                (threshold, np.zeros(len(leaves)), np.float32),
                (left, inner + leaves, np.int32),
                (right, inner + leaves, np.int32),
            )
        ]
        batch = value.shape[0]
        node = tf.constant(np.broadcast_to(self.roots, (batch or 1, len(self.roots))).astype(np.int32))
        if batch is None:
            node = tf.tile(node, [tf.shape(value)[0], 1])
        for _ in range(self.depth):
            features, thresholds, to_left, to_right = (tf.gather(table, node) for table in tables)
            stays = tf.gather(value, features, batch_dims=1) <= self._pinned(thresholds)
            node = tf.where(stays, to_left, to_right)
        values = self.values.astype(np.float32)
        answers = tf.gather(tf.constant(values), node - inner)
        if self.ranks and values.any():  # integers that hold all leaves, not only those that were seen
            low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
            answers = tf.quantization.fake_quant_with_min_max_args(answers, low, high)
        outputs = self.groups * values.shape[1]
        answers = tf.reshape(answers, [-1, len(self.roots) // self.groups, outputs])
        return tf.reduce_mean(answers, axis=1) if self.mean else tf.reduce_sum(answers, axis=1)

    def _pinned(self, value: Any) -> Any:
        """Ranks on the one scale of 1/256, whatever the calibration samples show."""
        import tensorflow as tf

        if not self.ranks:
            return value
        return tf.quantization.fake_quant_with_min_max_args(value, 0.0, (RANKS - 1) / RANKS)


def _ordered(values: Any) -> Any:
    """The place of float32 values among all, as int64; 0 for zero."""
    bits = np.asarray(values, dtype=np.float32).view(np.int32).astype(np.int64)
    return np.where(bits >= 0, bits, -(bits & _SIGN))


def _unordered(places: np.ndarray) -> np.ndarray:
    bits = np.abs(places).astype(np.int32).view(np.float32)
    return np.where(places < 0, -bits, bits)


@dataclass(frozen=True, slots=True)
class Tree:
    """One tree in its own numbering: a leaf where `inner` is False."""

    inner: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    left: np.ndarray
    right: np.ndarray
    values: np.ndarray


def tree_table(trees: Sequence[Tree], *, groups: int = 1, mean: bool = False, wide: bool = False) -> Trees:
    """Put trees into one table.

    Args:
        trees: The trees.
        groups: As `Trees.groups`.
        mean: As `Trees.mean`.
        wide: As `Trees.wide`.
    """
    inner = sum(int(tree.inner.sum()) for tree in trees)
    values, place = np.unique(np.concatenate([tree.values[~tree.inner] for tree in trees]), axis=0, return_inverse=True)
    places = place.reshape(-1)
    parts: list[tuple[np.ndarray, ...]] = []
    roots, first, leaf = [], 0, 0
    for tree in trees:
        own, end = int(tree.inner.sum()), int((~tree.inner).sum())
        number = np.empty(len(tree.inner), dtype=np.int64)
        number[tree.inner] = first + np.arange(own)
        number[~tree.inner] = inner + places[leaf : leaf + end]
        roots.append(number[0])
        parts.append(
            (
                tree.feature[tree.inner],
                tree.threshold[tree.inner],
                tree.missing_left[tree.inner],
                number[tree.left[tree.inner]],
                number[tree.right[tree.inner]],
            )
        )
        first, leaf = first + own, leaf + end
    feature, threshold, missing_left, left, right = map(np.concatenate, zip(*parts, strict=True))
    return Trees(
        feature.astype(np.int32),
        threshold.astype(np.float64),
        missing_left.astype(bool),
        left,
        right,
        np.array(roots),
        values,
        max(map(_depth, trees)),
        groups,
        mean,
        wide,
    )


def _depth(tree: Tree) -> int:
    depth, level = 0, np.array([0])
    while (level := level[tree.inner[level]]).size:
        depth, level = depth + 1, np.concatenate([tree.left[level], tree.right[level]])
    return depth


def fitted_tree(estimator: Any, columns: np.ndarray | None = None, values: np.ndarray | None = None) -> Tree:
    """A `tree_` of scikit-learn.

    Args:
        estimator: The tree.
        columns: The features that it was given of the model's; None for all.
        values: Its nodes' ``[nodes, outputs]``; by default the estimator's own answers.
    """
    tree = estimator.tree_
    inner = tree.children_left >= 0
    feature = np.where(inner, tree.feature, 0)
    if values is None:
        values = tree.value[:, 0, :] if tree.n_outputs == 1 else tree.value[:, :, 0]
    return Tree(
        inner,
        feature if columns is None else np.asarray(columns)[feature],
        tree.threshold,
        tree.missing_go_to_left.astype(bool),
        tree.children_left,
        tree.children_right,
        np.asarray(values, dtype=np.float64),
    )
