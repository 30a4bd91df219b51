"""What is found of answers, where there is more than a file should hold."""

from __future__ import annotations

import msgspec
import numpy as np

from edgeml.core.decisions import Decision
from edgeml.core.records.evidence_details import Evidence
from edgeml.core.source import SourceInfo
from edgeml.core.tensors import Signature, TensorSpec
from edgeml.pipeline.assessment import evaluate_outputs
from edgeml.pipeline.evaluation_data import EvaluationData
from edgeml.pipeline.reference import Labels

SPEC = TensorSpec("scores", (None, 2), "float32", meaning="scores")
DECISION = Decision(("no", "yes"), probabilities=True)
INFO = SourceInfo("keras", "Functional", Signature((), (SPEC,)), "classification", DECISION, "sha256:" + "0" * 64, {})


def data(truth: np.ndarray | None) -> EvaluationData:
    return EvaluationData("evaluation", {"x": np.zeros((3, 1))}, {} if truth is None else {"scores": truth})


def test_flips_are_counted_all_and_listed_up_to_ten_thousand() -> None:
    no = np.tile(np.array([0.9, 0.1], np.float32), (20_000, 1))
    zeros = np.zeros(20_000, np.int64)
    labels = Labels(DECISION, zeros, zeros + 1, zeros.astype(bool))
    evaluation, evidence = evaluate_outputs(
        INFO, {"scores": no}, {"scores": no[:, ::-1]}, data(zeros), {"scores": labels}
    )
    assert evaluation.fidelity.flips == 20_000
    assert len(evidence.flips) == 10_000
    assert (evidence.flips[-1].sample, evidence.flips[-1].truth) == (9_999, "no")
    encoded = msgspec.json.encode(evidence)
    assert len(encoded) < 1_000_000
    assert msgspec.json.decode(encoded, type=Evidence) == evidence


def test_a_label_that_is_not_among_the_labels_is_a_flip_to_none() -> None:
    no = np.tile(np.array([0.9, 0.1], np.float32), (3, 1))
    labels = Labels(DECISION, np.zeros(3, np.int64), np.array([0, -1, 0]), np.zeros(3, bool))
    _, evidence = evaluate_outputs(INFO, {"scores": no}, {"scores": no}, data(None), {"scores": labels})
    (flip,) = evidence.flips
    assert (flip.sample, flip.source, flip.artifact, flip.truth) == (1, "no", None, None)
    assert evidence.confusion is None
