"""Threads that help callers with many tasks."""

from __future__ import annotations

import gc
import os
import signal
import threading
import warnings
import weakref
from typing import Any

import numpy as np
import pytest

import edgeml
from edgeml.core.errors import InputError
from edgeml.demo.digits import Digits
from edgeml.runtimes.session.threads import WorkerThreads
from tests.support.processes import eventually


def test_work_in_order() -> None:
    workers = WorkerThreads(3)
    assert workers.map_ordered([], str, 4) == []
    assert workers.map_ordered(range(100), str, 4) == [str(i) for i in range(100)]
    begun: list[int] = []
    later_failed = threading.Event()

    def fail(i: int) -> Any:
        begun.append(i)
        if i == 40:
            assert later_failed.wait(10)
        if i > 40:
            later_failed.set()
        if i >= 40:
            raise InputError(f"task {i}")
        return i

    with pytest.raises(InputError, match="task 40"):
        workers.map_ordered(range(1000), fail, 4)
    assert max(begun) < 40 + 4  # of each thread one task failed, at most
    assert workers.map_ordered(range(9), str, 4) == [str(i) for i in range(9)]


def test_work_of_many_callers_at_once() -> None:
    """None waits for a helper that another has, also when the crew ends meanwhile."""
    workers = WorkerThreads(1)
    wrong: list[int] = []

    def call(caller: int) -> None:
        wanted = [str(i) for i in range(caller, caller + 9)]
        wrong.extend(caller for _ in range(200) if workers.map_ordered(range(caller, caller + 9), str, 2) != wanted)

    threads = [threading.Thread(target=call, args=(caller,)) for caller in range(8)]
    for thread in threads:
        thread.start()
    workers.close()
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
    workers = WorkerThreads(3)
    for _ in range(2):
        assert workers.map_ordered(range(9), str, 4) == [str(i) for i in range(9)]


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
        WorkerThreads(1).map_ordered(range(9), work, 2)


@pytest.mark.usefixtures("no_cycles_found")
def test_work_that_failed_holds_nothing() -> None:
    class Samples:
        pass

    both = threading.Barrier(2, timeout=10)

    def refuse(_: object) -> None:
        both.wait()
        raise InputError("bad")

    samples = Samples()
    gone = weakref.ref(samples)
    with pytest.raises(InputError) as caught:
        WorkerThreads(1).map_ordered([samples] * 3, refuse, 2)
    del samples, caught
    assert eventually(lambda: gone() is None)  # a helper may be letting go of its last task


def test_work_in_a_fork() -> None:
    """A fork has none of its parent's helpers, and takes others."""
    workers = WorkerThreads(1)
    before = set(threading.enumerate())
    workers.map_ordered(range(9), str, 2)
    assert len(set(threading.enumerate()) - before) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: a fork of several threads may hang
        child = os.fork()
    if not child:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(30)  # ends a child that waits for a helper of its parent
        identifiers = set()
        both = threading.Barrier(2, timeout=10)

        def work(_: int) -> None:
            identifiers.add(threading.get_ident())
            both.wait()

        try:
            workers.map_ordered(range(2), work, 2)
        finally:
            os._exit(len(identifiers))
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
