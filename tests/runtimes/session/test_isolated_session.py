"""Sessions whose engine runs in a child process: the same answers, and no harm."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import edgeml
from edgeml.core.errors import EdgemlError, InputError, IsolationError, TargetError
from edgeml.core.isolation import Isolation
from edgeml.core.session import Session
from edgeml.core.system.limits import Limits
from edgeml.demo.digits import Digits
from tests.support.hostile_engine import (
    CRASH,
    EXIT,
    GROW,
    LOOP,
    PID,
    PRINT,
    SLEEP,
    LoopsToOpen,
    hostile,
    sample,
)
from tests.support.processes import MARKER, alive, eventually, marked, repository
from tests.support.sessions import ALL, EACH, array_of, resident_mb


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return tmp_path


@pytest.fixture
def marker(cold_children: None, monkeypatch: pytest.MonkeyPatch) -> str:
    """The marker of the children of this process from now on."""
    value = uuid.uuid4().hex
    monkeypatch.setenv(MARKER, value)
    return value


@pytest.fixture(scope="module")
def pair(net_package: edgeml.Package) -> Iterator[Callable[[str], tuple[Session, Session]]]:
    """Sessions of a recipe in this process and in another. Not to be closed."""
    pairs: dict[str, tuple[Session, Session]] = {}

    def opened(recipe: str) -> tuple[Session, Session]:
        if recipe not in pairs:
            pairs[recipe] = net_package.session(recipe), net_package.session(recipe, isolated=True)
        return pairs[recipe]

    yield opened
    for sessions in pairs.values():
        for session in sessions:
            session.close()


def pid_of(session: Session) -> int:
    return int(array_of(session.predict(sample(PID)))[0, 0])


def answer(call: Callable[[], Any]) -> tuple[str, str, str] | Any:
    """What a call gives: its result, or its error."""
    try:
        return call()
    except EdgemlError as error:
        return type(error).__name__, error.message, error.fix


def equal(first: Any, second: Any) -> None:
    assert type(first) is type(second)
    if isinstance(first, dict):
        assert list(first) == list(second)
        for name, value in first.items():
            equal(value, second[name])
    elif isinstance(first, tuple | list):
        assert len(first) == len(second)
        for one, other in zip(first, second, strict=True):
            equal(one, other)
    elif isinstance(first, np.ndarray):
        assert first.dtype == second.dtype
        np.testing.assert_array_equal(first, second)
    else:
        assert first == second


CALLS: dict[str, Callable[[Session, np.ndarray], Any]] = {
    "predict": lambda s, x: s.predict(x),
    "predict one": lambda s, x: s.predict(x[:1]),
    "predict none": lambda s, x: s.predict(x[:0]),
    "predict an iterator": lambda s, x: s.predict(iter(x)),
    "predict float64": lambda s, x: s.predict(x.astype(np.float64)),
    "run": lambda s, x: s.run({"image": x}),
    "run in batches": lambda s, x: s.run({"image": x}, batch_size=7),
    "run_raw": lambda s, x: s.run_raw({"image": x}),
    "classify": lambda s, x: s.classify(x, scores=True),
    "top": lambda s, x: s.top(x, 3),
    "stream": lambda s, x: list(s.stream(x[:20])),
    "stream batches": lambda s, x: list(s.stream([x[:3], x[3:50]], max_delay_ms=None)),
    "prepare": lambda s, x: s.prepare(x),
    "placement": lambda s, x: s.placement,
    "arena_bytes": lambda s, x: s.arena_bytes,
    "repr": lambda s, x: repr(s),
    "labels": lambda s, x: (s.labels, s.engine, s.engine_version, s.family, s.target),
    "another shape": lambda s, x: s.predict(x[..., 0]),
    "a value that is no number": lambda s, x: s.predict(np.where(np.arange(x.size).reshape(x.shape) == 900, np.nan, x)),
    "text": lambda s, x: s.predict("photo.jpg"),
    "a batch size of 0": lambda s, x: s.predict(x, batch_size=0),
    "no samples of integers": lambda s, x: s.run_quantized({"image": x}),
}


@EACH
@pytest.mark.parametrize("call", CALLS)
def test_answers_and_errors_are_those_of_this_process(
    pair: Callable[[str], tuple[Session, Session]], digits: Digits, recipe: str, call: str
) -> None:
    here, isolated = pair(recipe)
    equal(*(answer(partial(CALLS[call], session, digits.evaluation)) for session in (here, isolated)))


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ALL)
def test_every_recipe_answers_as_in_this_process(net_package: edgeml.Package, digits: Digits, recipe: str) -> None:
    x = np.concatenate([digits.evaluation] * 4)
    with net_package.session(recipe) as here, net_package.session(recipe, isolated=True) as isolated:
        np.testing.assert_array_equal(isolated.predict(x), here.predict(x))
        done: list[int] = []
        np.testing.assert_array_equal(isolated.predict(x, progress=done.append), here.predict(x))
        assert done == sorted(done)
        assert done[-1] == len(x)


def test_integers_go_in_and_out(pair: Callable[[str], tuple[Session, Session]]) -> None:
    x = np.random.default_rng(0).integers(-128, 128, (5, 8, 8, 1)).astype(np.int8)
    equal(*(session.run_quantized({"image": x}) for session in pair("tflite-int8")))


@pytest.mark.slow
def test_text_goes_in(tmp_path: Path) -> None:
    from sklearn.compose import make_column_transformer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder

    rows = np.array([["red", "round"], ["blue", "round"], ["red", "long"], ["blue", "long"]] * 5, dtype=object)
    model = make_pipeline(make_column_transformer((OneHotEncoder(), [0, 1])), LogisticRegression())
    package = edgeml.build(model.fit(rows, ["yes", "no"] * 10), calibration=rows, recipes="onnx-fp32")
    with package.session("onnx-fp32") as here, package.session("onnx-fp32", isolated=True) as isolated:
        data = {spec.name: rows[:, [i]].astype(str) for i, spec in enumerate(here.signature.inputs)}
        equal(isolated.run(data), here.run(data))
        equal(isolated.classify(data), here.classify(data))


def test_a_microcontroller_is_isolated_too(net_package: edgeml.Package, digits: Digits) -> None:
    pytest.importorskip("tflite_micro", reason="TFLite Micro is not installed")
    with (
        net_package.session("tflite-int8", target="micro") as here,
        net_package.session("tflite-int8", target="micro", isolated=True) as isolated,
    ):
        assert isolated.arena_bytes == here.arena_bytes
        equal(isolated.run_raw({"image": digits.evaluation[:5]}), here.run_raw({"image": digits.evaluation[:5]}))


def test_load_isolates_what_it_chooses(net_package_file: Path, digits: Digits) -> None:
    with edgeml.load(net_package_file, isolated=True, memory_mb=500, timeout_s=20) as isolated:
        assert isolated.reason
        with edgeml.load(net_package_file) as here:
            np.testing.assert_array_equal(isolated.classify(digits.evaluation), here.classify(digits.evaluation))


def test_memory_cannot_be_bound(net_package: edgeml.Package) -> None:
    with (
        net_package.session("tflite-int8", isolated=True) as session,
        pytest.raises(TargetError, match="bind is not supported by isolated sessions"),
    ):
        session.bind()


def test_accelerators_are_not_isolated() -> None:
    with pytest.raises(TargetError, match="isolated=True is not supported on target 'npu'"):
        hostile(target="npu")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"memory_mb": 100}, "memory_mb is an option of isolated=True"),
        ({"timeout_s": 1}, "timeout_s is an option of isolated=True"),
        ({"isolated": True, "memory_mb": 0}, "memory_mb is 0, expected a number above 0"),
        ({"isolated": True, "memory_mb": "1 GB"}, "memory_mb is '1 GB', expected a number"),
        ({"isolated": True, "timeout_s": -1}, "timeout_s is -1, expected a number above 0"),
        ({"isolated": True, "timeout_s": math.nan}, "timeout_s is nan, expected a number above 0"),
        ({"isolated": True, "threads": 0}, "threads is 0, expected a whole number"),
    ],
)
def test_limits_that_limit_nothing_are_refused(net_package: edgeml.Package, options: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        net_package.session("tflite-int8", **options)


def test_an_engine_that_is_not_installed_is_named(
    net_package: edgeml.Package, monkeypatch: pytest.MonkeyPatch, cold_children: None, tmp_path: Path
) -> None:
    """The child does not find it, whatever this process has loaded."""
    (tmp_path / "onnxruntime").mkdir()
    (tmp_path / "onnxruntime" / "__init__.py").write_text("raise ModuleNotFoundError('gone', name='onnxruntime')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(edgeml.MissingDependencyError, match="onnx"):
        net_package.session("onnx-fp32", isolated=True)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (sample(CRASH), r"ends the engine that runs it, numpy: The child process died of SIGSEGV"),
        (sample(EXIT), r"ends the engine that runs it, numpy: The child process ended with status 3"),
        (sample(GROW, 500), r"needs more memory than its limit of 64 MB"),
        (sample(LOOP), r"numpy does not finish the artifact within the time limit: .* within 1 s"),
    ],
)
def test_the_app_survives_a_hostile_artifact(folder: Path, value: np.ndarray, words: str) -> None:
    with hostile(timeout_s=1) as session:
        for _ in range(2):
            with pytest.raises(IsolationError, match=words) as caught:
                session.predict(value)
            assert caught.value.fix
            np.testing.assert_array_equal(session.predict(sample(1, 2)), sample(2, 4))  # by another child
    assert not list(folder.iterdir())


def test_a_limit_can_be_lifted() -> None:
    with hostile(memory_mb=math.inf, timeout_s=math.inf) as session:
        np.testing.assert_array_equal(session.predict(sample(GROW, 200)), 2 * sample(GROW, 200))


def test_an_artifact_that_never_opens_is_given_up(folder: Path) -> None:
    with pytest.raises(IsolationError, match="within the time limit"):
        hostile(LoopsToOpen, timeout_s=1)
    assert not list(folder.iterdir())


def test_many_slow_samples_are_not_too_slow() -> None:
    """The time limit is of one call of the engine."""
    with hostile(timeout_s=1, threads=1) as session:
        x = np.concatenate([sample(SLEEP, 0.15)] * 12)
        np.testing.assert_array_equal(session.predict(x), 2 * x)


def test_what_an_engine_prints_does_not_fill_the_disk(folder: Path) -> None:
    with hostile() as session:
        for _ in range(5):
            session.predict(sample(PRINT, 8))
        assert sum(path.stat().st_size for path in folder.rglob("*.log")) < 40e6


def test_the_child_ends_with_the_session(marker: str, folder: Path) -> None:
    session = hostile()
    pid = pid_of(session)
    assert marked(marker) == [pid]
    session.close()
    session.close()
    assert not alive(pid)
    assert not list(folder.iterdir())
    for call in (lambda: session.predict(sample(1)), lambda: session.placement, lambda: session.arena_bytes):
        with pytest.raises(TargetError, match="closed"):
            call()


def test_the_child_ends_with_a_session_that_is_forgotten(marker: str, folder: Path, no_cycles_found: None) -> None:
    pid = pid_of(hostile())
    assert not alive(pid)
    assert not list(folder.iterdir())


def test_the_child_ends_with_its_program(folder: Path) -> None:
    marker = uuid.uuid4().hex
    code = """
import sys
from tests.support.hostile_engine import hostile, sample
session = hostile(timeout_s=600)
print(session.predict(sample(1)), flush=True)
session.predict(sample(float(sys.argv[1]), 600))
"""
    for action in (LOOP, SLEEP):
        with subprocess.Popen(
            [sys.executable, "-c", code, str(action)],
            env=os.environ | {MARKER: marker, "PYTHONPATH": str(repository())},
            stdout=subprocess.PIPE,
        ) as program:
            assert program.stdout is not None
            program.stdout.readline()
            assert len(marked(marker)) == 2
            program.kill()
            program.wait()
            assert eventually(lambda: not marked(marker))


def test_another_thread_may_have_opened_the_session(marker: str) -> None:
    """The kernel ends the child with the thread that started it."""
    sessions: list[Session] = []
    thread = threading.Thread(target=lambda: sessions.append(hostile()))
    thread.start()
    thread.join()
    assert eventually(lambda: not marked(marker))
    np.testing.assert_array_equal(sessions[0].predict(sample(3)), sample(6))
    sessions[0].close()


def test_a_child_that_the_system_kills_is_started_again(marker: str) -> None:
    with hostile() as session:
        os.kill(pid_of(session), signal.SIGKILL)
        np.testing.assert_array_equal(session.predict(sample(3)), sample(6))


def test_threads_take_turns() -> None:
    with hostile() as session:
        results: dict[int, np.ndarray] = {}

        def work(i: int) -> None:
            results[i] = np.concatenate([array_of(session.predict(sample(i, j))) for j in range(20)])

        threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for i in range(4):
            np.testing.assert_array_equal(results[i], np.concatenate([2 * sample(i, j) for j in range(20)]))


def test_a_fork_has_a_child_of_its_own(marker: str, folder: Path) -> None:
    session = hostile()
    pid = pid_of(session)
    fork = os.fork()
    if fork == 0:
        signal.alarm(20)  # ends a fork that waits for ever
        code = 1
        try:
            code = 0 if pid_of(session) != pid and array_of(session.predict(sample(2)))[0, 0] == 4 else 2
            session.close()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1]) == 0
    assert pid_of(session) == pid
    session.close()
    assert eventually(lambda: not marked(marker))
    assert not list(folder.iterdir())


def test_a_signal_handler_may_close_the_session_that_it_interrupts(folder: Path) -> None:
    session = hostile()
    before = signal.signal(signal.SIGALRM, lambda *_: session.close())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        with pytest.raises(TargetError, match="closed"):
            session.predict(sample(SLEEP, 5))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert not list(folder.iterdir())


def test_an_interrupted_call_is_forgotten() -> None:
    with hostile() as session:
        threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            session.predict(sample(SLEEP, 5))
        np.testing.assert_array_equal(session.predict(sample(3)), sample(6))


def test_sessions_share_a_child_in_turn(net_package: edgeml.Package, digits: Digits, folder: Path) -> None:
    x = digits.evaluation[:5]
    with (
        Isolation(Limits()) as isolation,
        net_package.session("tflite-int8", isolated=isolation) as first,
        net_package.session("onnx-fp32", isolated=isolation) as second,
    ):
        for _ in range(2):
            for session, recipe in ((first, "tflite-int8"), (second, "onnx-fp32")):
                np.testing.assert_array_equal(session.predict(x), net_package.session(recipe).predict(x))
        assert len(list(folder.iterdir())) == 1
    assert not list(folder.iterdir())


@pytest.mark.slow
def test_this_process_does_not_grow(net_package: edgeml.Package, digits: Digits) -> None:
    with net_package.session("tflite-int8", isolated=True) as session:
        for _ in range(50):
            session.predict(digits.evaluation)
        before = resident_mb()
        for _ in range(300):
            session.predict(digits.evaluation)
        assert resident_mb() < before + 5
