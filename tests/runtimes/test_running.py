"""Batches, streams, threads, the hot loop and closing, against the raw engines on the same bytes."""

from __future__ import annotations

import gc
import os
import threading
import time
import warnings
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

import edgeml
from edgeml.core.errors import InputError, TargetError
from edgeml.core.session import HotLoop, Session
from edgeml.runtimes.crew import Crew
from edgeml.runtimes.lane import Lane
from edgeml.trainers.digits import Digits
from tests.runtimes.test_sessions import RawTflite, bytes_of

RECIPES = ["tflite-fp32", "tflite-int8", "onnx-fp32", "onnx-int8"]
EACH = pytest.mark.parametrize("recipe", RECIPES)


@pytest.fixture
def session(net_package: edgeml.Package, recipe: str) -> Iterator[Session]:
    with net_package.session(recipe) as opened:
        yield opened


def arrays(found: object) -> np.ndarray:
    assert isinstance(found, np.ndarray)
    return found


def resident_mb() -> float:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[1])
    return pages * 4096 / 1e6


@EACH
@pytest.mark.parametrize("threads", [None, 1, 2, 3])
def test_long_batches_answer_as_single_samples_do(
    net_package: edgeml.Package, digits: Digits, recipe: str, threads: int | None
) -> None:
    x = np.concatenate([digits.evaluation] * 3)[:1501]
    with net_package.session(recipe, threads=1) as alone:
        wanted = np.concatenate([arrays(alone.predict(x[i : i + 1])) for i in range(600)])
    with net_package.session(recipe, threads=threads) as session:
        found = arrays(session.predict(x))
    assert found.shape == (1501, 10)
    exact = recipe.startswith("tflite")
    np.testing.assert_allclose(found[:600], wanted, atol=0 if exact else 1e-5)
    np.testing.assert_array_equal(found[600:1200], found[:600])  # the same samples, elsewhere in the batch


@pytest.mark.parametrize("recipe", ["tflite-int8"])
def test_long_batches_equal_the_raw_interpreter(net_package: edgeml.Package, digits: Digits, session: Session) -> None:
    raw = RawTflite(bytes_of(net_package, "tflite-int8"))
    x = digits.evaluation[:500]
    wanted = np.concatenate([raw.raw(x[i : i + 1]) for i in range(len(x))])
    np.testing.assert_array_equal(session.run_raw({"image": x})["scores"], wanted)


@pytest.fixture(scope="module")
def rows_package(pipeline_file: Path, digits: Digits) -> edgeml.Package:
    x = digits.calibration.reshape(-1, 64)[:100]
    return edgeml.build(pipeline_file, calibration=x, recipes=["tflite-fp32", "onnx-fp32"])


@pytest.mark.parametrize("count", [2, 127, 128, 129, 2047, 2048, 5000])
def test_rows_equal_the_raw_interpreter_however_many(rows_package: edgeml.Package, count: int) -> None:
    raw = RawTflite(bytes_of(rows_package, "tflite-fp32"))
    x = np.random.default_rng(count).integers(0, 17, (count, 64)).astype(np.float32)
    wanted = np.concatenate([raw(x[i : i + 1]) for i in range(count)])
    with rows_package.session("tflite-fp32") as session:
        np.testing.assert_array_equal(arrays(session.predict(x)), wanted)
        np.testing.assert_array_equal(arrays(session.predict(x[:130])), wanted[:130])


@pytest.mark.parametrize("count", [127, 129, 2049, 40_000])
def test_rows_of_onnx_however_many(rows_package: edgeml.Package, count: int) -> None:
    x = np.random.default_rng(count).integers(0, 17, (count, 64)).astype(np.float32)
    raw = onnxruntime.InferenceSession(bytes_of(rows_package, "onnx-fp32"), providers=["CPUExecutionProvider"])
    (takes,) = raw.get_inputs()
    scores = next(node.name for node in raw.get_outputs() if node.type == "tensor(float)")
    told: list[int] = []
    with rows_package.session("onnx-fp32") as session:
        found = arrays(session.predict(x, progress=told.append))
    np.testing.assert_allclose(found, raw.run([scores], {takes.name: x})[0], atol=1e-6)
    assert told == sorted(told)
    assert told[-1] == count


@pytest.mark.parametrize("recipe", ["tflite-int8", "tflite-int16x8"])
def test_integers_go_in_and_out(net_package: edgeml.Package, recipe: str, session: Session) -> None:
    raw = RawTflite(bytes_of(net_package, recipe))
    dtype = raw.takes["dtype"]
    limits = np.iinfo(dtype)
    x = np.random.default_rng(0).integers(limits.min, limits.max, (300, 8, 8, 1)).astype(dtype)

    def bare(values: np.ndarray) -> np.ndarray:
        raw._interpreter.set_tensor(raw.takes["index"], values)
        raw._interpreter.invoke()
        return np.array(raw._interpreter.get_tensor(raw.gives["index"]))

    wanted = np.concatenate([bare(x[i : i + 1]) for i in range(len(x))])
    found = session.run_quantized({"image": x})["scores"]
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, wanted)
    one = session.run_quantized({"image": x[:1]})["scores"]
    kept = one.copy()
    session.run_quantized({"image": x[1:2]})
    np.testing.assert_array_equal(one, kept)
    np.testing.assert_array_equal(one, wanted[:1])
    assert session.run_quantized({"image": x[:0]})["scores"].shape == (0, 10)


@pytest.mark.parametrize("recipe", ["tflite-int8"])
def test_integers_of_another_kind(session: Session) -> None:
    right = np.zeros((2, 8, 8, 1), np.int8)
    for given, message in (
        ({"image": right.astype(np.uint8)}, "got dtype uint8, expected int8"),
        ({"image": right[:1].astype(np.float32)}, "got dtype float32, expected int8"),
        ({"image": right[:, :7]}, r"got shape \[2, 7, 8, 1\]"),
        ({"picture": right}, r"got inputs \['picture'\]"),
        ({"image": right[:1], "mask": right[:1]}, r"got inputs \['image', 'mask'\]"),
        (3, r"got shape \[\]"),
    ):
        with pytest.raises(InputError, match=message):
            session.run_quantized(given)  # type: ignore[arg-type]
    one = session.run_quantized({"image": right[:1]})["scores"]
    np.testing.assert_array_equal(session.run_quantized(right[:1])["scores"], one)  # type: ignore[arg-type]


@pytest.mark.parametrize("recipe", ["tflite-fp32", "onnx-int8"])
def test_integers_for_an_artifact_that_takes_none(session: Session) -> None:
    with pytest.raises(InputError, match="takes no integers as 'image'") as caught:
        session.run_quantized({"image": np.zeros((1, 8, 8, 1), np.int8)})
    assert "run" in caught.value.fix


@EACH
def test_streams_answer_in_order(session: Session, digits: Digits) -> None:
    x = digits.evaluation
    wanted = arrays(session.predict(x[:400]))
    items = [x[0], x[1:8], x[8:8], x[8], *x[9:60], x[60:400]]
    found = [*map(arrays, session.stream(iter(items)))]
    assert [np.shape(part) for part in found] == [(10,), (7, 10), (0, 10), (10,), *[(10,)] * 51, (340, 10)]
    whole = np.concatenate([np.reshape(part, (-1, 10)) for part in found])
    np.testing.assert_allclose(whole, wanted, atol=0 if session.engine == "ai-edge-litert" else 1e-5)
    np.testing.assert_array_equal(session.predict(iter(items)), whole)
    labels = session.classify(row for row in x[:50])
    np.testing.assert_array_equal(labels, session.classify(x[:50]))
    named = session.run({"image": row} for row in x[:50])
    np.testing.assert_allclose(named["scores"], wanted[:50], atol=1e-5)
    assert arrays(session.predict(iter([]))).shape == (0, 10)


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


@EACH
@pytest.mark.parametrize("bad", [0, 1, 77, 4096, 4999])
def test_a_stream_answers_all_before_a_bad_item(session: Session, digits: Digits, recipe: str, bad: int) -> None:
    x = np.resize(digits.evaluation, (5000, 8, 8, 1))
    wanted = arrays(session.predict(x))

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
            found.extend(map(arrays, session.stream(items)))
        assert len(found) == bad
        if found:
            exact = recipe.startswith("tflite")
            np.testing.assert_allclose(np.stack(found), wanted[:bad], atol=0 if exact else 1e-5)


@pytest.mark.parametrize("recipe", ["tflite-int8", "onnx-fp32"])
def test_the_first_of_many_bad_samples_is_told(session: Session, digits: Digits) -> None:
    x = np.concatenate([digits.evaluation] * 4)
    x[[1203, 1999], 0, 0, 0] = np.inf
    with pytest.raises(InputError, match=rf"sample 1203 holds NaN or infinity \(2 of {len(x)} samples do\)"):
        session.predict(x)


@pytest.mark.parametrize("recipe", ["tflite-int8", "onnx-fp32"])
def test_progress_is_told(session: Session, digits: Digits) -> None:
    told: list[int] = []
    session.predict(digits.evaluation[:500], progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 500


def test_progress_tells_no_more_than_is_done(
    net_package: edgeml.Package, digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while a helper is still at an early and large part."""
    into, caller = Lane.into, threading.get_ident()
    done: list[int] = []
    told: list[tuple[int, int]] = []
    late = iter([0.3])

    def slow(*given: Any) -> None:
        into(*given)
        if threading.get_ident() != caller:
            time.sleep(next(late, 0))
        done.append(given[4] - given[3])

    monkeypatch.setattr(Lane, "into", slow)
    x = np.resize(digits.evaluation, (20_000, *digits.evaluation.shape[1:]))
    with net_package.session("tflite-fp32", threads=2) as session:
        session.predict(x, progress=lambda count: told.append((count, sum(done))))
    assert len(told) > 3
    assert all(count <= finished for count, finished in told)


@pytest.mark.parametrize("recipe", ["tflite-int8", "onnx-fp32"])
def test_a_memory_map_and_a_stream_stay_in_bounds(session: Session, digits: Digits, tmp_path: Path) -> None:
    """100 MB of float64 go through, of which neither the whole nor a float32 copy is held."""
    count = 200_000
    mapped = np.lib.format.open_memmap(tmp_path / "x.npy", mode="w+", dtype=np.float64, shape=(count, 8, 8, 1))
    mapped[:] = np.resize(digits.evaluation, (1000, 8, 8, 1)).repeat(count // 1000, axis=0)
    mapped.flush()
    del mapped
    wanted = arrays(session.predict(digits.evaluation[:1]))
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
            np.testing.assert_allclose(arrays(scores), wanted[0], atol=1e-5)
    assert peak - before < 50


@EACH
def test_the_hot_loop(session: Session, digits: Digits) -> None:
    x = digits.evaluation[:20]
    hot = session.bind()
    (spec,) = session.signature.inputs
    place, scores = hot.inputs["image"], hot.outputs["scores"]
    assert (place.shape, str(place.dtype)) == ((1, 8, 8, 1), spec.dtype)
    wanted = session.run_raw({"image": x}, batch_size=1)["scores"]
    given = x
    if spec.quantization is not None:
        given = np.clip(np.rint(x / np.float32(spec.quantization.scale)) + spec.quantization.zero_point, -128, 127)
    found = []
    for row in given:
        place[0] = row
        hot.run()
        found.append(scores[0].copy())
    np.testing.assert_array_equal(np.stack(found), wanted)
    session.close()
    with pytest.raises(TargetError, match="closed"):
        hot.run()
    np.testing.assert_array_equal(scores[0], found[-1])  # what was taken out stays sound memory


@EACH
def test_after_closing(net_package: edgeml.Package, digits: Digits, recipe: str) -> None:
    x = digits.evaluation[:300]
    session = net_package.session(recipe)
    session.predict(x)
    session.predict(x[:1])
    session.close()
    session.close()
    for use in (
        lambda: session.predict(x),
        lambda: session.predict(x[:1]),
        lambda: session.predict(x[:0]),
        lambda: session.classify(x),
        lambda: session.run({"image": x}),
        lambda: session.run_raw({"image": x[:1]}),
        lambda: list(session.stream(iter(x))),
        session.bind,
    ):
        with pytest.raises(TargetError, match="The session is closed"):
            use()


@pytest.mark.parametrize("recipe", ["tflite-fp32", "onnx-fp32"])
def test_closing_gives_memory_back_and_waits_for_nobody(
    net_package: edgeml.Package, digits: Digits, recipe: str
) -> None:
    wrong: list[Exception] = []

    def use(session: Session) -> None:
        try:
            while True:
                session.predict(digits.evaluation[:5])
        except TargetError as error:
            if "closed" not in error.message:
                wrong.append(error)
        except Exception as error:  # noqa: BLE001 - told to the test's thread
            wrong.append(error)

    sessions = []
    for _ in range(20):
        session = net_package.session(recipe)
        threads = [threading.Thread(target=use, args=(session,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        time.sleep(0.01)
        session.close()
        for thread in threads:
            thread.join(timeout=10)
            assert not thread.is_alive()
        sessions.append(session)
    assert not wrong
    before = resident_mb()
    for _ in range(60):
        with net_package.session(recipe) as session:
            session.predict(digits.evaluation[:50])
    assert resident_mb() - before < 15


@EACH
def test_eight_threads_on_one_session(session: Session, digits: Digits) -> None:
    """Single samples, batches, streams and integers at once, for two seconds."""
    x = digits.evaluation[:160]
    wanted = arrays(session.predict(x))
    loose = 0 if session.engine == "ai-edge-litert" else 1e-5
    failures: list[object] = []
    end = time.monotonic() + 2

    def work(part: int) -> None:
        mine = slice(part * 20, part * 20 + 20)
        random = np.random.default_rng(part)
        try:
            while time.monotonic() < end:
                row = part * 20 + int(random.integers(20))
                np.testing.assert_allclose(arrays(session.predict(x[row : row + 1])), wanted[row : row + 1], atol=loose)
                np.testing.assert_allclose(arrays(session.predict(x[mine])), wanted[mine], atol=loose)
                np.testing.assert_allclose(np.stack([*map(arrays, session.stream(x[mine]))]), wanted[mine], atol=loose)
        except Exception as error:  # noqa: BLE001 - told to the test's thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=(part,)) for part in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


@pytest.mark.parametrize("recipe", ["onnx-fp32"])
def test_a_big_batch_does_not_keep_its_memory(session: Session, digits: Digits) -> None:
    x = np.resize(digits.evaluation, (20_000, 8, 8, 1))
    session.predict(x)
    before = resident_mb()
    session.predict(x, batch_size=20_000)
    assert resident_mb() - before < 20


@pytest.mark.parametrize("recipe", ["tflite-fp32", "tflite-int8", "onnx-fp32"])
def test_memory_that_does_not_suffice_is_told(session: Session) -> None:
    huge = np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), (2**50, 8, 8, 1), (0, 0, 0, 0))
    with pytest.raises(TargetError, match="memory does not suffice") as caught:
        session.predict(huge, batch_size=2**50)
    assert "batch_size" in caught.value.fix


@pytest.mark.parametrize("recipe", ["tflite-fp32"])
def test_memory_that_does_not_suffice_for_more_samples_at_a_time(
    session: Session, digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(session._batches, "_stored", exhausted)  # type: ignore[attr-defined]
    with pytest.raises(TargetError, match="memory does not suffice"):
        session.predict(np.resize(digits.evaluation, (1000, 8, 8, 1)))


def test_work_in_order() -> None:
    crew = Crew(3)
    assert crew.in_order([], str, 4) == []
    assert crew.in_order(range(100), str, 4) == [str(i) for i in range(100)]

    def fail(i: int) -> Any:
        time.sleep(0.001 * (i % 3))
        if i >= 40:
            raise InputError(f"task {i}")
        return i

    with pytest.raises(InputError, match="task 40"):
        crew.in_order(range(1000), fail, 4)
    assert crew.in_order(range(9), str, 4) == [str(i) for i in range(9)]


def test_work_of_many_callers_at_once() -> None:
    """None waits for a helper that another has, also when the crew ends meanwhile."""
    crew = Crew(1)
    wrong: list[int] = []

    def call(caller: int) -> None:
        wanted = [str(i) for i in range(caller, caller + 9)]
        wrong.extend(caller for _ in range(200) if crew.in_order(range(caller, caller + 9), str, 2) != wanted)

    threads = [threading.Thread(target=call, args=(caller,)) for caller in range(8)]
    for thread in threads:
        thread.start()
    crew.close()
    for thread in threads:
        thread.join(timeout=60)
        assert not thread.is_alive()
    assert not wrong


@pytest.mark.parametrize("ends", ["closed", "dropped"])
def test_helpers_end_with_their_session(net_package: edgeml.Package, digits: Digits, ends: str) -> None:
    before = set(threading.enumerate())
    session = net_package.session("tflite-fp32", threads=3)
    x = np.resize(digits.evaluation, (20_000, *digits.evaluation.shape[1:]))
    session.predict(x)
    helpers = set(threading.enumerate()) - before
    assert len(helpers) == 2
    if ends == "closed":
        session.close()
    else:
        del session
        gc.collect()
    for helper in helpers:
        helper.join(timeout=10)
        assert not helper.is_alive()


@pytest.mark.parametrize("started", [0, 1])
def test_work_where_the_system_gives_no_more_threads(monkeypatch: pytest.MonkeyPatch, started: int) -> None:
    start, left = threading.Thread.start, [None] * started

    def stingy(thread: threading.Thread) -> None:
        if not left:
            raise RuntimeError("can't start new thread")
        left.pop()
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", stingy)
    crew = Crew(3)
    for _ in range(2):
        assert crew.in_order(range(9), str, 4) == [str(i) for i in range(9)]


def test_an_interrupt_goes_before_what_else_failed() -> None:
    """Also where a sample before it is bad."""
    main, helper_begun, interrupted = threading.current_thread(), threading.Event(), threading.Event()

    def work(_: int) -> None:
        if threading.current_thread() is not main:
            helper_begun.set()
            assert interrupted.wait(10)
            raise InputError("bad")
        if helper_begun.is_set():
            interrupted.set()
            raise KeyboardInterrupt
        assert helper_begun.wait(10)

    with pytest.raises(KeyboardInterrupt):
        Crew(1).in_order(range(9), work, 2)


@pytest.fixture
def no_cycles_found() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("no_cycles_found")
def test_work_that_failed_holds_nothing() -> None:
    class Samples:
        pass

    samples = Samples()
    gone = weakref.ref(samples)
    with pytest.raises(InputError) as caught:
        Crew(1).in_order([samples] * 3, _refuse, 2)
    del samples, caught
    assert gone() is None


def _refuse(_: object) -> None:
    time.sleep(0.01)
    raise InputError("bad")


@pytest.mark.usefixtures("no_cycles_found")
@EACH
@pytest.mark.parametrize("count", [1, 300])
def test_a_session_goes_with_its_last_user(
    net_package: edgeml.Package, digits: Digits, recipe: str, count: int
) -> None:
    session = net_package.session(recipe)
    session.predict(digits.evaluation[:count])
    gone = weakref.ref(session)
    del session
    end = time.monotonic() + 10
    while gone() is not None and time.monotonic() < end:  # a helper may be letting go of its last task
        time.sleep(0.001)
    assert gone() is None


@pytest.mark.usefixtures("no_cycles_found")
@pytest.mark.parametrize("recipe", ["onnx-fp32"])
@pytest.mark.parametrize("count", [1, 300])
def test_closing_lets_go_of_the_engine_at_once(session: Session, digits: Digits, count: int) -> None:
    session.predict(digits.evaluation[:count])
    engine = weakref.ref(session._session)  # type: ignore[attr-defined]
    session.close()
    end = time.monotonic() + 10
    while engine() is not None and time.monotonic() < end:
        time.sleep(0.001)
    assert engine() is None


def test_work_in_a_fork() -> None:
    """A fork has none of its parent's helpers, and takes others."""
    crew = Crew(1)
    crew.in_order(range(9), lambda _: time.sleep(0.001), 2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: a fork of several threads may hang
        child = os.fork()
    if not child:
        workers = set()

        def work(_: int) -> None:
            workers.add(threading.get_ident())
            time.sleep(0.01)

        try:
            crew.in_order(range(9), work, 2)
        finally:
            os._exit(len(workers))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2


@EACH
def test_a_stream_whose_items_share_one_memory(session: Session, digits: Digits) -> None:
    """As a camera's loop gives them, which reads every frame into the same array."""
    x = digits.evaluation[:50]

    def frames() -> Iterator[np.ndarray]:
        frame = np.empty(x.shape[1:], np.float32)
        for row in x:
            frame[...] = row
            yield frame

    wanted = arrays(session.predict(x))
    np.testing.assert_allclose(np.stack([*map(arrays, session.stream(frames()))]), wanted, atol=1e-5)
    np.testing.assert_allclose(arrays(session.predict(frames())), wanted, atol=1e-5)


@pytest.mark.parametrize("recipe", ["tflite-int8", "onnx-fp32"])
def test_a_stream_of_lists(session: Session, digits: Digits) -> None:
    x = digits.evaluation[:3]
    np.testing.assert_array_equal([*map(arrays, session.stream(x.tolist()))], session.predict(x))
    with pytest.raises(InputError, match="is no regular array"):
        list(session.stream([[[[0.0]] * 8, [[0.0]] * 7]]))


@pytest.mark.parametrize("recipe", ["tflite-int8", "onnx-fp32"])
def test_an_empty_stream_after_closing(session: Session) -> None:
    session.close()
    for use in (lambda: session.predict(iter([])), lambda: list(session.stream([]))):
        with pytest.raises(TargetError, match="The session is closed"):
            use()


@pytest.mark.parametrize("recipe", ["onnx-fp32", "onnx-int8"])
def test_the_hot_loop_with_several_samples(session: Session, digits: Digits) -> None:
    hot = session.bind(4)
    hot.inputs["image"][...] = digits.evaluation[:4]
    hot.run()
    np.testing.assert_array_equal(hot.outputs["scores"], session.predict(digits.evaluation[:4], batch_size=4))
    with pytest.raises(InputError, match="batch is 0, expected at least 1"):
        session.bind(0)


@pytest.mark.parametrize("recipe", ["tflite-int8", "onnx-fp32"])
def test_binding_while_another_thread_closes(net_package: edgeml.Package, recipe: str) -> None:
    for pause in range(20):
        session = net_package.session(recipe)
        bound: list[HotLoop] = []
        failures: list[Exception] = []

        def bind(
            session: Session = session, bound: list[HotLoop] = bound, failures: list[Exception] = failures
        ) -> None:
            try:
                while True:
                    bound.append(session.bind())
            except Exception as error:  # noqa: BLE001 - told to the test's thread
                failures.append(error)

        thread = threading.Thread(target=bind)
        thread.start()
        time.sleep(pause / 5000)
        session.close()
        thread.join(timeout=10)
        (failure,) = failures
        assert isinstance(failure, TargetError)
        assert "closed" in failure.message
        for hot in bound:
            with pytest.raises(TargetError, match="closed"):
                hot.run()
