"""Comparison of two packages, for deciding on an update."""

from __future__ import annotations

from edgeml.package.diff.packages import diff_packages
from edgeml.package.diff.values import (
    ArtifactDiff,
    Change,
    Figures,
    Flip,
    LabelsDiff,
    MeasuredDiff,
    PackageDiff,
    PredictionDiff,
    RecallChange,
    RecallsDiff,
)

__all__ = [
    "ArtifactDiff",
    "Change",
    "Figures",
    "Flip",
    "LabelsDiff",
    "MeasuredDiff",
    "PackageDiff",
    "PredictionDiff",
    "RecallChange",
    "RecallsDiff",
    "diff_packages",
]
