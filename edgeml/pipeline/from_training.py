"""From a trained model and the samples beside it to a package."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from edgeml.core.recipe import find_recipe
from edgeml.package import Package
from edgeml.pipeline.build import Step, build, check_texts
from edgeml.preprocessing.csv_table import read_csv
from edgeml.trainers import Csv, Packaging, Sklearn, Trained
from edgeml.trainers.result import TrainingCurves

__all__ = ["build_trained", "check_packaging"]


def check_packaging(wanted: Packaging) -> None:
    """Holds what a package is to be called, and its recipes, to what `build` takes: before anything is trained.

    Raises:
        InputError: It would not take them.
    """
    check_texts(name=wanted.name, version=wanted.version, licence=wanted.licence, author=wanted.author)
    for recipe in wanted.recipes or ():
        find_recipe(recipe)


def build_trained(trained: Trained, folder: Path, progress: Callable[[Step], None] | None = None) -> Package:
    """Builds the package of a model that `edgeml.trainers.train` made, as its ``[build]`` says.

    Args:
        trained: What was trained.
        folder: The folder that it was written to.
        progress: Called before each step.

    Returns:
        The package, in memory.

    Raises:
        EdgemlError: As `edgeml.build`.
    """
    wanted = trained.training.build or Packaging()
    net = not isinstance(trained.training.model, Sklearn)
    calibration, evaluation = _samples(trained, folder)
    return build(
        folder / trained.model,
        name=wanted.name,
        version=wanted.version,
        calibration=calibration,
        evaluation=evaluation,
        labels=trained.classes if net else None,  # scikit-learn's estimators have their own
        task=trained.task if net else None,
        goal=wanted.goals,
        recipes=wanted.recipes,
        batch=wanted.batch,
        measure=wanted.measure,
        licence=wanted.licence,
        author=wanted.author,
        preprocessing=trained.preprocessing,
        training=_curves(trained),
        progress=progress,
    )


def _curves(trained: Trained) -> TrainingCurves | None:
    """The epochs of a net's training, for reports."""
    if not trained.history or trained.best_epoch is None:
        return None
    return TrainingCurves(history=trained.history, best_epoch=trained.best_epoch)


def _samples(trained: Trained, folder: Path) -> tuple[Any, Any]:
    """Calibration and evaluation as `build` takes them, from the files that the training wrote."""
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
