"""The source's decision: how a model's outputs become labels."""

from collections.abc import Mapping

import numpy as np
from msgspec import Struct

from edgeml.core.errors import TargetError
from edgeml.core.tensors import Label, Meaning, TensorSpec

__all__ = ["DECIDED", "Decision", "decide", "positions"]


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


def decide(outputs: Mapping[str, np.ndarray], specs: tuple[TensorSpec, ...], decision: Decision) -> np.ndarray:
    """The label of each sample, from the model's label output where it has one, else from its scores.

    Args:
        outputs: Arrays ``[samples, ...]`` by output name.
        specs: The outputs' specs.
        decision: The source's labels and threshold.

    Returns:
        Labels ``[samples]``, of the dtype that numpy gives the decision's labels.
    """
    labels = np.array(decision.labels)
    for spec in specs:
        if spec.meaning == "label":
            return outputs[spec.name].reshape(-1).astype(labels.dtype)
        if spec.meaning == "position":
            return labels[_checked_positions(outputs[spec.name], len(labels))]
    return labels[positions(outputs, specs, decision)]


def _checked_positions(values: np.ndarray, count: int) -> np.ndarray:
    flat = values.reshape(-1)
    if flat.size and not 0 <= flat.min() <= flat.max() < count:
        raise TargetError(
            f"The artifact gives positions of labels from {flat.min()} to {flat.max()}, of {count} labels."
        )
    return flat


def positions(outputs: Mapping[str, np.ndarray], specs: tuple[TensorSpec, ...], decision: Decision) -> np.ndarray:
    """Like `decide`, but gives positions in the decision's labels; -1 for a label that is not among them."""
    for spec in specs:
        if spec.meaning == "label":
            known = {label: position for position, label in enumerate(decision.labels)}
            return np.array([known.get(label, -1) for label in outputs[spec.name].reshape(-1).tolist()], dtype=np.int64)
        if spec.meaning == "position":
            found = outputs[spec.name].reshape(-1).astype(np.int64)
            return np.where((found >= 0) & (found < len(decision.labels)), found, -1)
    scores = next(outputs[spec.name] for spec in specs if spec.meaning == "scores")
    if decision.threshold is not None:
        return (scores.reshape(len(scores)) > decision.threshold).astype(np.int64)
    return scores.argmax(axis=1)
