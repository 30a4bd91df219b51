"""Decision trees as one table, evaluated level by level with gathers, exact in float32."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from edgeml.core.encoding import RANKS
from edgeml.core.errors import UnsupportedModelError

__all__ = ["Tree", "Trees", "merge_trees", "read_tree"]

_LARGEST = np.finfo(np.float32).max
_SIGN = 0x7FFFFFFF
# Thresholds lie a quarter of a step above the last rank that goes left. Rounded to the scale of the ranks, they equal
# that rank, so that the comparison holds in integers as well.
_ABOVE = 0.25


@dataclass(frozen=True, slots=True)
class Trees:
    """Trees as one table: first all inner nodes, then the distinct leaves.

    Attributes:
        feature: int32 ``[inner]``; a row goes left if ``x[feature] <= threshold``.
        threshold: ``[inner]``; float64 in scikit-learn, float32 after `before_transform`.
        missing_left: bool ``[inner]``; True if NaN goes left.
        left: int32 ``[inner]``; index of the left child.
        right: int32 ``[inner]``; index of the right child.
        roots: int32 ``[trees]``; index of each tree's root.
        values: float64 ``[leaves, outputs]``.
        depth: Maximum number of comparisons from a root to a leaf.
        groups: Number of groups of outputs; consecutive trees belong to consecutive groups.
        mean: Average the trees instead of adding them.
        float64: scikit-learn compares features in float64 instead of float32.
        ranks: Features are ranks in steps of 1/256, which integers represent exactly.
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
    float64: bool = False
    ranks: bool = False

    def before_transform(self, transform: Callable[[np.ndarray], np.ndarray], origin: np.ndarray, inputs: int) -> Trees:
        """Return equal trees that read the input of `transform`; thresholds are the largest float32 that goes left.

        Args:
            transform: Function from float32 ``[rows, inputs]`` to the features of the trees.
            origin: For each feature, the distinct input column of which it is a non-decreasing function.
            inputs: Number of input columns.
        """
        columns = [np.unique(self.threshold[self.feature == column]) for column in range(len(origin))]
        limits = np.full((max(map(len, columns), default=0), len(origin)), np.inf)
        for column, values in enumerate(columns):
            limits[: len(values), column] = values

        def left(values: np.ndarray) -> np.ndarray:
            rows = np.zeros((len(values), inputs), dtype=np.float32)
            rows[:, origin] = values
            with np.errstate(all="ignore"):
                transformed = transform(rows)
                return (
                    np.asarray(transformed if self.float64 else transformed.astype(np.float32)).astype(np.float64)
                    <= limits
                )

        # Bisection over all float32 values in order; 33 halvings leave one value.
        low = np.full(limits.shape, -int(_to_order(_LARGEST)), dtype=np.int64)
        high = -low
        for _ in range(33):
            middle = (low + high + 1) >> 1
            stays = left(_from_order(middle))
            low, high = np.where(stays, middle, low), np.where(stays, high, middle - 1)
        moved = _from_order(low)
        indices = np.empty(len(self.feature), dtype=np.intp)
        for column, values in enumerate(columns):
            uses_column = self.feature == column
            indices[uses_column] = np.searchsorted(values, self.threshold[uses_column])
        return replace(
            self,
            feature=origin[self.feature].astype(np.int32),
            threshold=moved[indices, self.feature],
            missing_left=self._missing_directions(transform, inputs),
        )

    def _missing_directions(self, transform: Callable[[np.ndarray], np.ndarray], inputs: int) -> np.ndarray:
        """Return where NaN goes: where the transform's replacement goes, else as the trees learned it."""
        try:
            filled = transform(np.full((1, inputs), np.nan, dtype=np.float32))[0, self.feature].astype(np.float64)
        except ValueError:  # a step rejects NaN, so that the trees never read it
            return np.zeros(len(self.feature), dtype=bool)
        return np.where(np.isnan(filled), self.missing_left, filled <= self.threshold)

    def rank_thresholds(self, inputs: int) -> tuple[tuple[tuple[float, ...], ...], Trees]:
        """Replace features by their ranks among the thresholds.

        Returns:
            The thresholds of each feature, ascending, and equal trees that read ranks.

        Raises:
            UnsupportedModelError: A feature has more thresholds than int8 can distinguish.
        """
        cuts = [np.unique(self.threshold[self.feature == column]) for column in range(inputs)]
        count = max(map(len, cuts), default=0)
        if count >= RANKS:
            raise UnsupportedModelError(
                f"The trees compare a feature with {count} thresholds; int8 supports at most {RANKS - 1}.",
                fix="use tflite-fp32 or onnx-fp32, or train fewer or smaller trees.",
            )
        threshold = np.empty(len(self.feature), dtype=np.float32)
        for column, values in enumerate(cuts):
            uses_column = self.feature == column
            threshold[uses_column] = (np.searchsorted(values, self.threshold[uses_column]) + _ABOVE) / RANKS
        ranked_trees = replace(self, threshold=threshold, missing_left=np.zeros_like(self.missing_left), ranks=True)
        return tuple(tuple(map(float, values)) for values in cuts), ranked_trees

    def __call__(self, value: Any) -> Any:
        """Compute outputs ``[batch, outputs]`` as TensorFlow operations."""
        import tensorflow as tf

        feature, threshold, left, right = self.feature, self.threshold, self.left, self.right
        swapped = self.missing_left
        if swapped.any():
            # NaN fails every comparison. If NaN goes left, -x is compared and the branches are swapped.
            columns = int(value.shape[1])
            with np.errstate(over="ignore"):  # the next value after the largest is infinity
                above = np.nextafter(threshold, np.float32(np.inf))
            threshold = np.where(swapped, -above, threshold)
            feature = np.where(swapped, feature + columns, feature)
            left, right = np.where(swapped, right, left), np.where(swapped, left, right)
            value = tf.concat([value, -value], axis=1)
        value = self._quantize_ranks(value)
        inner, leaves = len(feature), np.arange(len(self.values))
        # A leaf is its own child, so that shorter paths stay at their leaf.
        tables = [
            tf.constant(np.concatenate([inner_values, leaf_entries]).astype(kind))
            for inner_values, leaf_entries, kind in (
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
            stays = tf.gather(value, features, batch_dims=1) <= self._quantize_ranks(thresholds)
            node = tf.where(stays, to_left, to_right)
        values = self.values.astype(np.float32)
        leaf_values = tf.gather(tf.constant(values), node - inner)
        if self.ranks and values.any():  # a range of all leaves, not only of those in the calibration samples
            low, high = min(0.0, float(values.min())), max(0.0, float(values.max()))
            leaf_values = tf.quantization.fake_quant_with_min_max_args(leaf_values, low, high)
        outputs = self.groups * values.shape[1]
        leaf_values = tf.reshape(leaf_values, [-1, len(self.roots) // self.groups, outputs])
        return tf.reduce_mean(leaf_values, axis=1) if self.mean else tf.reduce_sum(leaf_values, axis=1)

    def _quantize_ranks(self, value: Any) -> Any:
        """Fix the quantization scale of ranks at 1/256, independent of the calibration samples."""
        import tensorflow as tf

        if not self.ranks:
            return value
        return tf.quantization.fake_quant_with_min_max_args(value, 0.0, (RANKS - 1) / RANKS)


def _to_order(values: Any) -> Any:
    """Return the position of float32 values in the order of all float32, as int64; 0 for zero."""
    bits = np.asarray(values, dtype=np.float32).view(np.int32).astype(np.int64)
    return np.where(bits >= 0, bits, -(bits & _SIGN))


def _from_order(order: np.ndarray) -> np.ndarray:
    bits = np.abs(order).astype(np.int32).view(np.float32)
    return np.where(order < 0, -bits, bits)


@dataclass(frozen=True, slots=True)
class Tree:
    """One tree with its own node indices.

    Attributes:
        inner: bool ``[nodes]``; False for leaves.
        feature: int ``[nodes]``.
        threshold: float64 ``[nodes]``.
        missing_left: bool ``[nodes]``; True if NaN goes left.
        left: int ``[nodes]``; index of the left child.
        right: int ``[nodes]``; index of the right child.
        values: float64 ``[nodes, outputs]``.
    """

    inner: np.ndarray
    feature: np.ndarray
    threshold: np.ndarray
    missing_left: np.ndarray
    left: np.ndarray
    right: np.ndarray
    values: np.ndarray


def merge_trees(trees: Sequence[Tree], *, groups: int = 1, mean: bool = False, float64: bool = False) -> Trees:
    """Merge trees into one table.

    Args:
        trees: The trees.
        groups: See `Trees.groups`.
        mean: See `Trees.mean`.
        float64: See `Trees.float64`.
    """
    inner = sum(int(tree.inner.sum()) for tree in trees)
    values, indices = np.unique(
        np.concatenate([tree.values[~tree.inner] for tree in trees]), axis=0, return_inverse=True
    )
    leaf_indices = indices.reshape(-1)
    parts: list[tuple[np.ndarray, ...]] = []
    roots, first, leaf = [], 0, 0
    for tree in trees:
        inner_count, leaf_count = int(tree.inner.sum()), int((~tree.inner).sum())
        node_ids = np.empty(len(tree.inner), dtype=np.int64)
        node_ids[tree.inner] = first + np.arange(inner_count)
        node_ids[~tree.inner] = inner + leaf_indices[leaf : leaf + leaf_count]
        roots.append(node_ids[0])
        parts.append(
            (
                tree.feature[tree.inner],
                tree.threshold[tree.inner],
                tree.missing_left[tree.inner],
                node_ids[tree.left[tree.inner]],
                node_ids[tree.right[tree.inner]],
            )
        )
        first, leaf = first + inner_count, leaf + leaf_count
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
        float64,
    )


def _depth(tree: Tree) -> int:
    depth, level = 0, np.array([0])
    while (level := level[tree.inner[level]]).size:
        depth, level = depth + 1, np.concatenate([tree.left[level], tree.right[level]])
    return depth


def read_tree(estimator: Any, columns: np.ndarray | None = None, values: np.ndarray | None = None) -> Tree:
    """Read the `tree_` of a scikit-learn estimator.

    Args:
        estimator: The fitted decision tree.
        columns: Indices of the model's features that the tree reads; None for all.
        values: Values of the nodes ``[nodes, outputs]``; by default the estimator's own.
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
