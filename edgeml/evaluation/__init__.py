"""Accuracy and fidelity of artifacts against their source, and verdicts."""

from __future__ import annotations

from edgeml.evaluation.box_decoding import detections_of
from edgeml.evaluation.calibration import calibration_of
from edgeml.evaluation.confusion import confusion_of
from edgeml.evaluation.detection import score_detections
from edgeml.evaluation.drop import drop_of
from edgeml.evaluation.fidelity import agreement_of, fidelity_of, ties
from edgeml.evaluation.judge import judge, meets_floor, missed_floors
from edgeml.evaluation.label_counts import least_kept
from edgeml.evaluation.mcnemar import mcnemar_of
from edgeml.evaluation.metrics import class_recalls, metrics_of, worst_class, worst_classes
from edgeml.evaluation.residuals import error_rise, output_errors, worst_samples
from edgeml.evaluation.sample_size import samples_to_settle
from edgeml.evaluation.tasks import Answers, TaskScores, score_output

__all__ = [
    "Answers",
    "TaskScores",
    "agreement_of",
    "calibration_of",
    "class_recalls",
    "confusion_of",
    "detections_of",
    "drop_of",
    "error_rise",
    "fidelity_of",
    "judge",
    "least_kept",
    "mcnemar_of",
    "meets_floor",
    "metrics_of",
    "missed_floors",
    "output_errors",
    "samples_to_settle",
    "score_detections",
    "score_output",
    "ties",
    "worst_class",
    "worst_classes",
    "worst_samples",
]
