"""Decisions of classifiers: the rule that turns a model's outputs into labels."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, NoReturn

import numpy as np
from msgspec import Struct

from edgeml.core.errors import InputError, TargetError
from edgeml.core.tensors import Label, Meaning, TensorSpec

__all__ = [
    "DECIDED",
    "Decider",
    "Decision",
    "Ranking",
    "decide",
    "deciders_of",
    "label_sizes",
    "positions",
    "score_positions",
]


DECIDED: frozenset[Meaning] = frozenset({"label", "position"})
"""Meanings of outputs that contain the decision itself, which only artifacts have."""

_LARGE_BYTES = 2**27  # of an array of labels, whose padding is checked from there on
_MAX_PADDING = 4  # times the texts themselves
_CHAR_BYTES = 4


class Decision(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The rule that turns scores into labels.

    Attributes:
        labels: The source's own labels, in the order of the scores.
        threshold: Threshold of a model with one score and two labels, above which the second label applies; None if
            the largest score decides.
        probabilities: The scores are probabilities, from a softmax, a sigmoid or scikit-learn's `predict_proba`.
        pairwise: The scores compare pairs of labels, as those of scikit-learn's `SVC(decision_function_shape="ovo")`,
            and do not rank single labels.
        independent: Each label applies, or not, by its own score and the threshold, as in a multi-label model.
        axis: Axis of the scores with a score per label, in a model with a label for each pixel or step: the last, or 1
            for ``[samples, labels, height, width]``.
    """

    labels: tuple[Label, ...]
    threshold: float | None = None
    probabilities: bool = False
    pairwise: bool = False
    independent: bool = False
    axis: int = -1


class Ranking(NamedTuple):
    """The best labels of each sample, and their scores.

    Attributes:
        labels: The source's own labels ``[samples, k]``, the best first.
        scores: Their scores, float32 ``[samples, k]``.
    """

    labels: np.ndarray
    scores: np.ndarray


class Decider:
    """A decision, applied to the outputs of one artifact.

    Outputs are arrays ``[samples, ...]`` in the order of the specs.

    Args:
        specs: Specs of the artifact's outputs.
        decision: The source's labels and threshold.

    Raises:
        TargetError: An output of labels has another dtype than the labels.
    """

    def __init__(self, specs: tuple[TensorSpec, ...], decision: Decision) -> None:
        indices = {spec.meaning: index for index, spec in reversed(list(enumerate(specs)))}
        self._decision = decision
        self._threshold, self._probabilities = decision.threshold, decision.probabilities
        self._count = len(decision.labels)
        self._names = np.array(decision.labels)
        self._column = self._names[:, None]
        self._ranked_names = self._names[:, None, None]
        self._positions_by_label = {label: position for position, label in enumerate(decision.labels)}
        self._label, self._position = indices.get("label"), indices.get("position")
        self._scores = indices.get("scores", 0)
        if self._label is not None:
            dtype, is_text = specs[self._label].dtype, any(isinstance(label, str) for label in decision.labels)
            if (dtype == "string") != is_text:
                expected = "text" if is_text else "numbers"
                raise TargetError(f"The artifact returns labels as {dtype}, but the model's labels are {expected}.")
        self._sizes = label_sizes(specs[self._scores].shape[1:], decision) if self._label is None else ()
        several = len(self._sizes) > 1 if decision.independent else bool(self._sizes)
        self._ranks = not (decision.pairwise or several) and ("scores" in indices or not DECIDED.intersection(indices))
        decides = self._label is not None or self._position is not None or self._threshold is not None
        self._largest_wins = not (decides or decision.independent or self._sizes)

    def labels(self, outputs: Sequence[np.ndarray]) -> np.ndarray:
        """Return the labels of each sample, from the artifact's label output if present, else from its scores.

        Returns:
            Labels ``[samples]``, or ``[samples, steps]`` of a model with a label per step, in NumPy's dtype for the
            decision's labels. Of a model with a label per pixel the labels where these are numbers, else their
            positions, ``[samples, height, width]``; of a multi-label model bool ``[samples, labels]``.

        Raises:
            TargetError: The artifact returns a position outside of the labels.
        """
        if self._largest_wins and len(outputs[self._scores]) == 1:  # fast path, saves a microsecond
            return self._column[int(outputs[self._scores].argmax())].copy()
        if self._label is not None:
            labels = outputs[self._label].reshape(-1)
            if self._are_large_texts(len(labels)):
                self._check_padding(len(labels), labels.nbytes)
            return labels.astype(self._names.dtype)
        label_positions = self._checked_positions(outputs)
        if self._decision.independent:
            return label_positions.astype(bool)
        if len(self._sizes) > 1 and self._names.dtype.kind == "U":  # a mask of texts would take gigabytes
            return label_positions
        if self._are_large_texts(label_positions.size):
            lengths = np.char.str_len(self._names)
            self._check_padding(label_positions.size, _CHAR_BYTES * int(lengths[label_positions].sum()))
        return self._names[label_positions]

    def _are_large_texts(self, count: int) -> bool:
        return self._names.dtype.kind == "U" and count * self._names.itemsize > _LARGE_BYTES

    def _check_padding(self, count: int, needed_bytes: int) -> None:
        """Refuse labels of gigabytes, where a label that is seldom returned is far longer than the others."""
        size = count * self._names.itemsize
        if size > _MAX_PADDING * needed_bytes:
            raise InputError(
                f"The labels of {count} samples take {size / 1e6:,.0f} MB, since one is far longer than the others.",
                fix="give fewer samples at a time, or use the scores.",
            )

    def positions(self, outputs: Sequence[np.ndarray]) -> np.ndarray:
        """Return positions in the decision's labels, integers ``[samples, ...]``; -1 for an unknown label.

        Of a multi-label model 1 where a label applies, else 0.
        """
        if self._label is not None:
            labels = outputs[self._label].reshape(-1).tolist()
            return np.array([self._positions_by_label.get(label, -1) for label in labels], np.int64)
        if self._position is not None:
            label_positions = outputs[self._position].reshape(-1).astype(np.int64)
            return np.where((label_positions >= 0) & (label_positions < len(self._names)), label_positions, -1)
        return score_positions(outputs[self._scores], self._decision)

    def scored_labels(self, outputs: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        """Return the labels, and the score of each: float32 of the labels' shape.

        Raises:
            InputError: The scores do not rank single labels.
            TargetError: The artifact returns a label that the source does not have.
        """
        scores = outputs[self._scores]
        if self._decision.independent:
            return self.labels(outputs), scores
        if not self._sizes:
            ranking = self.top(outputs, 1)
            return ranking.labels[:, 0], ranking.scores[:, 0]
        if self._threshold is None:
            return self.labels(outputs), scores.max(axis=self._decision.axis)
        second = scores.reshape(len(scores), *label_sizes(scores.shape[1:], self._decision))
        return self.labels(outputs), np.where(self.positions(outputs) == 1, second, self._first_score(second))

    def top(self, outputs: Sequence[np.ndarray], k: int) -> Ranking:
        """Return the best labels and their scores: first the label of the decision, then the others by score.

        Args:
            outputs: Outputs of the artifact.
            k: Number of labels per sample.

        Raises:
            InputError: The scores do not rank single labels.
            TargetError: The artifact returns a label that the source does not have.
        """
        scores = outputs[self._scores]
        if not self._ranks:
            self._refuse_ranking(scores)
        if k == 1 and len(scores) == 1 and self._threshold is None:  # fast path, like in `labels`
            best = int(scores.argmax()) if self._largest_wins else self._single_position(outputs)
            if 0 <= best < self._count:  # same as `Ranking(...)`, in half the time
                return tuple.__new__(Ranking, (self._ranked_names[best].copy(), scores[:, best, None]))
        scores = self._class_scores(scores)
        keys = -scores
        if not self._decision.independent:
            np.put_along_axis(keys, self._checked_positions(outputs)[:, None], -np.inf, axis=1)
        order = np.argsort(keys, axis=1, kind="stable")[:, :k]
        return Ranking(self._names[order], np.take_along_axis(scores, order, axis=1))

    def _refuse_ranking(self, scores: np.ndarray) -> NoReturn:
        if self._sizes:
            sizes = label_sizes(scores.shape[1:], self._decision)
            reason = f"each sample has {'×'.join(map(str, sizes))} labels"
        elif self._decision.pairwise:
            reason = f"the scores {list(scores.shape[1:])} compare pairs of its {self._count} labels"
        else:
            reason = "the artifact does not have scores"
        raise InputError(f"The labels of this model cannot be ranked: {reason}.", fix="use classify, or run.")

    def _single_position(self, outputs: Sequence[np.ndarray]) -> int:
        """Return the position of a single sample's label; outside of the labels for an unknown one."""
        if self._label is not None:
            return self._positions_by_label.get(outputs[self._label].item(), -1)
        return int(outputs[self._position or 0].item())

    def _checked_positions(self, outputs: Sequence[np.ndarray]) -> np.ndarray:
        label_positions = self.positions(outputs)
        if (label_positions < 0).any():
            index = self._position if self._position is not None else self._label
            unknown = outputs[index or 0].reshape(-1)[label_positions < 0][:1].tolist()
            kind = "positions of labels" if self._position is not None else "labels"
            raise TargetError(
                f"The artifact returned unknown {kind}, for instance {unknown[0]!r}; the model has {len(self._names)} "
                "labels."
            )
        return label_positions

    def _class_scores(self, scores: np.ndarray) -> np.ndarray:
        """Return a score for each label, ``[samples, labels]``."""
        if self._threshold is None or self._decision.independent:
            return scores
        second = scores.reshape(len(scores), 1)
        return np.concatenate([self._first_score(second), second], axis=1)

    def _first_score(self, second: np.ndarray) -> np.ndarray:
        """Return the score of the first of two labels, from that of the second."""
        assert self._threshold is not None
        return (1 if self._probabilities else 2 * np.float32(self._threshold)) - second


def label_sizes(sizes: Sequence[int | None], decision: Decision) -> tuple[int, ...]:
    """Return the sizes of a sample's labels, from those of its scores: none if a sample has a single label.

    Free sizes are -1.
    """
    numbers = [-1 if size is None else size or 1 for size in sizes]
    if decision.independent:
        return tuple(numbers)
    place = min(decision.axis, 0)  # behind the samples: 1 is the first, -1 the last
    if decision.threshold is None:
        if len(numbers) < 2:  # one score per label, or per pair of labels
            return ()
        del numbers[place]
        return tuple(numbers)
    if all(number == 1 for number in numbers):
        return ()
    if numbers[place] == 1:
        del numbers[place]
    return tuple(numbers)


def score_positions(scores: np.ndarray, decision: Decision) -> np.ndarray:
    """Return positions in the decision's labels ``[samples, ...]`` from scores. See `Decider.positions`."""
    sizes = label_sizes(scores.shape[1:], decision)
    dtype = np.int32 if sizes else np.int64  # masks are large
    if decision.threshold is not None:
        return (scores.reshape(len(scores), *sizes) > decision.threshold).astype(dtype)
    return scores.argmax(axis=decision.axis if sizes else 1).astype(dtype, copy=False)


def deciders_of(
    specs: tuple[TensorSpec, ...], decisions: Decision | Mapping[str, Decision]
) -> Decider | dict[str, Decider]:
    """Return the decider of a model; of one with several outputs a decider by output, each of that output alone."""
    if isinstance(decisions, Decision):
        return Decider(specs, decisions)
    by_name = {spec.name: spec for spec in specs}
    return {name: Decider((by_name[name],), decision) for name, decision in decisions.items()}


def decide(outputs: Mapping[str, np.ndarray], specs: tuple[TensorSpec, ...], decision: Decision) -> np.ndarray:
    """Return the labels of each sample from outputs by name. See `Decider.labels`."""
    return Decider(specs, decision).labels([outputs[spec.name] for spec in specs])


def positions(outputs: Mapping[str, np.ndarray], specs: tuple[TensorSpec, ...], decision: Decision) -> np.ndarray:
    """Return the position of each sample's label from outputs by name. See `Decider.positions`."""
    return Decider(specs, decision).positions([outputs[spec.name] for spec in specs])
