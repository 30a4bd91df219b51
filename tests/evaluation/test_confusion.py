"""Confusion matrices and the classes that lost recall, against scikit-learn's."""

from __future__ import annotations

import time

import msgspec
import numpy as np
from sklearn.metrics import confusion_matrix, recall_score

from edgeml.core.records.evidence_details import Confusion, Evidence
from edgeml.evaluation import confusion_of, worst_class, worst_classes


def dense(confusion: Confusion, classes: int) -> np.ndarray:
    found = np.zeros((classes, classes), np.int64)
    for true, given, count in confusion.cells:
        found[true, given] = count
    return found


def test_equals_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(7, size=500)
    predicted = np.where(rng.random(500) < 0.7, truth, rng.integers(7, size=500))
    found = confusion_of(truth, predicted)
    np.testing.assert_array_equal(dense(found, 7), confusion_matrix(truth, predicted, labels=range(7)))
    assert list(found.cells) == sorted(found.cells)
    assert found.left_out == 0


def test_a_label_that_is_not_among_the_labels() -> None:
    assert confusion_of(np.array([0, 2, 2]), np.array([-1, -1, 2])).cells == ((0, -1, 1), (2, -1, 1), (2, 2, 1))


def test_ten_thousand_classes_stay_small_and_keep_what_matters() -> None:
    rng = np.random.default_rng(0)
    truth = rng.permutation(np.repeat(np.arange(10_000), 10))
    predicted = np.where(rng.random(100_000) < 0.3, truth, rng.integers(10_000, size=100_000))
    began = time.process_time()
    found = confusion_of(truth, predicted)
    assert time.process_time() - began < 5
    assert len(found.cells) == 50_000
    assert sum(count for *_, count in found.cells) + found.left_out == 100_000
    hits = {true: count for true, given, count in found.cells if true == given and count > 1}
    wanted = np.bincount(truth[truth == predicted], minlength=10_000)
    assert hits == {true: int(wanted[true]) for true in np.flatnonzero(wanted > 1)}
    data = msgspec.json.encode(Evidence(confusion=found, source_confusion=found))
    assert len(data) < 2_000_000
    assert msgspec.json.decode(data, type=Evidence).confusion == found


def test_the_classes_that_lost_most() -> None:
    rng = np.random.default_rng(1)
    truth = rng.permutation(np.arange(900) % 30)
    source = np.where(rng.random(900) < 0.9, truth, 0)
    artifact = np.where(rng.random(900) < 0.8, source, 1)
    names = [f"class {i}" for i in range(31)]  # the last has no samples
    found = worst_classes(truth, source, artifact, names)
    before, after = (recall_score(truth, labels, average=None) for labels in (source, artifact))
    assert len(found) == 10
    assert np.allclose([one.recall - one.source_recall for one in found], np.sort(after - before)[:10])
    for one in found:
        place = names.index(str(one.label))
        assert np.allclose((one.source_recall, one.recall, one.samples), (before[place], after[place], 30))
    assert worst_class(truth, source, artifact, names) == found[0]


def test_classes_that_lost_nothing_are_not_among_them() -> None:
    truth = np.array([0, 0, 1, 1])
    (found,) = worst_classes(truth, truth, np.array([0, 1, 1, 1]), ["a", "b"])
    assert (found.label, found.source_recall, found.recall) == ("a", 1.0, 0.5)
    assert worst_classes(truth, truth, truth, ["a", "b"]) == ()
