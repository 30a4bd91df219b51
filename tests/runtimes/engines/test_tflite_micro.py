"""Sessions on TFLite Micro, whose interpreter runs in a child process that may end at any time."""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import pytest

import edgeml
from edgeml.core.errors import TargetError
from edgeml.core.session import Session
from edgeml.demo.digits import Digits
from edgeml.runtimes.engines import tflite_micro
from tests.support.failing_micro import FAILURE, MicroInterpreter

pytest.importorskip("tflite_micro", reason="TFLite Micro is not installed")


@pytest.fixture
def expected(net_package: edgeml.Package, digits: Digits) -> np.ndarray:
    """The outputs for three samples, of a session that does nothing else."""
    with net_package.session("tflite-int8", target="micro") as session:
        return np.asarray(session.predict(digits.evaluation[:3]))


def test_a_session_predicts_after_small_arenas_have_aborted_the_child(
    net_package: edgeml.Package, digits: Digits, expected: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    with net_package.session("tflite-int8", target="micro") as session:
        arena_bytes = session.arena_bytes
    monkeypatch.setenv(FAILURE, "fits abort")
    monkeypatch.setattr(tflite_micro, "MicroInterpreter", MicroInterpreter)
    with net_package.session("tflite-int8", target="micro") as session:
        assert session.arena_bytes == arena_bytes
        np.testing.assert_array_equal(session.predict(digits.evaluation[:3]), expected)


@pytest.mark.slow
@pytest.mark.usefixtures("cold_children")
def test_a_session_predicts_after_the_thread_that_opened_it_has_ended(
    net_package: edgeml.Package, digits: Digits, expected: np.ndarray
) -> None:
    sessions: list[Session] = []
    thread = threading.Thread(target=lambda: sessions.append(net_package.session("tflite-int8", target="micro")))
    thread.start()
    thread.join()
    time.sleep(0.5)  # the child ends with the thread
    with sessions[0] as session:
        np.testing.assert_array_equal(session.predict(digits.evaluation[:3]), expected)


def test_an_exception_in_the_child_is_a_target_error(
    net_package: edgeml.Package, digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tflite_micro, "MicroInterpreter", MicroInterpreter)
    monkeypatch.setenv(FAILURE, "invoke raise")
    with (
        net_package.session("tflite-int8", target="micro") as session,
        pytest.raises(TargetError, match=r"TFLite Micro .* fails with the artifact: IndexError: list index"),
    ):
        session.predict(digits.evaluation[:3])
    monkeypatch.setenv(FAILURE, "fits raise")
    with (
        net_package.session("tflite-int8", target="micro") as session,
        pytest.raises(TargetError, match=r"TFLite Micro .* fails with the artifact: IndexError: list index"),
    ):
        _ = session.arena_bytes


@pytest.mark.slow
def test_closing_while_threads_predict_ends_the_child_for_good(net_package: edgeml.Package, digits: Digits) -> None:
    x = np.repeat(digits.evaluation[:3], 1000, axis=0)
    started = threading.Barrier(4)

    def predict(session: Session, failures: list[str]) -> None:
        started.wait()
        try:
            session.predict(x)
        except TargetError as error:
            failures.append(error.message)
        except BaseException as error:  # noqa: BLE001  # compared in the test's thread
            failures.append(repr(error))

    for _ in range(8):
        session = net_package.session("tflite-int8", target="micro")
        failures: list[str] = []
        threads = [threading.Thread(target=predict, args=(session, failures)) for _ in range(3)]
        for thread in threads:
            thread.start()
        started.wait()
        time.sleep(0.02)
        session.close()
        for thread in threads:
            thread.join(30)
            assert not thread.is_alive()
        assert failures == ["The session is closed."] * 3


def test_a_signal_handler_may_close_a_session_that_predicts(
    net_package: edgeml.Package, digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FAILURE, "invoke hang")
    monkeypatch.setattr(tflite_micro, "MicroInterpreter", MicroInterpreter)
    session = net_package.session("tflite-int8", target="micro")
    previous = signal.signal(signal.SIGUSR1, lambda *_: session.close())
    try:
        threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGUSR1)).start()
        with pytest.raises(TargetError, match="The session is closed"):
            session.predict(digits.evaluation[:1])
    finally:
        signal.signal(signal.SIGUSR1, previous)
