"""Samples and batches that come one after the other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from edgeml.core.errors import InputError, TargetError
from edgeml.core.session import Session
from edgeml.demo.digits import Digits
from tests.support.onnx_sessions import open_onnx
from tests.support.processes import eventually
from tests.support.sessions import EACH, array_of, resident_mb


@EACH
def test_streams_answer_in_order(session: Session, digits: Digits) -> None:
    x = digits.evaluation
    wanted = array_of(session.predict(x[:400]))
    items = [x[0], x[1:8], x[8:8], x[8], *x[9:60], x[60:400]]
    found = [*map(array_of, session.stream(iter(items)))]
    assert [np.shape(part) for part in found] == [(10,), (7, 10), (0, 10), (10,), *[(10,)] * 51, (340, 10)]
    whole = np.concatenate([np.reshape(part, (-1, 10)) for part in found])
    loose = 0 if session.engine == "ai-edge-litert" else 1e-5
    np.testing.assert_allclose(whole, wanted, atol=loose)
    np.testing.assert_allclose(array_of(session.predict(iter(items))), wanted, atol=loose)
    labels = session.classify(row for row in x[:50])
    np.testing.assert_array_equal(labels, session.classify(x[:50]))
    named = session.run({"image": row} for row in x[:50])
    np.testing.assert_allclose(named["scores"], wanted[:50], atol=1e-5)
    assert array_of(session.predict(iter([]))).shape == (0, 10)


@pytest.mark.parametrize("recipe", ["tflite-int8", "onnx-fp32"])
def test_a_bad_sample_is_told_by_its_place_in_the_stream(session: Session, digits: Digits) -> None:
    def samples() -> Iterator[np.ndarray]:
        for i in range(6000):
            yield digits.evaluation[i % 500] if i != 5003 else np.full((8, 8, 1), np.nan)

    answers = session.stream(samples())
    for _ in range(4000):
        next(answers)
    with pytest.raises(InputError, match=r"sample 5003 holds NaN or infinity"):
        list(answers)
    with pytest.raises(InputError, match=r"from sample 2 on.*got shape \[3, 3\]"):
        list(session.stream([digits.evaluation[0], digits.evaluation[1], np.zeros((3, 3))]))


@pytest.mark.slow
@EACH
@pytest.mark.parametrize("bad", [0, 1, 77, 4096, 4999])
def test_a_stream_answers_all_before_a_bad_item(session: Session, digits: Digits, recipe: str, bad: int) -> None:
    x = np.resize(digits.evaluation, (5000, 8, 8, 1))
    wanted = array_of(session.predict(x))

    def broken() -> Iterator[np.ndarray]:
        yield from x[:bad]
        raise OSError("no camera")

    spoilt = x.copy()
    spoilt[bad, 3] = np.nan
    for items, error, message in (
        (iter(spoilt), InputError, f"sample {bad} holds NaN"),
        ([*x[:bad], np.zeros((3, 3))], InputError, r"got shape \[3, 3\]"),
        (broken(), OSError, "no camera"),
    ):
        found: list[np.ndarray] = []
        with pytest.raises(error, match=message):
            found.extend(map(array_of, session.stream(items)))
        assert len(found) == bad
        if found:
            exact = recipe.startswith("tflite")
            np.testing.assert_allclose(np.stack(found), wanted[:bad], atol=0 if exact else 1e-5)


@EACH
def test_a_stream_whose_items_share_one_memory(session: Session, digits: Digits) -> None:
    """As a camera's loop gives them, which reads every frame into the same array."""
    x = digits.evaluation[:50]

    def frames() -> Iterator[np.ndarray]:
        frame = np.empty(x.shape[1:], np.float32)
        for row in x:
            frame[...] = row
            yield frame

    wanted = array_of(session.predict(x))
    np.testing.assert_allclose(np.stack([*map(array_of, session.stream(frames()))]), wanted, atol=1e-5)
    np.testing.assert_allclose(array_of(session.predict(frames())), wanted, atol=1e-5)


@pytest.mark.parametrize("recipe", ["tflite-int8", "onnx-fp32"])
def test_a_stream_of_lists(session: Session, digits: Digits) -> None:
    x = digits.evaluation[:3]
    np.testing.assert_array_equal([*map(array_of, session.stream(x.tolist()))], session.predict(x))
    with pytest.raises(InputError, match="expected a regular array"):
        list(session.stream([[[[0.0]] * 8, [[0.0]] * 7]]))


@pytest.mark.parametrize("recipe", ["tflite-int8", "onnx-fp32"])
def test_an_empty_stream_after_closing(session: Session) -> None:
    session.close()
    for use in (lambda: session.predict(iter([])), lambda: list(session.stream([]))):
        with pytest.raises(TargetError, match="The session is closed"):
            use()


@pytest.mark.slow
def test_a_stream_of_samples_of_any_length() -> None:
    random = np.random.default_rng(0)
    items = [random.random(int(size), np.float32) for size in random.integers(1, 4, 5000)]
    with open_onnx([helper.make_node("Identity", ["x"], ["y"])], ("N", "K"), ("N", "K")) as session:
        for found, wanted in zip(session.stream(iter(items)), items, strict=True):
            np.testing.assert_array_equal(found, wanted)
        with pytest.raises(TargetError, match=r"outputs of different shapes, \[None, 1\], \[None, 2\]"):
            session.predict(iter(items))
        items[4000][0] = np.nan
        with pytest.raises(InputError, match="sample 4000 holds NaN"):
            session.predict(iter(items))


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["tflite-int8", "onnx-fp32"])
def test_a_memory_map_and_a_stream_stay_in_bounds(session: Session, digits: Digits, tmp_path: Path) -> None:
    """100 MB of float64 go through, of which neither the whole nor a float32 copy is held."""
    count = 200_000
    mapped = np.lib.format.open_memmap(tmp_path / "x.npy", mode="w+", dtype=np.float64, shape=(count, 8, 8, 1))
    mapped[:] = np.resize(digits.evaluation, (1000, 8, 8, 1)).repeat(count // 1000, axis=0)
    mapped.flush()
    del mapped
    wanted = array_of(session.predict(digits.evaluation[:1]))
    size = count // 5
    read = np.load(tmp_path / "x.npy", mmap_mode="r")[:size]
    for _ in session.stream(read[:2000]):
        pass
    before = resident_mb()
    peak = 0.0
    for i, scores in enumerate(session.stream(np.array(row) for row in read)):
        if i % 4000 == 0:
            peak = max(peak, resident_mb())
        if i == 0:
            np.testing.assert_allclose(array_of(scores), wanted[0], atol=1e-5)
    assert peak - before < 50


# Live streams


def readers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "edgeml stream"]


@EACH
def test_each_item_is_answered_before_the_next_one_comes(session: Session, digits: Digits) -> None:
    """As of a camera: a source that would wait for ever for an answer to be gathered with others."""
    x, answered = digits.evaluation[:20], threading.Semaphore(0)

    def frames() -> Iterator[np.ndarray]:
        for i, row in enumerate(x):
            assert i == 0 or answered.acquire(timeout=20)
            yield row

    found = []
    for scores in session.stream(frames()):
        found.append(array_of(scores))
        answered.release()
    np.testing.assert_allclose(np.stack(found), array_of(session.predict(x)), atol=1e-5)


@pytest.mark.parametrize("recipe", ["tflite-int8", "onnx-fp32"])
def test_a_burst_is_answered_before_the_next_one_comes(session: Session, digits: Digits) -> None:
    x, answered = digits.evaluation[:60], threading.Semaphore(0)

    def frames() -> Iterator[np.ndarray]:
        for burst in range(3):
            yield from x[20 * burst : 20 * burst + 20]
            assert all(answered.acquire(timeout=20) for _ in range(20))

    found = []
    for scores in session.stream(frames()):
        found.append(array_of(scores))
        answered.release()
    np.testing.assert_allclose(np.stack(found), array_of(session.predict(x)), atol=1e-5)


@pytest.mark.parametrize("recipe", ["tflite-int8", "onnx-fp32"])
def test_the_latest_item_alone(session: Session, digits: Digits) -> None:
    x = digits.evaluation[:100]
    first_is_answered, all_came, last_is_answered = threading.Event(), threading.Event(), threading.Event()

    def frames() -> Iterator[np.ndarray]:
        yield x[0]
        assert first_is_answered.wait(20)
        yield from x[1:]
        all_came.set()
        assert last_is_answered.wait(20)

    answers = session.stream(frames(), latest=True)
    found = [array_of(next(answers))]
    first_is_answered.set()
    assert all_came.wait(20)
    found.append(array_of(next(answers)))
    last_is_answered.set()
    assert list(answers) == []
    np.testing.assert_allclose(np.stack(found), array_of(session.predict(x[[0, -1]])), atol=1e-5)


@pytest.mark.parametrize("recipe", ["tflite-fp32"])
def test_who_takes_the_items(session: Session, digits: Digits) -> None:
    takers: list[int] = []

    def frames() -> Iterator[np.ndarray]:
        for row in digits.evaluation[:10]:
            takers.append(threading.get_ident())
            yield row

    assert len(list(session.stream(frames(), max_delay_ms=None))) == 10
    assert set(takers) == {threading.get_ident()}
    takers.clear()
    assert len(list(session.stream(frames()))) == 10
    assert set(takers).isdisjoint({threading.get_ident()})


@pytest.mark.parametrize("recipe", ["tflite-fp32"])
def test_a_stream_that_is_left_lets_go_of_its_source(session: Session, digits: Digits) -> None:
    closed = threading.Event()

    def frames() -> Iterator[np.ndarray]:
        try:
            while True:
                yield digits.evaluation[0]
        finally:
            closed.set()

    for _ in session.stream(frames()):
        break
    assert closed.wait(20)
    assert eventually(lambda: not readers())


@pytest.mark.parametrize("recipe", ["tflite-fp32"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_delay_ms": -1.0}, "max_delay_ms is -1.0, expected a number of at least 0, or None"),
        ({"max_delay_ms": float("nan")}, "max_delay_ms is nan"),
        ({"max_delay_ms": None, "latest": True}, "latest=True requires a number"),
    ],
)
def test_bounds_that_are_none(session: Session, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        session.stream([], **options)
