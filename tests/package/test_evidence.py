"""Evidence files: what they hold of real artifacts, and files that are not sound."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import confusion_matrix, mean_absolute_error, r2_score, recall_score

import edgeml
from edgeml.core.errors import InputError, PackageError
from edgeml.core.records.evidence_details import Confusion, Evidence
from edgeml.demo.digits import Digits
from edgeml.package.explain import explain
from tests.support.forging import forged
from tests.support.linear_onnx import write_linear_onnx
from tests.support.make_format1 import PACKAGE

ENTRY = "evidence/onnx-fp32.json"


def evidence_of(package: edgeml.Package, recipe: str) -> Evidence:
    found = package.evidence(recipe)
    assert found is not None
    return found


def dense(confusion: Confusion | None, classes: int) -> np.ndarray:
    assert confusion is not None
    found = np.zeros((classes, classes), np.int64)
    for true, given, count in confusion.cells:
        found[true, given] = count
    return found


def test_a_classifiers_is_found_again_from_its_answers(net_package: edgeml.Package, digits: Digits) -> None:
    truth, x = digits.evaluation_labels, digits.evaluation
    source = net_package.session("onnx-fp32").predict(x)  # which agrees with the source on every sample
    assert isinstance(source, np.ndarray)
    for record in net_package.manifest.artifacts:
        scores = net_package.session(record.recipe).predict(x)
        assert isinstance(scores, np.ndarray)
        before, after = source.argmax(axis=1), scores.argmax(axis=1)
        evidence, evaluation = evidence_of(net_package, record.recipe), record.evaluation
        np.testing.assert_array_equal(dense(evidence.confusion, 10), confusion_matrix(truth, after))
        np.testing.assert_array_equal(dense(evidence.source_confusion, 10), confusion_matrix(truth, before))
        assert [one.artifact for one in evidence.recalls] == pytest.approx(
            list(recall_score(truth, after, average=None))
        )
        flipped = np.flatnonzero(before != after)
        assert [flip.sample for flip in evidence.flips] == flipped.tolist()
        assert [flip.source for flip in evidence.flips] == before[flipped].tolist()
        assert [flip.artifact for flip in evidence.flips] == after[flipped].tolist()
        assert [flip.truth for flip in evidence.flips] == truth[flipped].tolist()
        accuracy, confidence = calibration_curve(after == truth, scores.max(axis=1).astype(float), n_bins=15)
        assert evidence.calibration is not None
        full = [one for one in evidence.calibration.bins if one.samples]
        assert [one.accuracy for one in full] == pytest.approx(list(accuracy), abs=1e-6)
        assert [one.confidence for one in full] == pytest.approx(list(confidence), abs=1e-6)
        assert evaluation.ece == evidence.calibration.ece
        assert evaluation.source_metrics is not None
        assert evaluation.source_metrics.accuracy == (before == truth).mean()
        assert evaluation.mcnemar is not None
        assert evaluation.mcnemar.lost == ((before == truth) & (after != truth)).sum()
        assert evaluation.mcnemar.gained == ((before != truth) & (after == truth)).sum()
        assert set(evidence.parity) == {"scores"}
        assert evidence.parity["scores"].sqnr_db == evaluation.fidelity.sqnr_db


def test_of_scores_that_are_no_probabilities_none_are_calibrated(tmp_path: Path) -> None:
    write_linear_onnx(tmp_path / "net.onnx", np.eye(3), softmax=False)
    x = np.random.default_rng(0).normal(size=(80, 3)).astype(np.float32)
    package = edgeml.build(tmp_path / "net.onnx", evaluation=(x, x.argmax(axis=1)), recipes=["onnx-fp32"])
    evaluation = package.artifact("onnx-fp32").evaluation
    assert (evaluation.ece, evaluation.source_ece) == (None, None)
    assert evaluation.mcnemar is not None
    assert evidence_of(package, "onnx-fp32").calibration is None


def test_a_regressors_is_found_again_from_its_answers(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weights, x = rng.normal(size=(5, 3)), rng.normal(size=(200, 5)).astype(np.float32)
    before = (x @ weights).astype(np.float32)
    y = before + rng.normal(0, [0.1, 0.5, 2.0], before.shape)
    write_linear_onnx(tmp_path / "net.onnx", weights + rng.normal(0, 0.02, weights.shape), softmax=False)
    package = edgeml.build(tmp_path / "net.onnx", evaluation=(x, y), reference=before, recipes=["onnx-fp32"])
    after = package.session("onnx-fp32").predict(x)
    assert isinstance(after, np.ndarray)
    evaluation, evidence = package.artifact("onnx-fp32").evaluation, evidence_of(package, "onnx-fp32")
    assert evaluation.source_metrics is not None
    assert evaluation.source_metrics.r2 == pytest.approx(r2_score(y, before))
    assert evaluation.error_rise is not None
    rise = mean_absolute_error(y, after) - mean_absolute_error(y, before)
    assert evaluation.error_rise.value == pytest.approx(rise)
    assert evaluation.error_rise.low < rise < evaluation.error_rise.high
    rises = np.abs(after - y).mean(axis=1) - np.abs(before - y).mean(axis=1)
    assert [one.sample for one in evidence.worst_samples] == np.argsort(-rises)[:10].tolist()
    assert {one.output for one in evidence.outputs} == {0, 1, 2}
    for one in evidence.outputs:
        assert one.source.mae == pytest.approx(mean_absolute_error(y[:, one.output], before[:, one.output]))
        assert one.artifact.mae == pytest.approx(mean_absolute_error(y[:, one.output], after[:, one.output]))
    assert (evidence.confusion, evidence.recalls, evaluation.mcnemar) == (None, (), None)


def test_a_package_of_before_has_less_and_opens() -> None:
    package = edgeml.open_package(PACKAGE)
    evidence = evidence_of(package, "tflite-int8")
    assert len(evidence.recalls) == 10
    assert (evidence.confusion, evidence.calibration, evidence.parity) == (None, None, {})
    assert package.artifact("tflite-int8").evaluation.mcnemar is None


def test_it_explains_an_artifact_or_all(net_package: edgeml.Package) -> None:
    assert [one.recipe for one in explain(net_package).artifacts] == list(net_package.released)
    (one,) = explain(net_package, "tflite-int8").artifacts
    assert one.evidence == net_package.evidence("tflite-int8")
    assert one.max_drop == 0.01
    with pytest.raises(InputError, match="does not contain an artifact 'tflite-int4'"):
        explain(net_package, "tflite-int4")


def rewritten(change: Callable[[Any], object]) -> Callable[[bytes], bytes]:
    def edit(data: bytes) -> bytes:
        found = json.loads(data)
        change(found)
        return json.dumps(found).encode()

    return edit


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda data: data[:-30], "is not sound"),
        (lambda _: b"", "is not sound"),
        (lambda _: b"[" * 100_000, "is not sound"),
        (lambda _: b"\xff", "is not sound"),
        (rewritten(lambda found: found.update(invented=1)), "newer edgeml"),
        (rewritten(lambda found: found["confusion"]["cells"].append([3, 0, 1])), "more classes than the package's 3"),
        (rewritten(lambda found: found["confusion"]["cells"].append([0, 3, 1])), "more classes than the package's 3"),
        (rewritten(lambda found: found["confusion"]["cells"].append([-1, 0, 1])), "is not sound"),
        (rewritten(lambda found: found["confusion"].update(cells=[[0, 0, 1]] * 50_001)), "is not sound"),
        (rewritten(lambda found: found["calibration"].update(bins=[])), "is not sound"),
        (rewritten(lambda found: found["calibration"].update(ece=float("inf"))), "is not sound"),
        (lambda _: b" " * (8 * 2**20 + 1), "expected at most 8388608"),
    ],
)
def test_files_that_are_not_sound(
    edit: Callable[[bytes], bytes], words: str, small_package_file: Path, tmp_path: Path
) -> None:
    path = tmp_path / "forged.edgeml"

    def change(_: Any, contents: dict[str, bytes]) -> None:
        contents[ENTRY] = edit(contents[ENTRY])

    path.write_bytes(forged(small_package_file.read_bytes(), change))
    package = edgeml.open_package(path)
    with pytest.raises(PackageError, match=words):
        package.evidence("onnx-fp32")
    assert package.evidence("tflite-fp32") is not None
