"""Sessions, against the raw engines on the same bytes."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter

import edgeml
from edgeml.core.engines import find_engine
from edgeml.core.errors import InputError, TargetError
from edgeml.core.recipe import RECIPES
from edgeml.core.session import Session
from edgeml.core.tensors import Signature
from edgeml.core.worker import Worker
from edgeml.runtimes.memory import real, stored
from edgeml.trainers.digits import Digits

ALL = [recipe.id for recipe in RECIPES]
COUNTS = (1, 2, 31, 32, 33, 100)
FIXED = ["tflite-fp32", "tflite-int8", "onnx-fp32", "onnx-int8"]


def bytes_of(package: edgeml.Package, recipe: str) -> bytes:
    return package.read(package.artifact(recipe).file)


def scores_of(session: Session, x: object, *, batch_size: int = 32) -> np.ndarray:
    """What `predict` gives for a model with one output."""
    found = session.predict(x, batch_size=batch_size)
    assert isinstance(found, np.ndarray)
    return found


class RawTflite:
    """The raw interpreter, one batch at a time, with quantization as the format's specification has it."""

    def __init__(self, data: bytes) -> None:
        self._interpreter = Interpreter(model_content=data, num_threads=1)
        self._interpreter.allocate_tensors()
        (self.takes,) = self._interpreter.get_input_details()
        (self.gives,) = self._interpreter.get_output_details()

    def raw(self, x: np.ndarray) -> np.ndarray:
        scale, zero = self.takes["quantization"]
        if scale:
            limits = np.iinfo(self.takes["dtype"])
            x = np.clip(np.rint(x / np.float32(scale)) + zero, limits.min, limits.max).astype(self.takes["dtype"])
        self._interpreter.set_tensor(self.takes["index"], x)
        self._interpreter.invoke()
        return np.array(self._interpreter.get_tensor(self.gives["index"]))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        values = self.raw(x)
        scale, zero = self.gives["quantization"]
        return (values.astype(np.float32) - np.float32(zero)) * np.float32(scale) if scale else values


def raw_scores(data: bytes, recipe: str, x: np.ndarray) -> np.ndarray:
    """The scores of all samples: TFLite one by one, ONNX in batches of 32."""
    if recipe.startswith("tflite"):
        raw = RawTflite(data)
        return np.concatenate([raw(x[row : row + 1]) for row in range(len(x))])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    return np.concatenate([session.run(None, {"image": x[row : row + 32]})[0] for row in range(0, len(x), 32)])


@pytest.fixture(scope="module")
def sessions(net_package: edgeml.Package) -> dict[str, Session]:
    return {recipe: net_package.session(recipe) for recipe in ALL}


@pytest.fixture(scope="module")
def fixed(net_file: Path, digits: Digits) -> edgeml.Package:
    """Artifacts that take four samples at a time."""
    return edgeml.build(
        net_file,
        name="fixed",
        calibration=digits.calibration[:30],
        evaluation=digits.evaluation[:33],
        recipes=FIXED,
        batch=4,
    )


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
        else:  # a smaller last batch sums in another order, a dynamic one takes its ranges from other samples
            whole = count // 32 * 32
            np.testing.assert_array_equal(found[:whole], wanted[:whole])
            np.testing.assert_allclose(found, wanted[:count], atol=0.1 if recipe == "onnx-dynamic" else 1e-5)


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


@pytest.mark.parametrize("recipe", ALL)
def test_no_samples_give_no_answers(sessions: dict[str, Session], digits: Digits, recipe: str) -> None:
    found = scores_of(sessions[recipe], digits.evaluation[:0])
    assert (found.shape, str(found.dtype)) == ((0, 10), "float32")
    assert sessions[recipe].classify(digits.evaluation[:0]).shape == (0,)


@pytest.mark.parametrize("recipe", FIXED)
@pytest.mark.parametrize("count", range(10))
def test_a_fixed_batch_is_filled_up(
    fixed: edgeml.Package, sessions: dict[str, Session], digits: Digits, recipe: str, count: int
) -> None:
    x = digits.evaluation[:count]
    found = scores_of(fixed.session(recipe), x)
    assert found.shape == (count, 10)
    np.testing.assert_allclose(found, scores_of(sessions[recipe], x), atol=1e-5 if recipe.endswith("fp32") else 0.15)


def test_a_fixed_batch_equals_the_raw_interpreter(fixed: edgeml.Package, digits: Digits) -> None:
    x = digits.evaluation[:6]
    raw = RawTflite(bytes_of(fixed, "tflite-int8"))
    last = np.concatenate([x[4:], x[5:6], x[5:6]])
    wanted = np.concatenate([raw(x[:4]), raw(last)[:2]])
    np.testing.assert_array_equal(fixed.session("tflite-int8").predict(x), wanted)


@pytest.mark.parametrize("recipe", ["tflite-int8", "tflite-int16x8"])
def test_integers_are_rounded_and_clipped(
    net_package: edgeml.Package, sessions: dict[str, Session], recipe: str
) -> None:
    """Values on the steps, on the halves between them, and beyond both ends of the range."""
    raw = RawTflite(bytes_of(net_package, recipe))
    scale, zero = raw.takes["quantization"]
    limits = np.iinfo(raw.takes["dtype"])
    steps = np.concatenate([np.arange(-40, 40) / 4, [limits.min - 3, limits.max + 3, 1e6, -1e6]])
    values = ((steps - zero) * scale).astype(np.float32)
    x = np.resize(values, (6, 8, 8, 1))
    session = sessions[recipe]
    given = stored(x, session.signature.inputs[0])
    assert given.dtype == raw.takes["dtype"]
    exact = np.clip(x.astype(np.float64) / scale + zero, limits.min, limits.max)
    assert np.abs(given - exact).max() <= 0.5 + 1e-3  # no other step is nearer, but for rounding in float32
    wanted = session.run_quantized({"image": given})["scores"]
    np.testing.assert_array_equal(session.run_raw({"image": x})["scores"], wanted)
    for row in range(len(x)):  # and alone, by the way that single samples take
        found = session.predict(x[row : row + 1])
        np.testing.assert_array_equal(found, real(wanted[row : row + 1], session.signature.outputs[0]))


def test_huge_values_are_clipped_without_a_warning(sessions: dict[str, Session]) -> None:
    x = np.full((2, 8, 8, 1), 3e38, np.float32)
    found = sessions["tflite-int8"].predict(x)
    np.testing.assert_array_equal(found, sessions["tflite-int8"].predict(np.full((2, 8, 8, 1), 1e3)))


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


def layouts(x: np.ndarray, folder: Path) -> dict[str, np.ndarray]:
    """The same samples as callers have them."""
    read_only = x.copy()
    read_only.flags.writeable = False
    np.save(folder / "x.npy", x)
    return {
        "float64": x.astype(np.float64),
        "float16": x.astype(np.float16),  # pixels are sixteenths: exact
        "big-endian": x.astype(">f4"),
        "every second": np.repeat(x, 2, axis=0)[::2],
        "backwards": np.ascontiguousarray(x[::-1])[::-1],
        "read-only": read_only,
        "Fortran": np.asfortranarray(x),
        "transposed": np.ascontiguousarray(x.transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3),
        "mapped": np.load(folder / "x.npy", mmap_mode="r"),
    }


@pytest.mark.parametrize("recipe", ["tflite-fp32", "tflite-int8", "onnx-fp32"])
def test_any_layout_of_the_input(sessions: dict[str, Session], digits: Digits, tmp_path: Path, recipe: str) -> None:
    x = digits.evaluation[:40]
    wanted = sessions[recipe].predict(x)
    for name, given in layouts(x, tmp_path).items():
        np.testing.assert_array_equal(sessions[recipe].predict(given), wanted, err_msg=name)
    np.testing.assert_array_equal(sessions[recipe].predict(x.tolist()), wanted)


@pytest.mark.parametrize("dtype", ["uint8", "int64", "bool"])
def test_whole_numbers_count_as_what_they_are(sessions: dict[str, Session], digits: Digits, dtype: str) -> None:
    x = digits.evaluation[:5] > 0.5
    np.testing.assert_array_equal(
        sessions["onnx-fp32"].predict(x.astype(dtype)), sessions["onnx-fp32"].predict(x.astype(np.float32))
    )


def test_the_input_is_left_as_it_was(sessions: dict[str, Session], digits: Digits) -> None:
    x = digits.evaluation[:40].copy()
    for session in sessions.values():
        session.predict(x)
    np.testing.assert_array_equal(x, digits.evaluation[:40])


@pytest.mark.parametrize("recipe", ALL)
@pytest.mark.parametrize("count", [1, 33])
def test_results_are_the_callers_own(sessions: dict[str, Session], digits: Digits, recipe: str, count: int) -> None:
    session = sessions[recipe]
    first = session.run_raw({"image": digits.evaluation[:count]})["scores"]
    kept = first.copy()
    second = session.run_raw({"image": digits.evaluation[100 : 100 + count]})["scores"]
    np.testing.assert_array_equal(first, kept)
    assert first.flags.writeable
    first[:] = 0  # and changing them changes nothing
    np.testing.assert_array_equal(session.run_raw({"image": digits.evaluation[100 : 100 + count]})["scores"], second)


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


@pytest.mark.parametrize("threads", [2, 4])
@pytest.mark.parametrize("recipe", ["tflite-fp32", "tflite-int8", "onnx-fp32"])
def test_engine_threads_change_no_answer(
    net_package: edgeml.Package, sessions: dict[str, Session], digits: Digits, recipe: str, threads: int
) -> None:
    x = digits.evaluation[:40]
    found = scores_of(net_package.session(recipe, threads=threads), x)
    np.testing.assert_allclose(found, scores_of(sessions[recipe], x), atol=1e-6)


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
    "ragged": (RAGGED, "is no regular array"),
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


def test_a_session_works_on_after_bad_input(sessions: dict[str, Session], digits: Digits) -> None:
    for session in sessions.values():
        wanted = session.predict(digits.evaluation[:3])
        with pytest.raises(InputError):
            session.predict(GAPS)
        np.testing.assert_array_equal(session.predict(digits.evaluation[:3]), wanted)


@pytest.mark.parametrize("recipe", ["tflite-fp32", "onnx-fp32"])
@pytest.mark.parametrize("threads", [0, -2])
def test_threads_below_one(net_package: edgeml.Package, recipe: str, threads: int) -> None:
    with pytest.raises(InputError, match=f"threads is {threads}, expected a whole number, at least 1"):
        net_package.session(recipe, threads=threads)


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

    from edgeml.runtimes.litert import LiteRTSession

    record = net_package.artifact("tflite-fp32")
    needs = msgspec.structs.replace(record.needs, cpu_features=(f"{platform.machine()}:telepathy",))
    with pytest.raises(TargetError, match="without telepathy, and this is one"):
        LiteRTSession(bytes_of(net_package, "tflite-fp32"), record.signature, needs=needs)
    elsewhere = msgspec.structs.replace(record.needs, cpu_features=("abacus:beads",))
    LiteRTSession(bytes_of(net_package, "tflite-fp32"), record.signature, needs=elsewhere)


def test_the_interpreter_keeps_the_bytes_it_needs(net_package: edgeml.Package, digits: Digits) -> None:
    import gc

    record = net_package.artifact("tflite-fp32")
    session = opened(
        net_package, "tflite-fp32", record.signature, bytes(bytearray(bytes_of(net_package, "tflite-fp32")))
    )
    gc.collect()
    np.empty(10**6).fill(1)
    np.testing.assert_array_equal(
        session.predict(digits.evaluation[:9]),
        raw_scores(bytes_of(net_package, "tflite-fp32"), "tflite-fp32", digits.evaluation[:9]),
    )


@pytest.mark.parametrize("recipe", ["tflite-fp32", "onnx-fp32"])
@pytest.mark.parametrize("count", [1, 3, 600])
def test_tiny_values_where_numpy_raises(sessions: dict[str, Session], recipe: str, count: int) -> None:
    x = np.full((count, 8, 8, 1), 1e-30, np.float32)
    wanted = sessions[recipe].predict(x)
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(sessions[recipe].predict(x), wanted)
