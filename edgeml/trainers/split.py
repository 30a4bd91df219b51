"""Split samples into training, validation, calibration and evaluation parts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgeml.core.errors import InputError
from edgeml.trainers.training_schema import Split, TrainingTask

__all__ = ["Parts", "split_samples"]


@dataclass(frozen=True, slots=True)
class Parts:
    """Positions of the samples of each part, shuffled.

    Attributes:
        train: Samples that the model learns from.
        validation: Samples that choose a net's best epoch; empty for other models.
        calibration: A subset of `train`.
        evaluation: Samples held out of the training.
    """

    train: np.ndarray
    validation: np.ndarray
    calibration: np.ndarray
    evaluation: np.ndarray


def split_samples(
    count: int, target: np.ndarray | None, task: TrainingTask, split: Split, *, seed: int, validate: bool
) -> Parts:
    """Split samples by scikit-learn's `train_test_split`.

    Args:
        count: Number of samples.
        target: Labels or values ``[samples, ...]``; None without.
        task: The task; only classes are stratified.
        split: Shares of the parts.
        seed: Seed of the shuffling.
        validate: Whether to keep a part for validation.

    Raises:
        InputError: Too few samples, in total or of a class; or the target is constant.
    """
    from sklearn.model_selection import train_test_split

    classes = target if task == "classification" and target is not None else None
    _check_varied(target, task)

    def divide(positions: np.ndarray, share: float, what: str) -> list[np.ndarray]:
        strata = classes[positions] if classes is not None and split.stratified else None
        try:
            return train_test_split(positions, test_size=share, random_state=seed, stratify=strata)
        except ValueError as error:
            raise InputError(
                f"split: {len(positions)} samples are too few to hold out {share:g} of them for "
                f"{what}{_describe_rarest(strata)}.",
                fix="give more samples, another share, or say split.stratified = false.",
            ) from error

    train, evaluation = divide(np.arange(count), split.evaluation, "evaluation")
    validation = np.empty(0, np.int64)
    if validate:
        train, validation = divide(train, split.validation, "validation")
    if classes is not None:
        unseen = np.setdiff1d(classes, classes[train])
        if len(unseen):
            raise InputError(
                f"split: no sample of class '{unseen[0]}' is in the training part.",
                fix="give more samples of it, or say split.stratified = true.",
            )
    return Parts(train, validation, train[: split.calibration], evaluation)


def _check_varied(target: np.ndarray | None, task: TrainingTask) -> None:
    if target is None:
        return
    values = np.unique(target, axis=0)
    if len(values) < 2:
        what = "label" if task == "classification" else "value"
        raise InputError(
            f"data: all {len(target)} samples have the same {what}, {values[0]}: a model would learn nothing.",
            fix="check the target, and give samples of several classes or values.",
        )


def _describe_rarest(classes: np.ndarray | None) -> str:
    if classes is None:
        return ""
    names, counts = np.unique(classes, return_counts=True)
    return f", each class in its share: class '{names[counts.argmin()]}' has {counts.min()}"
