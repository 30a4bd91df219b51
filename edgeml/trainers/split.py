"""Parting the samples: what is trained on, what chooses the epoch, what is held out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgeml.core.errors import InputError
from edgeml.trainers.training_schema import Split, TrainingTask

__all__ = ["Parts", "part"]


@dataclass(frozen=True, slots=True)
class Parts:
    """Positions of samples, each part shuffled.

    Attributes:
        train: What is trained on.
        validation: By what a net's best epoch is chosen; empty without it.
        calibration: Some of `train`.
        evaluation: What is held out.
    """

    train: np.ndarray
    validation: np.ndarray
    calibration: np.ndarray
    evaluation: np.ndarray


def part(
    count: int, target: np.ndarray | None, task: TrainingTask, split: Split, *, seed: int, validate: bool
) -> Parts:
    """Parts the samples, by scikit-learn's `train_test_split`.

    Args:
        count: How many samples there are.
        target: Their labels or values ``[samples, ...]``; None without.
        task: Only classes are stratified.
        split: The shares.
        seed: Of the shuffling.
        validate: Whether a part is kept for validation.

    Raises:
        InputError: There are too few samples, of a class or in all; there is one class; or the target is constant.
    """
    from sklearn.model_selection import train_test_split

    classes = target if task == "classification" and target is not None else None
    _check(target, task)

    def parted(positions: np.ndarray, share: float, what: str) -> list[np.ndarray]:
        strata = classes[positions] if classes is not None and split.stratified else None
        try:
            return train_test_split(positions, test_size=share, random_state=seed, stratify=strata)
        except ValueError as error:
            raise InputError(
                f"split: {len(positions)} samples are too few to take {share:g} of them for {what}{_rarest(strata)}.",
                fix="give more samples, another share, or say split.stratified = false.",
            ) from error

    train, evaluation = parted(np.arange(count), split.evaluation, "evaluation")
    validation = np.empty(0, np.int64)
    if validate:
        train, validation = parted(train, split.validation, "validation")
    if classes is not None:
        unseen = np.setdiff1d(classes, classes[train])
        if len(unseen):
            raise InputError(
                f"split: class '{unseen[0]}' has no sample in the part that is trained on.",
                fix="give more samples of it, or say split.stratified = true.",
            )
    return Parts(train, validation, train[: split.calibration], evaluation)


def _check(target: np.ndarray | None, task: TrainingTask) -> None:
    if target is None:
        return
    values = np.unique(target, axis=0)
    if len(values) < 2:
        what = "label" if task == "classification" else "value"
        raise InputError(
            f"data: all {len(target)} samples have the same {what}, {values[0]}: there is nothing to learn.",
            fix="give the right target, and samples of several classes or values.",
        )


def _rarest(classes: np.ndarray | None) -> str:
    if classes is None:
        return ""
    names, counts = np.unique(classes, return_counts=True)
    return f", each class in its share: class '{names[counts.argmin()]}' has {counts.min()}"
