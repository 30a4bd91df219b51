"""Metrics and intervals of tasks beyond one label, against scikit-learn and by resampling."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as theirs
from sklearn.neighbors import NearestNeighbors

from edgeml.core.boxes import Boxes, corners_of
from edgeml.core.decisions import Decider, Decision
from edgeml.core.errors import InputError
from edgeml.core.source import Head
from edgeml.core.tensors import TensorSpec
from edgeml.evaluation import Answers, detections_of, least_kept, score_output
from edgeml.evaluation.retrieval import mean_cosine, retrieval_hits
from edgeml.evaluation.roc import area_drop_interval, area_under_curve

NO_INPUT = np.zeros((1, 1), np.float32)


@pytest.mark.parametrize("seed", range(3))
def test_f1_of_labels_that_occur_and_of_one_that_does_not(seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, source, artifact = (rng.integers(0, 2, (80, 4)).astype(bool) for _ in range(3))
    truth[:, 3] = source[:, 3] = artifact[:, 3] = False
    head = Head("multi-label", Decision((0, 1, 2, 3), threshold=0.5, independent=True))
    scores = score_output(head, truth, Answers(source * 0.9, source), Answers(artifact * 0.9, artifact), NO_INPUT)
    before, after = (theirs.f1_score(truth, each, average="macro", zero_division=0) for each in (source, artifact))
    assert [scores.source.f1, scores.artifact.f1] == pytest.approx([before, after])
    assert scores.drop is not None
    assert scores.drop.value == pytest.approx(before - after)
    assert scores.label_scores[3].source is None
    assert scores.label_scores[0].artifact == pytest.approx(theirs.f1_score(truth[:, 0], artifact[:, 0]))


def test_iou_leaves_unknown_pixels_and_absent_classes_out() -> None:
    rng = np.random.default_rng(0)
    truth, source, artifact = (rng.integers(0, 3, (6, 5, 5)) for _ in range(3))  # the fourth class never occurs
    truth[:, 0] = -1
    head = Head("segmentation", Decision((0, 1, 2, 3)))
    scores = score_output(head, truth, Answers(NO_INPUT, source), Answers(NO_INPUT, artifact), NO_INPUT)
    known = truth >= 0
    expected = theirs.jaccard_score(truth[known], artifact[known], average=None)
    assert scores.artifact.mean_iou == pytest.approx(expected.mean())
    assert [each.artifact for each in scores.label_scores] == [*map(pytest.approx, expected.tolist()), None]


def test_the_interval_of_a_drop_of_f1_is_that_of_resampled_samples() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, (300, 3)).astype(bool)
    source, artifact = (truth ^ (rng.uniform(size=truth.shape) < rate) for rate in (0.1, 0.2))
    head = Head("multi-label", Decision((0, 1, 2), threshold=0.5, independent=True))
    drop = score_output(head, truth, Answers(source * 0.9, source), Answers(artifact * 0.9, artifact), NO_INPUT).drop
    assert drop is not None
    drops = []
    for _ in range(400):
        rows = rng.integers(300, size=300)
        scores = [theirs.f1_score(truth[rows], each[rows], average="macro") for each in (source, artifact)]
        drops.append(scores[0] - scores[1])
    low, high = np.quantile(drops, [0.025, 0.975])
    assert [drop.low, drop.high] == pytest.approx([low, high], abs=0.015)


def test_the_area_and_the_interval_of_its_drop() -> None:
    rng = np.random.default_rng(1)
    positive = rng.uniform(size=400) < 0.3
    source = rng.normal(positive * 1.5, 1.0)
    artifact = np.round(source + rng.normal(0, 0.7, 400), 1)  # with ties
    assert area_under_curve(positive, artifact) == pytest.approx(theirs.roc_auc_score(positive, artifact))
    drops = []
    for _ in range(600):
        rows = rng.integers(400, size=400)
        areas = [theirs.roc_auc_score(positive[rows], each[rows]) for each in (source, artifact)]
        drops.append(areas[0] - areas[1])
    low, high = np.quantile(drops, [0.025, 0.975])
    found = area_drop_interval(positive, source, artifact)
    assert list(found) == pytest.approx([low, high], abs=0.01)
    assert area_under_curve(np.ones(3, bool), np.arange(3.0)) is None


@pytest.mark.parametrize("k", [1, 5])
def test_recall_is_that_of_the_nearest_neighbors(k: int) -> None:
    rng = np.random.default_rng(2)
    values, identities = rng.normal(size=(700, 6)), rng.integers(0, 40, 700)
    nearest = NearestNeighbors(n_neighbors=k + 1, metric="cosine").fit(values).kneighbors(values)[1][:, 1:]
    expected = (identities[nearest] == identities[:, None]).any(axis=1)
    assert np.array_equal(retrieval_hits(identities, values, k), expected)
    assert len(retrieval_hits(np.arange(5), values[:5], k)) == 0  # no identity occurs twice


def test_a_rare_label_that_is_lost_is_named() -> None:
    """Agreement is 98%, and half of the balls are gone."""
    source = np.zeros((10, 20, 20), np.int64)
    source[:, :4, :4] = 1
    artifact = source.copy()
    artifact[:, :2, :4] = 0
    assert (source == artifact).mean() == 0.98
    assert least_kept(source, artifact, Decision(("ground", "ball"))) == ("ball", 0.5)
    tags = Decision(("a", "b"), threshold=0.5, independent=True)
    one = np.array([[1, 0]] * 30)
    assert least_kept(one, one, tags) == ("a", 1.0)
    assert least_kept(one[:5], one[:5], tags) is None


def test_boxes_in_all_formats_are_the_same_corners() -> None:
    corners = np.array([[2.0, 3.0, 8.0, 13.0]])
    forms = {"xyxy": [2, 3, 8, 13], "yxyx": [3, 2, 13, 8], "xywh": [2, 3, 6, 10], "cxcywh": [5, 8, 6, 10]}
    for form, numbers in forms.items():
        assert np.array_equal(corners_of(np.array([numbers], np.float32), form), corners)  # type: ignore[arg-type]


def test_near_copies_of_a_box_are_dropped_but_not_those_of_another_class() -> None:
    rows = np.array([[0, 0, 10, 10, 0.9, 0], [0, 0, 10, 9, 0.8, 0], [0, 0, 10, 9, 0, 0.7], [50, 50, 60, 60, 0.6, 0]])
    both = Boxes("xyxy", "y", "y", labels=(0, 1))
    for values in (rows[None], rows[None].transpose(0, 2, 1)):
        (found,) = detections_of({"y": values}, both)
        assert found.scores[:3].tolist() == [0.9, 0.7, 0.6]
        assert found.classes[:3].tolist() == [0, 1, 0]


SPEC = TensorSpec("y", (None, 2, 2, 3), "float32", meaning="scores")
SCORES = np.random.default_rng(0).uniform(size=(4, 2, 2, 3)).astype(np.float32)


def test_masks_are_numbers_and_steps_are_labels() -> None:
    decider = Decider((SPEC,), Decision(("a", "b", "c")))
    assert np.array_equal(decider.labels([SCORES]), SCORES.argmax(axis=-1))
    assert np.array_equal(Decider((SPEC,), Decision((7, 8, 9))).labels([SCORES]), SCORES.argmax(axis=-1) + 7)
    steps = TensorSpec("y", (None, 4, 3), "float32", meaning="scores")
    flat = SCORES.reshape(4, 4, 3)
    found = Decider((steps,), Decision(("a", "b", "c"))).labels([flat])
    assert np.array_equal(found, np.array(["a", "b", "c"])[flat.argmax(axis=-1)])
    labels, scores = decider.scored_labels([SCORES])
    assert np.array_equal(scores, SCORES.max(axis=-1))
    assert labels.shape == (4, 2, 2)
    with pytest.raises(InputError, match="each sample has 2×2 labels"):
        decider.top([SCORES], 1)


def test_classes_may_be_on_the_first_axis() -> None:
    channels = SCORES.transpose(0, 3, 1, 2)
    spec = TensorSpec("y", (None, 3, 2, 2), "float32", meaning="scores")
    decider = Decider((spec,), Decision((0, 1, 2), axis=1))
    assert np.array_equal(decider.labels([channels]), SCORES.argmax(axis=-1))


def test_a_mask_of_one_score_decides_at_its_threshold() -> None:
    spec = TensorSpec("y", (None, 2, 2, 1), "float32", meaning="scores")
    decider = Decider((spec,), Decision((0, 1), threshold=0.5, probabilities=True))
    found, scores = decider.scored_labels([SCORES[..., :1]])
    assert np.array_equal(found, SCORES[..., 0] > 0.5)
    np.testing.assert_allclose(scores, np.where(found == 1, SCORES[..., 0], 1 - SCORES[..., 0]))


@pytest.mark.parametrize("shape", [(1, 2, 2), (2, 2, 1)])
def test_masks_of_one_channel_lose_its_axis(shape: tuple[int, ...]) -> None:
    axis = 1 if shape[0] == 1 else -1
    spec = TensorSpec("y", (None, *shape), "float32", meaning="scores")
    decider = Decider((spec,), Decision((0, 1), threshold=0.5, probabilities=True, axis=axis))
    values = SCORES[..., 0]
    assert np.array_equal(decider.labels([values.reshape(4, *shape)]), values > 0.5)


def test_labels_that_overlap_in_pixels() -> None:
    rng = np.random.default_rng(0)
    truth, artifact = (rng.integers(0, 2, (4, 5, 5, 2)).astype(bool) for _ in range(2))
    head = Head("multi-label", Decision((0, 1), threshold=0.5, independent=True))
    scores = score_output(head, truth, Answers(truth * 0.9, truth), Answers(artifact * 0.9, artifact), NO_INPUT)
    expected = theirs.f1_score(truth.reshape(-1, 2), artifact.reshape(-1, 2), average="macro")
    assert scores.artifact.f1 == pytest.approx(expected)


def test_zero_embeddings_are_similar_to_themselves() -> None:
    zeros = np.array([[0.0, 0.0], [1.0, 0.0]])
    assert mean_cosine(zeros, zeros) == 1
    assert mean_cosine(zeros, np.ones((2, 2))) == pytest.approx(0.5 * np.sqrt(0.5))
