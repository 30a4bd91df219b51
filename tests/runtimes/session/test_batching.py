"""Many samples: how they are cut into batches and spread over threads, against the raw engines on the same bytes."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import helper

import edgeml
from edgeml.core.artifact import Needs
from edgeml.core.engine import EngineAdapter, EngineInstance
from edgeml.core.errors import InputError, TargetError
from edgeml.core.placement import OperatorCount
from edgeml.core.session import Session
from edgeml.core.tensors import Signature, TensorSpec
from edgeml.demo.digits import Digits
from edgeml.runtimes.session import session as session_module
from edgeml.runtimes.session.batching import BatchScheduler
from tests.support.onnx_sessions import open_onnx
from tests.support.raw_engines import RawTflite, bytes_of
from tests.support.sessions import ALL, EACH, array_of, scores_of


@pytest.mark.slow
@EACH
@pytest.mark.parametrize("threads", [None, 1, 2, 3])
def test_long_batches_answer_as_single_samples_do(
    net_package: edgeml.Package, digits: Digits, recipe: str, threads: int | None
) -> None:
    x = np.concatenate([digits.evaluation] * 3)[:1501]
    with net_package.session(recipe, threads=1) as alone:
        wanted = np.concatenate([array_of(alone.predict(x[i : i + 1])) for i in range(600)])
    with net_package.session(recipe, threads=threads) as session:
        found = array_of(session.predict(x))
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


@pytest.mark.parametrize("recipe", ["onnx-fp32", "onnx-fp16", "onnx-int8"])
def test_onnx_batches_may_have_any_size(sessions: dict[str, Session], digits: Digits, recipe: str) -> None:
    x, session = digits.evaluation[:33], sessions[recipe]
    wanted = scores_of(session, x)
    for size in (1, 7, 33, 1000):
        np.testing.assert_allclose(scores_of(session, x, batch_size=size), wanted, atol=1e-3)


@pytest.mark.parametrize("size", [0, -1, 2.5])
def test_a_batch_size_below_one(sessions: dict[str, Session], digits: Digits, size: int) -> None:
    with pytest.raises(InputError, match=f"batch_size is {size}, expected a whole number, at least 1"):
        sessions["onnx-fp32"].predict(digits.evaluation[:2], batch_size=size)


@pytest.mark.parametrize("batch_size", [np.int64(3), np.uint8(200)])
def test_counts_of_numpy(batch_size: Any) -> None:
    x = np.random.default_rng(0).random((1000, 4), np.float32)
    with open_onnx([helper.make_node("Identity", ["x"], ["y"])], ("N", 4), ("N", 4)) as session:
        np.testing.assert_array_equal(session.predict(x, batch_size=batch_size), x)
        with pytest.raises(InputError, match="batch_size is '3', expected a whole number"):
            session.predict(x, batch_size="3")  # type: ignore[arg-type]


@pytest.mark.parametrize("recipe", ALL)
def test_no_samples_give_no_answers(sessions: dict[str, Session], digits: Digits, recipe: str) -> None:
    found = scores_of(sessions[recipe], digits.evaluation[:0])
    assert (found.shape, str(found.dtype)) == ((0, 10), "float32")
    assert sessions[recipe].classify(digits.evaluation[:0]).shape == (0,)


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
        np.testing.assert_array_equal(array_of(session.predict(x)), wanted)
        np.testing.assert_array_equal(array_of(session.predict(x[:130])), wanted[:130])


@pytest.mark.parametrize("count", [127, 129, 2049, 40_000])
def test_rows_of_onnx_however_many(rows_package: edgeml.Package, count: int) -> None:
    x = np.random.default_rng(count).integers(0, 17, (count, 64)).astype(np.float32)
    raw = onnxruntime.InferenceSession(bytes_of(rows_package, "onnx-fp32"), providers=["CPUExecutionProvider"])
    (takes,) = raw.get_inputs()
    scores = next(node.name for node in raw.get_outputs() if node.type == "tensor(float)")
    told: list[int] = []
    with rows_package.session("onnx-fp32") as session:
        found = array_of(session.predict(x, progress=told.append))
    np.testing.assert_allclose(found, raw.run([scores], {takes.name: x})[0], atol=1e-6)
    assert told == sorted(told)
    assert told[-1] == count


@pytest.mark.parametrize("recipe", ["tflite-int8", "onnx-fp32"])
def test_progress_is_told(session: Session, digits: Digits) -> None:
    told: list[int] = []
    session.predict(digits.evaluation[:500], progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 500


def test_progress_tells_no_more_than_is_done() -> None:
    """Also while a helper is still at an early and large part."""
    unit, count, caller = 8, 20_000, threading.get_ident()
    helping, told_thrice = threading.Event(), threading.Event()
    done: list[int] = []  # samples of each run of the engine that is over
    told: list[tuple[int, int]] = []

    class Identity(EngineAdapter):
        name = "identity"
        family = "identity"

        def __init__(self) -> None:
            pass

        def instance(self, batch: int | None, threads: int) -> EngineInstance:
            place = np.zeros((unit, 1), np.float32)

            def run() -> None:
                if threading.get_ident() == caller:
                    assert helping.wait(10)
                elif not helping.is_set():
                    helping.set()
                    assert told_thrice.wait(10)
                done.append(unit)

            return EngineInstance([place], [place], run)

        def placement(self) -> tuple[OperatorCount, ...]:
            return ()

    def progress(samples: int) -> None:
        told.append((samples, sum(done)))
        if len(told) == 3:
            told_thrice.set()

    signature = Signature((TensorSpec("x", (unit, 1), "float32"),), (TensorSpec("y", (unit, 1), "float32"),))
    needs = Needs(engine="none", engine_version="1", operators=("Identity",))
    batches = BatchScheduler(Identity(), signature, needs, threads=2)
    x = np.arange(count, dtype=np.float32)[:, None]
    found = batches.run({"x": x}, lambda values, i, first: values, as_is=False, progress=progress)
    batches.close()
    np.testing.assert_array_equal(found["y"], x)
    assert len(told) > 3
    assert told[-1] == (count, count)
    assert all(samples <= finished for samples, finished in told)


@pytest.mark.parametrize("recipe", ["tflite-fp32"])
def test_memory_that_does_not_suffice_for_more_samples_at_a_time(
    session: Session, digits: Digits, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(session_module, "values_of", exhausted)  # of some samples, by which wider batches are tried
    with pytest.raises(TargetError, match="not enough memory"):
        session.predict(np.resize(digits.evaluation, (1000, 8, 8, 1)))
