"""The pipeline from a trained model to a proven package."""

from __future__ import annotations

from edgeml.pipeline.build import Step, build
from edgeml.pipeline.from_training import build_trained, check_packaging
from edgeml.pipeline.progress import Progress, show_progress

__all__ = ["Progress", "Step", "build", "build_trained", "check_packaging", "show_progress"]
