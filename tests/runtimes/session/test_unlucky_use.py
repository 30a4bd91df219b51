"""Sessions under unlucky use: engines that fail or mix samples, forks, signals, and arguments of other types."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import ClassVar

import numpy as np
import pytest

import edgeml
from edgeml.core.artifact import Needs
from edgeml.core.errors import InputError, TargetError
from edgeml.core.session import Session
from edgeml.core.tensors import Signature, TensorSpec
from edgeml.demo.digits import Digits
from edgeml.runtimes import EngineAdapter, EngineInstance, OperatorCount, count_operators
from edgeml.runtimes.session.session import open_session
from tests.support.sessions import array_of

SIGNATURE = Signature((TensorSpec("x", (1, 4), "float32"),), (TensorSpec("y", (1, 4), "float32"),))
FREE = Signature((TensorSpec("x", (None, 4), "float32"),), (TensorSpec("y", (None, 4), "float32"),))
NEEDS = Needs("numpy", "1.24", ())
SLOW = 0.4


class Doubles(EngineAdapter):
    """An engine that doubles four values."""

    name: ClassVar[str] = "numpy"
    family = "numpy"
    targets: ClassVar[tuple[str, ...]] = ("cpu", "npu")
    resizes: ClassVar[bool] = True
    closed: ClassVar[list[object]] = []

    def __init__(self, data: bytes, signature: Signature, *, needs: Needs, target: str, threads: int) -> None:
        pass

    def compute(self, values: np.ndarray) -> np.ndarray:
        return 2 * values

    def instance(self, batch: int | None, threads: int) -> EngineInstance:
        place, output = (np.zeros((batch or 1, 4), np.float32) for _ in range(2))

        def run() -> None:
            output[...] = self.compute(place)

        return EngineInstance([place], [output], run)

    def placement(self) -> tuple[OperatorCount, ...]:
        return count_operators([("Mul", "numpy", True)])

    def close(self) -> None:
        self.closed.append(self)


class MixesSamples(Doubles):
    """Divides by the largest value of the whole batch, which is right for the artifact's batch of 1 alone."""

    def compute(self, values: np.ndarray) -> np.ndarray:
        return values / np.abs(values).max()


class FailsToOpen(Doubles):
    def __init__(self, data: bytes, signature: Signature, *, needs: Needs, target: str, threads: int) -> None:
        raise OSError("the device is gone")


class FailsToPlace(Doubles):
    def placement(self) -> tuple[OperatorCount, ...]:
        raise RuntimeError("no such report")


class FailsToAllocate(Doubles):
    def instance(self, batch: int | None, threads: int) -> EngineInstance:
        raise RuntimeError("the delegate failed to prepare")


class FailsToClose(Doubles):
    def close(self) -> None:
        raise RuntimeError("the driver is stuck")


class IsSlow(Doubles):
    """Needs a while for each batch."""

    def compute(self, values: np.ndarray) -> np.ndarray:
        time.sleep(SLOW)
        return 2 * values


class IsSlowerInBatches(Doubles):
    """Takes the square of the time for twice the samples."""

    sizes: ClassVar[list[int]] = []

    def compute(self, values: np.ndarray) -> np.ndarray:
        self.sizes.append(len(values))
        time.sleep(2e-4 * len(values) ** 2)
        return 2 * values


class IsAlsoLessExactInBatches(IsSlowerInBatches):
    """Differs in the last bits, as engines do that sum in another order."""

    def compute(self, values: np.ndarray) -> np.ndarray:
        return super().compute(values) * np.float32(1 if len(values) == 1 else 1 + 2**-20)


def opened(
    engine: type[EngineAdapter],
    target: str = "cpu",
    *,
    threads: int | None = None,
    signature: Signature = SIGNATURE,
) -> Session:
    return open_session(engine, b"", signature, needs=NEEDS, target=target, threads=threads)


@pytest.mark.parametrize("warm_up", [np.ones, np.zeros])
@pytest.mark.parametrize("count", [2, 8, 64, 600])
def test_samples_that_an_engine_mixes_run_one_by_one(warm_up: Callable[..., np.ndarray], count: int) -> None:
    """The first batches do not show it: their samples are equal."""
    x = np.random.default_rng(0).normal(size=(count, 4)).astype(np.float32) * np.arange(1, count + 1)[:, None]
    x = x.astype(np.float32)
    with opened(MixesSamples) as session:
        for _ in range(12):
            session.predict(np.maximum(warm_up((count, 4), np.float32), 1e-3).astype(np.float32))
        expected = x / np.abs(x).max(axis=1, keepdims=True)
        np.testing.assert_array_equal(session.predict(x), expected)


@pytest.mark.parametrize(("engine", "size"), [(IsSlowerInBatches, 1), (IsAlsoLessExactInBatches, 8)])
def test_batches_that_cost_more_than_their_samples_run_one_by_one(engine: type[IsSlowerInBatches], size: int) -> None:
    x = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    with opened(engine, threads=1, signature=FREE) as session:
        first = session.predict(x)
        for _ in range(4):
            np.testing.assert_array_equal(session.predict(x), first)
        engine.sizes.clear()
        np.testing.assert_array_equal(session.predict(x), first)
    assert engine.sizes == [size] * (8 // size)


def test_an_engine_that_fails_to_open_is_named() -> None:
    with pytest.raises(TargetError, match="numpy failed to open the artifact on target 'npu': OSError: the device"):
        opened(FailsToOpen, "npu")


def test_an_engine_that_fails_to_report_is_closed() -> None:
    Doubles.closed.clear()
    with pytest.raises(TargetError, match="failed to run the artifact: no such report"):
        opened(FailsToPlace, "npu")
    assert len(Doubles.closed) == 1


USES: dict[str, Callable[[Session], object]] = {
    "one sample": lambda session: session.predict(np.zeros((1, 4), np.float32)),
    "two samples": lambda session: session.predict(np.zeros((2, 4), np.float32)),
    "many samples": lambda session: session.predict(np.zeros((300, 4), np.float32)),
    "by name": lambda session: session.run({"x": np.zeros((1, 4), np.float32)}),
    "bind": lambda session: session.bind(),
    "stream": lambda session: list(session.stream(np.zeros((3, 4), np.float32))),
}


@pytest.mark.parametrize("use", USES)
def test_an_engine_that_fails_to_allocate_raises_a_target_error(use: str) -> None:
    with (
        opened(FailsToAllocate) as session,
        pytest.raises(TargetError, match="failed to run the artifact: the delegate failed to prepare"),
    ):
        USES[use](session)


def test_an_engine_that_fails_to_close_raises_a_target_error() -> None:
    session = opened(FailsToClose)
    with pytest.raises(TargetError, match="the driver is stuck"):
        session.close()
    with pytest.raises(TargetError, match="The session is closed"):
        session.predict(np.zeros((1, 4), np.float32))


@pytest.mark.parametrize("max_delay_ms", [float("inf"), 1e308])
def test_a_stream_may_wait_without_a_bound(session: Session, digits: Digits, max_delay_ms: float) -> None:
    x = digits.evaluation[:50]
    outputs = [array_of(output) for output in session.stream(x, max_delay_ms=max_delay_ms)]
    np.testing.assert_allclose(np.stack(outputs), array_of(session.predict(x)), atol=1e-5)


@pytest.fixture
def session(net_package: edgeml.Package) -> Iterator[Session]:
    with net_package.session("tflite-fp32") as opened_session:
        yield opened_session


def test_arguments_of_other_types_are_refused(session: Session) -> None:
    with pytest.raises(InputError, match="expected an iterable of samples or batches, got int"):
        session.stream(5)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="max_delay_ms is '20', expected a number"):
        session.stream([], max_delay_ms="20")  # type: ignore[arg-type]
    for batch in ("x", None, 1.5, True - 1):
        with pytest.raises(InputError, match="expected"):
            session.bind(batch)  # type: ignore[arg-type]


def test_a_signal_handler_may_close_the_session_that_it_interrupts() -> None:
    """The handler runs in the thread that waits for the engine, which may hold a lock of the session."""
    session = opened(IsSlow, threads=1)
    x = np.arange(8, dtype=np.float32).reshape(2, 4)

    def close(*_: object) -> None:
        session.close()

    before = signal.signal(signal.SIGALRM, close)
    try:
        signal.setitimer(signal.ITIMER_REAL, SLOW / 2)
        with pytest.raises(TargetError, match="closed"):
            list(map(session.predict, [x] * 10))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.slow
def test_a_fork_of_a_busy_process_has_executors_of_its_own() -> None:
    """Threads that hold all executors at the time of the fork do not exist in the child."""
    session = opened(IsSlow)
    x = np.ones((1, 4), np.float32)
    ends = threading.Event()

    def work() -> None:
        while not ends.is_set():
            session.predict(x)

    threads = [threading.Thread(target=work) for _ in range(2 + (os.cpu_count() or 1))]
    for thread in threads:
        thread.start()
    time.sleep(SLOW / 2)  # all executors are in use now
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # ends a child that waits for ever
        os._exit(0 if array_of(session.predict(x)).sum() == 8 else 1)
    ends.set()
    for thread in threads:
        thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    session.close()
