"""Sessions, against the raw engines on the same bytes."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime
import pytest

import edgeml
from edgeml.core.errors import InputError, TargetError
from edgeml.core.registry.engines import find_engine
from edgeml.core.session import Session
from edgeml.core.system.worker import Worker
from edgeml.core.tensors import Signature
from edgeml.demo.digits import Digits
from tests.support.processes import eventually
from tests.support.raw_engines import RawTflite, bytes_of, raw_scores
from tests.support.sessions import ALL, EACH, array_of, resident_mb, scores_of

COUNTS = (1, 2, 31, 32, 33, 100)


@pytest.mark.parametrize("recipe", ALL)
def test_predict_equals_the_raw_engine(
    net_package: edgeml.Package, sessions: dict[str, Session], digits: Digits, recipe: str
) -> None:
    x = digits.evaluation[: max(COUNTS)]
    wanted = raw_scores(bytes_of(net_package, recipe), recipe, x)
    for count in COUNTS:
        found = scores_of(sessions[recipe], x[:count])
        assert (str(found.dtype), found.shape) == ("float32", (count, 10))
        if recipe.startswith("tflite"):
            np.testing.assert_array_equal(found, wanted[:count])
        else:  # a smaller last batch sums in another order
            whole = count // 32 * 32
            np.testing.assert_array_equal(found[:whole], wanted[:whole])
            np.testing.assert_allclose(found, wanted[:count], atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ALL)
def test_classify_equals_keras(
    sessions: dict[str, Session], keras_models: Worker, net_file: Path, digits: Digits, recipe: str
) -> None:
    x = digits.evaluation[:200]
    (scores,) = keras_models.call("answers", net_file, [x], returns=list[np.ndarray])
    found = sessions[recipe].classify(x)
    assert found.shape == (200,)
    agreement = (found == scores.argmax(axis=1)).mean()
    assert agreement == 1 if recipe.endswith("fp32") else agreement >= 0.95


def test_run_takes_and_gives_names(sessions: dict[str, Session], digits: Digits) -> None:
    x = digits.evaluation[:5]
    for session in sessions.values():
        outputs = session.run({"image": x})
        assert list(outputs) == ["scores"]
        np.testing.assert_array_equal(outputs["scores"], session.predict(x))
        np.testing.assert_array_equal(outputs["scores"], session.predict({"image": x}))


@pytest.mark.parametrize(("recipe", "dtype"), [("tflite-int8", "int8"), ("tflite-int16x8", "int16")])
def test_run_raw_gives_the_artifacts_own_dtypes(
    net_package: edgeml.Package, sessions: dict[str, Session], digits: Digits, recipe: str, dtype: str
) -> None:
    x = digits.evaluation[:9]
    raw = RawTflite(bytes_of(net_package, recipe))
    found = sessions[recipe].run_raw({"image": x})["scores"]
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, np.concatenate([raw.raw(x[row : row + 1]) for row in range(9)]))


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
    with pytest.raises(InputError, match="Input 'image' of the artifact is not quantized") as caught:
        session.run_quantized({"image": np.zeros((1, 8, 8, 1), np.int8)})
    assert "run" in caught.value.fix


@pytest.mark.parametrize("recipe", ["tflite-int8", "onnx-fp32"])
def test_several_threads_on_one_session(sessions: dict[str, Session], digits: Digits, recipe: str) -> None:
    session, x = sessions[recipe], digits.evaluation
    wanted = [scores_of(session, x[start : start + 60]) for start in range(0, 600, 60)]
    wrong: list[int] = []

    def work(part: int) -> None:
        for _ in range(10):
            found = scores_of(session, x[part * 60 : part * 60 + 60])
            if not np.array_equal(found, wanted[part]):
                wrong.append(part)

    threads = [threading.Thread(target=work, args=(part,)) for part in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


@pytest.mark.slow
@EACH
def test_eight_threads_on_one_session(session: Session, digits: Digits) -> None:
    """Single samples, batches, streams and integers at once, for a second."""
    x = digits.evaluation[:160]
    wanted = array_of(session.predict(x))
    loose = 0 if session.engine == "ai-edge-litert" else 1e-5
    failures: list[object] = []
    end = time.monotonic() + 1

    def work(part: int) -> None:
        mine = slice(part * 20, part * 20 + 20)
        random = np.random.default_rng(part)
        try:
            while time.monotonic() < end:
                row = part * 20 + int(random.integers(20))
                np.testing.assert_allclose(
                    array_of(session.predict(x[row : row + 1])), wanted[row : row + 1], atol=loose
                )
                np.testing.assert_allclose(array_of(session.predict(x[mine])), wanted[mine], atol=loose)
                np.testing.assert_allclose(
                    np.stack([*map(array_of, session.stream(x[mine]))]), wanted[mine], atol=loose
                )
        except Exception as error:  # noqa: BLE001 - told to the test's thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=(part,)) for part in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


@pytest.mark.parametrize("threads", [2, 4])
@pytest.mark.parametrize("recipe", ["tflite-fp32", "tflite-int8", "onnx-fp32"])
def test_engine_threads_change_no_answer(
    net_package: edgeml.Package, sessions: dict[str, Session], digits: Digits, recipe: str, threads: int
) -> None:
    x = digits.evaluation[:40]
    found = scores_of(net_package.session(recipe, threads=threads), x)
    np.testing.assert_allclose(found, scores_of(sessions[recipe], x), atol=1e-6)


@pytest.mark.parametrize("recipe", ["tflite-fp32", "onnx-fp32"])
@pytest.mark.parametrize("threads", [0, -2])
def test_threads_below_one(net_package: edgeml.Package, recipe: str, threads: int) -> None:
    with pytest.raises(InputError, match=f"threads is {threads}, expected a whole number from 1 to 1024"):
        net_package.session(recipe, threads=threads)


# Input that is refused


X = np.zeros((3, 8, 8, 1), np.float32)
GAPS = X.copy()
GAPS[1, 4, 4, 0] = np.nan
ENDLESS = X.copy()
ENDLESS[2, 0, 0, 0] = -np.inf
RAGGED = [[[[0.0]] * 8] * 8, [[[0.0]] * 7] * 8]
BAD: dict[str, tuple[object, str]] = {
    "other shape": (np.zeros((3, 8, 9, 1)), r"got shape \[3, 8, 9, 1\], expected \[samples, 8, 8, 1\]"),
    "channels first": (np.zeros((3, 1, 8, 8)), r"got shape \[3, 1, 8, 8\]"),
    "flat": (np.zeros((3, 64)), r"got shape \[3, 64\]"),
    "one sample": (np.zeros((8, 8, 1)), r"x\[None\]"),
    "a number": (3.0, r"got shape \[\]"),
    "nothing": (None, "got dtype object"),
    "other name": ({"picture": X}, r"got inputs \['picture'\], expected \['image'\]"),
    "one name too many": ({"image": X, "mask": X}, r"got inputs \['image', 'mask'\]"),
    "no names": ({}, r"got inputs \[\]"),
    "NaN": (GAPS, "sample 1 holds NaN or infinity"),
    "infinity": (ENDLESS, "sample 2 holds NaN or infinity"),
    "too large for float32": (np.full((1, 8, 8, 1), 1e300), "sample 0 holds a number that is too large for float32"),
    "text": (np.full((3, 8, 8, 1), "0"), "got dtype <U1, expected numbers"),
    "objects": (np.zeros((3, 8, 8, 1), object), "got dtype object, expected numbers"),
    "complex numbers": (np.zeros((3, 8, 8, 1), complex), "got dtype complex128, expected numbers"),
    "dates": (np.zeros((3, 8, 8, 1), "datetime64[s]"), r"got dtype datetime64\[s\], expected numbers"),
    "ragged": (RAGGED, "expected a regular array"),
    "masked": (np.ma.masked_greater(GAPS + 1, 0), "holds masked values"),
}


@pytest.mark.parametrize("recipe", ["tflite-int8", "onnx-fp32"])
@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_told_apart(sessions: dict[str, Session], recipe: str, kind: str) -> None:
    given, message = BAD[kind]
    for method in (sessions[recipe].predict, sessions[recipe].classify):
        with pytest.raises(InputError, match=message):
            method(given)
    if isinstance(given, dict):
        with pytest.raises(InputError, match=message):
            sessions[recipe].run(given)


def test_the_number_of_bad_samples_is_told(sessions: dict[str, Session], digits: Digits) -> None:
    x = digits.evaluation[:50].copy()
    x[[7, 9, 40], 0, 0, 0] = np.nan
    with pytest.raises(InputError, match=r"sample 7 holds NaN or infinity \(3 of 50 samples do\)"):
        sessions["tflite-int8"].predict(x)


@pytest.mark.parametrize("recipe", ["tflite-int8", "onnx-fp32"])
def test_the_first_of_many_bad_samples_is_told(session: Session, digits: Digits) -> None:
    x = np.concatenate([digits.evaluation] * 4)
    x[[1203, 1999], 0, 0, 0] = np.inf
    with pytest.raises(InputError, match=rf"sample 1203 holds NaN or infinity \(2 of {len(x)} samples do\)"):
        session.predict(x)


def test_a_session_works_on_after_bad_input(sessions: dict[str, Session], digits: Digits) -> None:
    for session in sessions.values():
        wanted = session.predict(digits.evaluation[:3])
        with pytest.raises(InputError):
            session.predict(GAPS)
        np.testing.assert_array_equal(session.predict(digits.evaluation[:3]), wanted)


@pytest.mark.parametrize("recipe", ["tflite-fp32", "tflite-int8", "onnx-fp32"])
def test_memory_that_does_not_suffice_is_told(session: Session) -> None:
    huge = np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), (2**50, 8, 8, 1), (0, 0, 0, 0))
    with pytest.raises(TargetError, match="not enough memory") as caught:
        session.predict(huge, batch_size=2**50)
    assert "batch_size" in caught.value.fix


# Artifacts that are refused


def opened(package: edgeml.Package, recipe: str, signature: Signature, data: bytes | None = None) -> Session:
    """A session on a package's artifact, by another signature or on other bytes."""
    record = package.artifact(recipe)
    opener = find_engine(recipe.partition("-")[0])
    return opener(bytes_of(package, recipe) if data is None else data, signature, needs=record.needs)


def changed(signature: Signature, kind: str, **fields: Any) -> Signature:
    """The signature with its first input's or output's fields replaced."""
    specs = tuple(msgspec.structs.replace(spec, **fields) for spec in getattr(signature, kind))
    return msgspec.structs.replace(signature, **{kind: specs})


@pytest.mark.parametrize("recipe", ["tflite-int8", "onnx-fp32"])
@pytest.mark.parametrize("kind", ["inputs", "outputs"])
@pytest.mark.parametrize(
    "fields", [{"name": "other"}, {"shape": (1, 3)}, {"dtype": "uint8"}], ids=lambda fields: next(iter(fields))
)
def test_a_declared_signature_that_is_not_the_files(
    net_package: edgeml.Package, recipe: str, kind: str, fields: dict[str, Any]
) -> None:
    signature = changed(net_package.artifact(recipe).signature, kind, **fields)
    with pytest.raises(TargetError, match=r"'?(image|scores|other)'?"):
        opened(net_package, recipe, signature)


@pytest.mark.parametrize("recipe", ["tflite-int8"])
@pytest.mark.parametrize("kind", ["inputs", "outputs"])
def test_a_declared_quantization_that_is_not_the_files(net_package: edgeml.Package, recipe: str, kind: str) -> None:
    signature = net_package.artifact(recipe).signature
    (spec,) = getattr(signature, kind)
    assert spec.quantization is not None
    for quantization in (None, msgspec.structs.replace(spec.quantization, zero_point=7)):
        with pytest.raises(TargetError, match="quantization"):
            opened(net_package, recipe, changed(signature, kind, quantization=quantization))
    other = msgspec.structs.replace(spec.quantization, scale=spec.quantization.scale * 1.01)
    with pytest.raises(TargetError, match="quantization"):
        opened(net_package, recipe, changed(signature, kind, quantization=other))


def test_a_need_of_the_cpu_that_is_not_met(net_package: edgeml.Package) -> None:
    import platform

    record = net_package.artifact("tflite-fp32")
    needs = msgspec.structs.replace(record.needs, cpu_features=(f"{platform.machine()}:telepathy",))
    with pytest.raises(TargetError, match="without telepathy, such as this one"):
        find_engine("tflite")(bytes_of(net_package, "tflite-fp32"), record.signature, needs=needs)
    elsewhere = msgspec.structs.replace(record.needs, cpu_features=("abacus:beads",))
    find_engine("tflite")(bytes_of(net_package, "tflite-fp32"), record.signature, needs=elsewhere)


# The end of a session


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


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["tflite-fp32", "onnx-fp32"])
def test_closing_gives_memory_back_and_waits_for_nobody(
    net_package: edgeml.Package, digits: Digits, recipe: str
) -> None:
    wrong: list[Exception] = []

    def use(session: Session, answered: threading.Event) -> None:
        try:
            while True:
                session.predict(digits.evaluation[:5])
                answered.set()
        except TargetError as error:
            if "closed" not in error.message:
                wrong.append(error)
        except Exception as error:  # noqa: BLE001 - told to the test's thread
            wrong.append(error)

    sessions = []
    for _ in range(20):
        session, answered = net_package.session(recipe), threading.Event()
        threads = [threading.Thread(target=use, args=(session, answered)) for _ in range(4)]
        for thread in threads:
            thread.start()
        assert answered.wait(10)
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
    assert eventually(lambda: gone() is None, within_s=10)  # a helper may be letting go of its last task


@pytest.mark.slow
@pytest.mark.usefixtures("no_cycles_found")
@pytest.mark.parametrize("recipe", ["onnx-fp32"])
@pytest.mark.parametrize("count", [1, 300])
def test_closing_lets_go_of_the_engine_at_once(
    net_package: edgeml.Package, digits: Digits, recipe: str, count: int
) -> None:
    others = {id(engine) for engine in onnxruntime_sessions()}
    session = net_package.session(recipe)
    session.predict(digits.evaluation[:count])
    engines = [weakref.ref(engine) for engine in onnxruntime_sessions() if id(engine) not in others]
    assert engines
    session.close()
    assert eventually(lambda: all(engine() is None for engine in engines), within_s=10)


def onnxruntime_sessions() -> list[onnxruntime.InferenceSession]:
    """Those that are held in this process."""
    return [held for held in gc.get_objects() if type(held) is onnxruntime.InferenceSession]
