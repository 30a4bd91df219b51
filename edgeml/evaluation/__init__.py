"""Accuracy and fidelity of artifacts against their source, and the verdict."""

from __future__ import annotations

from edgeml.evaluation.drop import drop_of
from edgeml.evaluation.fidelity import fidelity_of, ties
from edgeml.evaluation.judge import judge, meets_floor
from edgeml.evaluation.metrics import class_recalls, metrics_of, worst_class

__all__ = ["class_recalls", "drop_of", "fidelity_of", "judge", "meets_floor", "metrics_of", "ties", "worst_class"]
