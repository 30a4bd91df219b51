"""The source's decision: how a model's outputs become labels."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from msgspec import Struct

from edgeml.core.errors import TargetError
from edgeml.core.tensors import Label, Meaning, TensorSpec

__all__ = ["DECIDED", "Decider", "Decision", "Ranking", "decide", "positions"]


DECIDED: frozenset[Meaning] = frozenset({"label", "position"})
"""What an output means that gives the decision itself, which the source's own outputs do not hold."""


class Decision(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How scores become labels.

    Attributes:
        labels: The source's own labels, in the order of the scores.
        threshold: None where the largest score wins. Else the model has one score and two labels,
            and scores above the threshold mean the second one.
        probabilities: Whether the scores are probabilities: of a softmax, a sigmoid, or scikit-learn's
            `predict_proba`.
    """

    labels: tuple[Label, ...]
    threshold: float | None = None
    probabilities: bool = False


class Ranking(NamedTuple):
    """The best labels of each sample, and their scores.

    Attributes:
        labels: The source's own labels ``[samples, k]``, the best first.
        scores: Their scores, float32 ``[samples, k]``.
    """

    labels: np.ndarray
    scores: np.ndarray


class Decider:
    """The decision on the outputs of one artifact.

    Outputs are arrays ``[samples, ...]`` in the order of the specs.

    Args:
        specs: The outputs' specs.
        decision: The source's labels and threshold.
    """

    def __init__(self, specs: tuple[TensorSpec, ...], decision: Decision) -> None:
        places = {spec.meaning: place for place, spec in reversed(list(enumerate(specs)))}
        self._threshold, self._probabilities = decision.threshold, decision.probabilities
        self._count = len(decision.labels)
        self._names = np.array(decision.labels)
        self._column = self._names[:, None]
        self._ranked = self._names[:, None, None]
        self._known = {label: position for position, label in enumerate(decision.labels)}
        self._label, self._position = places.get("label"), places.get("position")
        self._scores = places.get("scores", 0)
        self._largest_wins = self._label is None and self._position is None and self._threshold is None

    def labels(self, outputs: Sequence[np.ndarray]) -> np.ndarray:
        """The label of each sample, from the artifact's label output where it has one, else from its scores.

        Returns:
            Labels ``[samples]``, of the dtype that numpy gives the decision's labels.

        Raises:
            TargetError: The artifact gives a position that no label has.
        """
        if self._largest_wins and len(outputs[self._scores]) == 1:  # a microsecond faster than below
            return self._column[int(outputs[self._scores].argmax())].copy()
        if self._label is not None:
            return outputs[self._label].reshape(-1).astype(self._names.dtype)
        return self._names[self._known_positions(outputs)]

    def positions(self, outputs: Sequence[np.ndarray]) -> np.ndarray:
        """Positions in the decision's labels, int64 ``[samples]``; -1 for a label that is not among them."""
        if self._label is not None:
            labels = outputs[self._label].reshape(-1).tolist()
            return np.array([self._known.get(label, -1) for label in labels], np.int64)
        if self._position is not None:
            found = outputs[self._position].reshape(-1).astype(np.int64)
            return np.where((found >= 0) & (found < len(self._names)), found, -1)
        scores = outputs[self._scores]
        if self._threshold is not None:
            return (scores.reshape(len(scores)) > self._threshold).astype(np.int64)
        return scores.argmax(axis=1)

    def top(self, outputs: Sequence[np.ndarray], k: int) -> Ranking:
        """The best labels and their scores: first the label of the decision, then the others by their scores.

        Args:
            outputs: The artifact's.
            k: Labels of each sample.

        Raises:
            TargetError: The artifact gives a label that the source does not have.
        """
        scores = outputs[self._scores]
        if k == 1 and len(scores) == 1 and self._threshold is None:  # as fast as `labels`
            best = int(scores.argmax()) if self._largest_wins else self._position_of_one(outputs)
            if 0 <= best < self._count:  # as `Ranking(...)`, whose own `__new__` takes twice as long
                return tuple.__new__(Ranking, (self._ranked[best].copy(), scores[:, best, None]))
        scores = self._class_scores(scores)
        keys = -scores
        np.put_along_axis(keys, self._known_positions(outputs)[:, None], -np.inf, axis=1)
        order = np.argsort(keys, axis=1, kind="stable")[:, :k]
        return Ranking(self._names[order], np.take_along_axis(scores, order, axis=1))

    def _position_of_one(self, outputs: Sequence[np.ndarray]) -> int:
        """As `positions`, of one sample; beyond the labels for one that is not among them."""
        if self._label is not None:
            return self._known.get(outputs[self._label].item(), -1)
        return int(outputs[self._position or 0].item())

    def _known_positions(self, outputs: Sequence[np.ndarray]) -> np.ndarray:
        found = self.positions(outputs)
        if (found < 0).any():
            place = self._position if self._position is not None else self._label
            strange = outputs[place or 0].reshape(-1)[found < 0][:1].tolist()
            kind = "positions of labels" if self._position is not None else "labels"
            raise TargetError(f"The artifact gives {kind} such as {strange[0]!r}, of {len(self._names)} labels.")
        return found

    def _class_scores(self, scores: np.ndarray) -> np.ndarray:
        """A score for each label, ``[samples, labels]``."""
        if self._threshold is None:
            return scores
        second = scores.reshape(len(scores), 1)
        first = (1 if self._probabilities else 2 * np.float32(self._threshold)) - second
        return np.concatenate([first, second], axis=1)


def decide(outputs: Mapping[str, np.ndarray], specs: tuple[TensorSpec, ...], decision: Decision) -> np.ndarray:
    """The label of each sample, as `Decider.labels`, from outputs by name."""
    return Decider(specs, decision).labels([outputs[spec.name] for spec in specs])


def positions(outputs: Mapping[str, np.ndarray], specs: tuple[TensorSpec, ...], decision: Decision) -> np.ndarray:
    """The position of each sample's label, as `Decider.positions`, from outputs by name."""
    return Decider(specs, decision).positions([outputs[spec.name] for spec in specs])
