"""Packages from trained models and the samples that training saved with them."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgeml.core.goal import check_goal
from edgeml.core.recipe import find_recipe
from edgeml.package import Package
from edgeml.pipeline.build import Step, build, check_texts
from edgeml.preprocessing.csv_table import read_csv
from edgeml.trainers import Csv, Packaging, Sklearn, Trained
from edgeml.trainers.result import TrainingCurves

__all__ = ["build_trained", "check_packaging"]


def check_packaging(packaging: Packaging) -> None:
    """Check name, version, license, author and recipes of a package before training.

    Raises:
        InputError: `build` would refuse one of them.
    """
    check_texts(name=packaging.name, version=packaging.version, licence=packaging.licence, author=packaging.author)
    for recipe in packaging.recipes or ():
        find_recipe(recipe)
    if packaging.goals is not None:
        check_goal(packaging.goals)


def build_trained(trained: Trained, folder: Path, progress: Callable[[Step], None] | None = None) -> Package:
    """Build the package of a model from `edgeml.trainers.train`, by the settings in its ``[build]``.

    Args:
        trained: Result of the training.
        folder: Folder of the trained model and its samples.
        progress: Called before each step.

    Returns:
        The package, in memory.

    Raises:
        EdgemlError: See `edgeml.build`.
    """
    packaging = trained.training.build or Packaging()
    is_net = not isinstance(trained.training.model, Sklearn)
    calibration, evaluation = _load_samples(trained, folder)
    return build(
        folder / trained.model,
        name=packaging.name,
        version=packaging.version,
        calibration=calibration,
        evaluation=evaluation,
        labels=trained.classes if is_net else None,  # scikit-learn's estimators have their own labels
        task=trained.task if is_net else None,
        goal=packaging.goals,
        recipes=packaging.recipes,
        batch=packaging.batch,
        measure=packaging.measure,
        licence=packaging.licence,
        author=packaging.author,
        preprocessing=trained.preprocessing,
        training=_curves(trained),
        memory_mb=math.inf,  # the model is the caller's own
        timeout_s=math.inf,
        progress=progress,
    )


def _curves(trained: Trained) -> TrainingCurves | None:
    """Return the training curves of a neural network, for reports."""
    if not trained.history or trained.best_epoch is None:
        return None
    return TrainingCurves(history=trained.history, best_epoch=trained.best_epoch)


def _load_samples(trained: Trained, folder: Path) -> tuple[Any, Any]:
    """Load the calibration and evaluation data that training saved, in the form that `build` accepts."""
    data = trained.training.data
    if not isinstance(data, Csv):
        with np.load(folder / "calibration.npz") as file:
            calibration = file["x"]
        with np.load(folder / "evaluation.npz") as file:
            return calibration, (file["x"], file["y"]) if "y" in file.files else file["x"]
    held_out, calibration = (read_csv(folder / name) for name in ("evaluation.csv", "calibration.csv"))
    if trained.task not in {"classification", "regression"}:
        return calibration, held_out
    (truth,) = held_out.select([data.target])
    return calibration, (held_out.without(data.target), truth)
