"""The validated request of a build."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from edgeml.core.goal import Goal
from edgeml.core.preprocessing import Declaration
from edgeml.core.recipe import Recipe
from edgeml.core.source import Reference, SourceInfo
from edgeml.core.system.limits import Limits
from edgeml.pipeline.evaluation_data import EvaluationData
from edgeml.pipeline.saved_inputs import SavedInputs
from edgeml.pipeline.source_model import ModelFile
from edgeml.trainers.result import TrainingCurves

__all__ = ["BuildRequest"]


@dataclass(frozen=True, slots=True)
class BuildRequest:
    """A validated request of a build.

    Attributes:
        info: Description of the source, with its final task.
        assumptions: What was assumed of the task, and how to say otherwise.
        file: The saved model.
        recipes: Recipes to build.
        named: The caller named the recipes.
        goal: The caller's goal.
        data: Data that artifacts are judged on.
        calibration: Calibration samples by input name, or None.
        inputs: Files of all samples, for the child processes.
        compared: Columns by input name that the source compares with thresholds of its own.
        reference: Outputs that the caller provided instead of the source's, or None.
        batch: Fixed batch size of the artifacts, or None.
        measure: Measure latency.
        preprocessing: Declarations by input name.
        training: Curves of the model's training, or None.
        trust: The caller trusts the author of the model.
        limits: Limits of the processes that run the source and the artifacts.
        about: Name, version, license and author of the package.
    """

    info: SourceInfo
    assumptions: tuple[str, ...]
    file: ModelFile
    recipes: list[Recipe]
    named: bool
    goal: Goal
    data: EvaluationData
    calibration: dict[str, np.ndarray] | None
    inputs: SavedInputs
    compared: dict[str, tuple[int, ...]]
    reference: Reference | None
    batch: int | None
    measure: bool
    preprocessing: dict[str, Declaration]
    training: TrainingCurves | None
    trust: bool
    limits: Limits
    about: dict[str, str] = field(default_factory=dict)
