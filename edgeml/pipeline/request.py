"""What is to be built."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeml.core.goal import Goal
from edgeml.core.preprocessing import Declaration
from edgeml.core.recipe import Recipe
from edgeml.core.source import Reference, SourceInfo
from edgeml.pipeline.evaluation_data import Judged
from edgeml.pipeline.source_model import ModelFile

__all__ = ["Plan"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What the caller gave, checked and brought into one form.

    Attributes:
        named: Whether the caller named the recipes.
        calibration: Samples by input name, or None. `reference`: answers that were given for the source's, or None.
        batch: Fixed batch of the artifacts, or None. `measure`: whether latency is measured.
        preprocessing: Declarations by input name.
        trust: Whether the caller trusts whoever made the model.
        folder: For temporary files.
    """

    info: SourceInfo
    file: ModelFile
    recipes: list[Recipe]
    named: bool
    goal: Goal
    judged: Judged
    calibration: dict[str, np.ndarray] | None
    reference: Reference | None
    batch: int | None
    measure: bool
    preprocessing: dict[str, Declaration]
    trust: bool
    folder: Path
