"""A few samples at once, and labels with their scores, against single samples and numpy on what `predict` gives."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import edgeml
from edgeml.core.errors import InputError, TargetError
from edgeml.core.session import Session
from edgeml.demo.digits import Digits
from tests.support.raw_engines import bytes_of, raw_scores
from tests.support.sessions import ALL, EACH, array_of

COUNTS = (2, 64, 3, 8, 17, 63, 65, 9, 2, 31, 64, 5, 7, 11, 64)


@pytest.mark.parametrize("recipe", ALL)
def test_a_few_samples_are_answered_as_by_the_raw_engine(
    net_package: edgeml.Package, digits: Digits, recipe: str
) -> None:
    """Also when other ways to them have been tried on the first batches."""
    x = digits.evaluation[: max(COUNTS)]
    wanted = raw_scores(bytes_of(net_package, recipe), recipe, x)
    with net_package.session(recipe) as session:
        for count in COUNTS:
            found = array_of(session.predict(x[:count]))
            assert (found.shape, str(found.dtype), found.flags.owndata) == ((count, 10), "float32", True)
            if recipe.startswith("tflite") or recipe == "onnx-dynamic":
                np.testing.assert_array_equal(found, wanted[:count])
            else:
                np.testing.assert_allclose(found, wanted[:count], atol=1e-5)
            by_name = session.run({"image": x[:count]})
            assert list(by_name) == ["scores"]
            np.testing.assert_array_equal(by_name["scores"], found)


@EACH
def test_a_few_samples_that_are_none_of_the_plainest(session: Session, digits: Digits) -> None:
    x = digits.evaluation[:10]
    wanted = array_of(session.predict(x))
    strided = np.repeat(x, 2, axis=0)[::2]
    np.testing.assert_allclose(array_of(session.predict(strided)), wanted, atol=1e-5)
    np.testing.assert_allclose(array_of(session.predict(np.asfortranarray(x))), wanted, atol=1e-5)
    np.testing.assert_allclose(array_of(session.predict(x.astype(np.float64))), wanted, atol=1e-5)
    spoilt = x.copy()
    spoilt[7, 2, 2] = np.inf
    for use in (session.predict, session.classify, session.top, lambda x: session.run({"image": x})):
        with pytest.raises(InputError, match="sample 7 holds NaN or infinity"):
            use(spoilt)
    np.testing.assert_allclose(array_of(session.predict(x)), wanted, atol=1e-5)
    session.close()
    with pytest.raises(TargetError, match="The session is closed"):
        session.predict(x)


@pytest.mark.parametrize("recipe", ["tflite-fp32", "onnx-fp32"])
def test_a_few_samples_of_several_threads(session: Session, digits: Digits) -> None:
    x = digits.evaluation[:64]
    wanted = array_of(session.predict(x))
    wrong: list[int] = []

    def work(offset: int) -> None:
        for turn in range(60):
            count = 1 + (offset + turn) % 64
            if not np.allclose(array_of(session.predict(x[:count])), wanted[:count], atol=1e-5):
                wrong.append(count)

    threads = [threading.Thread(target=work, args=(17 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.parametrize("recipe", ALL)
@pytest.mark.parametrize("count", [1, 2, 70])
def test_labels_and_scores_of_one_run(sessions: dict[str, Session], digits: Digits, recipe: str, count: int) -> None:
    session, x = sessions[recipe], digits.evaluation[:count]
    scores = array_of(session.predict(x))
    order = np.argsort(-scores, axis=1, kind="stable")
    labels = session.classify(x)
    for k in (1, 3, 10, 99):
        found = session.top(x, k)
        assert found.labels.shape == found.scores.shape == (count, min(k, 10))
        np.testing.assert_array_equal(found.labels[:, 0], labels)
        np.testing.assert_array_equal(found.scores, np.take_along_axis(scores, order, axis=1)[:, :k])
    best, of_best = session.classify(x, scores=True)
    np.testing.assert_array_equal(best, labels)
    np.testing.assert_array_equal(of_best, scores.max(axis=1))
    best[...] = 0  # the caller's own
    np.testing.assert_array_equal(session.classify(x), labels)


@pytest.mark.parametrize("recipe", ["tflite-fp32"])
def test_labels_and_scores_of_a_stream(session: Session, digits: Digits) -> None:
    labels, scores = session.classify(iter(digits.evaluation[:5]), scores=True)
    np.testing.assert_array_equal(labels, session.classify(digits.evaluation[:5]))
    np.testing.assert_array_equal(scores, array_of(session.predict(digits.evaluation[:5])).max(axis=1))


@pytest.mark.parametrize("recipe", ["tflite-fp32"])
@pytest.mark.parametrize("k", [0, -1, 1.5, "3"])
def test_a_number_of_labels_that_is_none(session: Session, digits: Digits, k: int) -> None:
    with pytest.raises(InputError, match="expected a whole number, at least 1"):
        session.top(digits.evaluation[:1], k)


@pytest.mark.slow
@pytest.mark.parametrize("classes", [3, 4])
def test_scores_of_pairs_rank_no_labels(classes: int) -> None:
    """Three labels have three pairs, so that the shape alone does not show it."""
    from sklearn.datasets import make_blobs
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVC

    x, y = make_blobs(200, n_features=4, centers=classes, cluster_std=6.0, random_state=0)
    model = make_pipeline(StandardScaler(), SVC(decision_function_shape="ovo")).fit(x, y)
    package = edgeml.build(model, evaluation=(x, y), recipes=["onnx-fp32"])
    with package.session("onnx-fp32") as session:
        sample = x[:5].astype(np.float32)
        np.testing.assert_array_equal(session.classify(sample), model.predict(x[:5]))
        for use in (lambda: session.top(sample, 2), lambda: session.classify(sample[:1], scores=True)):
            with pytest.raises(InputError, match=f"compare pairs of its {classes} labels"):
                use()
