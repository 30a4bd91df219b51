"""From a trained model to a proven package."""

from __future__ import annotations

from edgeml.pipeline.build import Step, build

__all__ = ["Step", "build"]
