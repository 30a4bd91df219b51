"""The build pipeline: converts a trained model to a proven package."""

from __future__ import annotations

from edgeml.pipeline.build import Step, build
from edgeml.pipeline.from_training import build_trained, check_packaging

__all__ = ["Step", "build", "build_trained", "check_packaging"]
