"""The request of a build: what the caller gave, checked and brought into one form."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from edgeml.core.goal import Goal
from edgeml.core.preprocessing import Declaration
from edgeml.core.recipe import Recipe
from edgeml.core.source import Reference, SourceInfo
from edgeml.pipeline.evaluation_data import EvaluationData
from edgeml.pipeline.saved_inputs import SavedInputs
from edgeml.pipeline.source_model import ModelFile
from edgeml.trainers.result import TrainingCurves

__all__ = ["Request"]


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be built.

    Attributes:
        info: The source's description, with the settled task.
        file: The saved model.
        recipes: The recipes to make.
        named: Whether the caller named the recipes.
        goal: The caller's goal.
        data: The data that artifacts are judged on.
        calibration: Calibration samples by input name, or None.
        inputs: The files of both, for the children.
        reference: Answers that were given for the source's, or None.
        batch: Fixed batch of the artifacts, or None.
        measure: Whether latency is measured.
        preprocessing: Declarations by input name.
        training: The epochs of the model's training, or None.
        trust: Whether the caller trusts whoever made the model.
        about: Name, version, licence and author of the package.
    """

    info: SourceInfo
    file: ModelFile
    recipes: list[Recipe]
    named: bool
    goal: Goal
    data: EvaluationData
    calibration: dict[str, np.ndarray] | None
    inputs: SavedInputs
    reference: Reference | None
    batch: int | None
    measure: bool
    preprocessing: dict[str, Declaration]
    training: TrainingCurves | None
    trust: bool
    about: dict[str, str] = field(default_factory=dict)
