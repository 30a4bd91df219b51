from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from edgeml.core import errors
from edgeml.core.decisions import Decision
from edgeml.core.errors import ConversionError, InputError, MissingDependencyError, ResourceError
from edgeml.core.system.worker import Worker, WorkerCrash, WorkerKilled, WorkerTimeout
from tests.support.held import HeldSettings
from tests.support.hints import install_hint
from tests.support.processes import MARKER, alive, eventually, marked, repository

HELD = "tests.support.held:Held"


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    with Worker(HELD, HeldSettings(100), tmp_path) as worker:
        yield worker


def test_the_object_lives_from_call_to_call_in_another_process(worker: Worker) -> None:
    assert worker.call("add", 1, returns=int) == 101
    assert worker.call("add", 1, returns=int) == 102
    pid = worker.call("pid", returns=int)
    assert pid != os.getpid()
    worker.close()
    assert not alive(pid)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype=np.int8).reshape(2, 3),
        np.array([[1.5, np.nan, -np.inf]], np.float16),
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.arange(10)[::-2],
        np.array([True, False]),
        np.array(["ä", "longer"]),
        np.array(["text", "of objects"], dtype=object),
        np.zeros((0, 5), np.float32),
        np.array(3.0),
    ],
    ids=lambda array: f"{array.dtype}-{array.shape}",
)
def test_arrays_cross_as_they_are(worker: Worker, array: np.ndarray) -> None:
    found = worker.call("echo", array, returns=np.ndarray)
    expected = array.astype(str) if array.dtype == object else array
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
    found[...] = found  # may be written to


@pytest.mark.slow
def test_big_arrays_cross(worker: Worker) -> None:
    array = np.random.default_rng(0).integers(0, 255, (30, 1 << 20), np.uint8)
    np.testing.assert_array_equal(worker.call("echo", array, returns=np.ndarray), array)


def test_structs_paths_and_nothing_cross(worker: Worker) -> None:
    decision = Decision((1, "a", 2.5, True), 0.5)
    assert worker.call("decision", decision, returns=Decision) == decision
    assert worker.call("nothing", returns=type(None)) is None


def test_what_cannot_cross_is_an_error_and_not_a_pickle(worker: Worker) -> None:
    with pytest.raises(TypeError, match="cannot cross to a worker"):
        worker.call("echo", object(), returns=object)
    with pytest.raises(ConversionError, match="cannot cross to a worker"):
        worker.call("opaque", returns=object)
    assert worker.call("add", 1, returns=int) > 100


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name != "MissingDependencyError"])
def test_errors_of_ours_cross_with_type_message_and_fix(worker: Worker, name: str) -> None:
    with pytest.raises(errors.EdgemlError) as caught:
        worker.call("raise_ours", name, returns=type(None))
    assert type(caught.value) is getattr(errors, name)
    assert (caught.value.message, caught.value.fix) == ("What went wrong.", "do that.")
    assert worker.call("add", 1, returns=int) == 101  # the same child


def test_a_missing_extra_crosses(worker: Worker) -> None:
    with pytest.raises(MissingDependencyError) as caught:
        worker.call("raise_missing", returns=type(None))
    assert (caught.value.what, caught.value.extra) == ("This step", "keras")


@pytest.mark.parametrize(("module", "extra"), [("skl2onnx", "sklearn"), ("tensorflow.lite", "keras")])
def test_a_module_that_is_not_there_is_a_missing_extra(worker: Worker, module: str, extra: str) -> None:
    with pytest.raises(MissingDependencyError, match=re.escape(install_hint(extra))):
        worker.call("import_module", module, returns=type(None))


def test_a_module_of_no_extra_is_a_failure(worker: Worker) -> None:
    with pytest.raises(ConversionError, match="ModuleNotFoundError: No module named 'elsewhere'"):
        worker.call("import_module", "elsewhere", returns=type(None))


def test_other_errors_become_conversion_errors_with_their_trace(worker: Worker) -> None:
    with pytest.raises(ConversionError) as caught:
        worker.call("raise_value_error", "not so", returns=type(None))
    assert type(caught.value) is ConversionError
    assert caught.value.message == "ValueError: not so"
    assert "in raise_value_error" in caught.value.log
    with pytest.raises(ConversionError, match="ValueError: no message"):
        worker.call("raise_value_error", "", returns=type(None))


def test_an_error_in_making_the_object_crosses_at_each_call(tmp_path: Path) -> None:
    with Worker(HELD, HeldSettings(fail=True), tmp_path) as worker:
        for _ in range(2):
            with pytest.raises(InputError, match="It cannot be made"):
                worker.call("add", 1, returns=int)


def test_prints_are_shown_on_failure_alone(worker: Worker, capfd: pytest.CaptureFixture[str]) -> None:
    worker.call("print_all_ways", "early", returns=type(None))
    with pytest.raises(ConversionError) as caught:
        worker.call("say_and_raise", "late", returns=type(None))
    with pytest.raises(WorkerCrash) as crashed:
        worker.call("say_and_abort", "last", returns=type(None))
    assert capfd.readouterr() == ("", "")
    for way in ("by print", "by descriptor 1", "by descriptor 2", "by libc"):
        assert f"late {way}" in caught.value.log
        if way != "by print":  # what Python has buffered dies with it
            assert f"last {way}" in crashed.value.log
    assert "early" not in caught.value.log
    assert "late" not in crashed.value.log


def test_prints_do_not_reach_the_answers(worker: Worker) -> None:
    assert worker.call("flood", 200, returns=int) == 200  # 13 MB
    assert worker.call("add", 1, returns=int) == 101


def test_the_child_reads_nothing_of_the_callers_input(worker: Worker) -> None:
    assert worker.call("read_stdin", returns=str, timeout_s=10) == ""


@pytest.mark.parametrize(
    ("method", "arguments", "how"),
    [
        ("say_and_abort", ("x",), "died of SIGABRT"),
        ("read_null", (), "died of SIGSEGV"),
        ("kill", (int(signal.SIGTERM),), "died of SIGTERM"),
        ("leave", (3,), "ended with status 3"),
        ("leave", (0,), "ended with status 0"),
    ],
)
def test_a_crash_is_told_and_the_next_call_works(
    worker: Worker, method: str, arguments: tuple[object, ...], how: str
) -> None:
    first = worker.call("pid", returns=int)
    with pytest.raises(WorkerCrash) as caught:
        worker.call(method, *arguments, returns=type(None))
    assert caught.value.message == f"The child process {how} in '{method}'."
    assert isinstance(caught.value, ConversionError)
    assert worker.call("add", 1, returns=int) == 101  # a new object
    assert worker.call("pid", returns=int) != first
    assert not alive(first)


def test_a_child_that_died_between_two_calls_is_replaced(worker: Worker) -> None:
    pid = worker.call("pid", returns=int)
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: not alive(pid))
    assert worker.call("add", 1, returns=int) == 101


def test_a_child_that_another_kills_has_done_nothing_wrong(worker: Worker) -> None:
    with pytest.raises(WorkerKilled, match=r"died of SIGKILL in 'kill'\. Another process killed it") as caught:
        worker.call("kill", int(signal.SIGKILL), returns=type(None))
    assert isinstance(caught.value, ResourceError)
    assert worker.call("add", 1, returns=int) == 101


def test_a_child_that_runs_out_of_memory_is_told(worker: Worker) -> None:
    with pytest.raises(ResourceError, match="ran out of memory"):
        worker.call("fill_memory", 1 << 28, returns=type(None))
    assert worker.call("add", 1, returns=int) > 100


@pytest.mark.slow
def test_a_call_that_takes_too_long_is_given_up(worker: Worker) -> None:
    pid = worker.call("pid", returns=int)
    begin = time.monotonic()
    with pytest.raises(WorkerTimeout, match=r"gave no answer within 0\.5 s in 'sleep'"):
        worker.call("sleep", 60.0, returns=type(None), timeout_s=0.5)
    assert time.monotonic() - begin < 5
    assert not alive(pid)
    assert worker.call("add", 1, returns=int, timeout_s=30) == 101


def test_a_call_may_take_longer_than_the_watch_over_the_child(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeml.core.system.worker._POLL_S", 0.1)
    worker.call("sleep", 0.25, returns=type(None))
    worker.call("sleep", 0.15, returns=type(None), timeout_s=30)


@pytest.mark.slow
def test_what_the_child_had_started_neither_blocks_nor_survives(worker: Worker, tmp_path: Path) -> None:
    begin = time.monotonic()
    with pytest.raises(WorkerCrash, match="SIGABRT"):
        worker.call("start_sleeper_and_abort", tmp_path / "pid", returns=type(None))
    assert time.monotonic() - begin < 10
    sleeper = int((tmp_path / "pid").read_text())
    assert eventually(lambda: not alive(sleeper))
    sleeper = worker.call("start_sleeper", returns=int)
    assert alive(sleeper)
    worker.close()
    assert eventually(lambda: not alive(sleeper))


def test_ctrl_c_in_a_call_ends_the_child(worker: Worker) -> None:
    pid = worker.call("pid", returns=int)
    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        worker.call("sleep", 60.0, returns=type(None))
    assert not alive(pid)
    assert worker.call("add", 1, returns=int) == 101


def test_ctrl_c_in_a_terminal_does_not_reach_the_child(worker: Worker) -> None:
    pid = worker.call("pid", returns=int)
    assert os.getpgid(pid) != os.getpgid(0)
    os.kill(pid, signal.SIGINT)
    assert worker.call("add", 1, returns=int) == 101
    assert worker.call("pid", returns=int) == pid


def test_the_child_ends_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    marker = uuid.uuid4().hex
    code = f"""
from pathlib import Path
from edgeml.core.system.worker import Worker
from tests.support.held import HeldSettings
worker = Worker({HELD!r}, HeldSettings(), Path({str(tmp_path)!r}))
print(worker.call("pid", returns=int), flush=True)
worker.call("sleep", 600.0, returns=type(None))
"""
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {MARKER: marker, "PYTHONPATH": str(repository())},
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert set(marked(marker)) == {parent.pid, pid}
        parent.kill()
        parent.wait()
        assert eventually(lambda: not marked(marker))


def test_two_workers_answer_at_once(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    with (
        Worker(HELD, HeldSettings(1), tmp_path / "first") as first,
        Worker(HELD, HeldSettings(2), tmp_path / "second") as second,
    ):
        assert first.call("add", 0, returns=int) == 1
        assert second.call("add", 0, returns=int) == 2
        threads = [
            threading.Thread(target=lambda w=worker: [w.call("add", 10, returns=int) for _ in range(50)])
            for worker in (first, second)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert first.call("add", 0, returns=int) == 501
        assert second.call("add", 0, returns=int) == 502
        assert first.call("pid", returns=int) != second.call("pid", returns=int)
        second.close()
        assert first.call("add", 1, returns=int) == 502


def test_temporary_files_of_the_child_lie_in_its_folder(worker: Worker, tmp_path: Path) -> None:
    assert worker.call("temporary", returns=Path).parent == tmp_path


def test_no_descriptor_is_lost(worker: Worker) -> None:
    def count() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    worker.call("add", 1, returns=int)
    worker.close()
    before = count()
    for _ in range(3):
        with pytest.raises(WorkerCrash):
            worker.call("leave", 1, returns=type(None))
    assert count() == before


def test_a_child_that_does_not_start_loses_no_descriptor(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_more(*_: object) -> None:
        raise BlockingIOError("no more processes")

    monkeypatch.setattr("edgeml.core.system.worker.start_child", no_more)
    before = sorted(Path("/proc/self/fd").iterdir())
    with pytest.raises(ResourceError, match="cannot be started: no more processes"):
        worker.call("add", 1, returns=int)
    assert sorted(Path("/proc/self/fd").iterdir()) == before


def test_more_than_1024_open_files_do_not_matter(worker: Worker) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    try:
        assert worker.call("add", 1, returns=int) == 101
    finally:
        for descriptor in opened:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
