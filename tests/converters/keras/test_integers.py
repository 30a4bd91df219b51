"""Integers in and out of Keras models, built through the public API and compared with what Keras itself gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edgeml
from edgeml.core.errors import InputError
from edgeml.core.system.worker import Worker

DTYPES = {
    "best": "float32",
    "least": "int32",
    "number": "int32",
    "places": "int64",
    "positive": "bool",
    "small": "uint8",
    "whole": "float32",
}


def normal(count: int, *sizes: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, *sizes)).astype(np.float32)


@pytest.fixture(scope="module")
def answers(keras_worker: Worker) -> Callable[[Path, list[np.ndarray]], list[np.ndarray]]:
    return lambda path, inputs: keras_worker.call("answers", path, inputs, returns=list[np.ndarray])


@pytest.fixture(scope="module")
def numbers_file(keras_worker: Worker) -> Path:
    return keras_worker.call("make", "class_numbers", returns=Path)


@pytest.fixture(scope="module")
def numbers(numbers_file: Path) -> edgeml.Package:
    """Outputs of floats, integers and bools in one model."""
    return edgeml.build(
        numbers_file,
        calibration=normal(100, 16),
        evaluation=normal(200, 16, seed=1),
        recipes=["tflite-fp32", "tflite-int8", "tflite-int16x8", "onnx-fp32", "onnx-int8"],
    )


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["tflite-fp32", "onnx-fp32"])
def test_integers_keep_their_dtype_and_value(
    numbers: edgeml.Package, numbers_file: Path, answers: Callable[..., list[np.ndarray]], recipe: str
) -> None:
    x = normal(70, 16, seed=2)
    wanted = dict(zip(DTYPES, answers(numbers_file, [x]), strict=True))
    with numbers.session(recipe) as session:
        ways = [session.run({"x": x}), session.run({"x": x[:1]}), session.run({"x": x.astype(np.float64)})]
        ways += [session.run(iter([{"x": x[:9]}, {"x": x[9:]}])), session.run({"x": x[:0]})]
    with numbers.session(recipe, isolated=True) as session:
        ways.append(session.run({"x": x}))
    for found in ways:
        assert {name: values.dtype.name for name, values in found.items()} == DTYPES
        for name, values in found.items():
            assert values.shape[1:] == wanted[name].shape[1:]
            if name != "best":
                np.testing.assert_array_equal(values, wanted[name][: len(values)], err_msg=name)


@pytest.mark.slow
def test_eight_bits_do_not_quantize_integers(
    numbers: edgeml.Package, numbers_file: Path, answers: Callable[..., list[np.ndarray]]
) -> None:
    x = normal(200, 16, seed=3)
    wanted = dict(zip(DTYPES, answers(numbers_file, [x]), strict=True))
    for recipe in ("tflite-int8", "onnx-int8"):
        with numbers.session(recipe) as session:
            found = session.run({"x": x})
            assert {name: values.dtype.name for name, values in found.items()} == DTYPES
            for name in ("least", "number", "small", "whole"):
                assert (found[name] == wanted[name]).mean() > 0.9, name
            np.testing.assert_array_equal(found["whole"][:, 0], found["number"])  # the same number, not quantized
            np.testing.assert_array_equal(found["small"], found["number"])
    dtypes = {spec.name: spec.dtype for spec in numbers.session("tflite-int8").signature.outputs}
    assert dtypes == DTYPES | {"best": "int8", "whole": "int32"}
    (refused,) = (item for item in numbers.manifest.refused if item.recipe == "tflite-int16x8")
    assert refused.fix == "use tflite-int8 or tflite-fp32."  # which are not refused


@pytest.mark.slow
def test_golden_vectors_hold_integers_to_equality(numbers: edgeml.Package, tmp_path: Path) -> None:
    for run in numbers.manifest.golden.runs:
        assert set(run.bounds) <= {"best", "whole"}
    numbers.save(tmp_path / "numbers.edgeml")
    checks = edgeml.open_package(tmp_path / "numbers.edgeml").verify().golden
    assert {check.status for check in checks} == {"holds"}
    assert all("'number' equal" in check.detail for check in checks)


@pytest.mark.slow
def test_class_numbers_alone_are_judged_by_equality(keras_worker: Worker) -> None:
    path = keras_worker.call("make", "number", returns=Path)
    x = normal(300, 16)
    package = edgeml.build(path, calibration=x, evaluation=x, recipes=["tflite-int8"], batch=4)
    (record,) = package.manifest.artifacts
    (wanted,) = keras_worker.call("answers", path, [x], returns=list[np.ndarray])
    found = package.session("tflite-int8").predict(x)
    assert isinstance(found, np.ndarray)
    assert found.dtype == wanted.dtype == np.int32
    fidelity = record.evaluation.fidelity
    assert fidelity.worst_integers is not None
    assert fidelity.worst_integers.equal == pytest.approx((found == wanted).mean())
    assert fidelity.float_sqnr_db is None
    assert "dB" not in str(record.verdict)
    families = {run.family for run in package.manifest.golden.runs}
    assert {"xnnpack", "tflm"} <= families


@pytest.mark.slow
def test_zeros_have_signs_as_in_keras(keras_worker: Worker, answers: Callable[..., list[np.ndarray]]) -> None:
    path = keras_worker.call("make", "signs", returns=Path)
    x = np.random.default_rng(0).choice(np.array([0.0, -0.0, 1, -1, np.inf], np.float32), size=(300, 5))
    finite = np.where(np.isinf(x), np.float32(2), x)
    package = edgeml.build(path, evaluation=finite, recipes=["tflite-fp32", "onnx-fp32"])
    assert package.released == ("tflite-fp32", "onnx-fp32")
    for recipe in package.released:
        found = package.session(recipe).run({"x": finite})
        for values, wanted in zip(found.values(), answers(path, [finite]), strict=True):
            np.testing.assert_array_equal(values, wanted)


@pytest.mark.slow
def test_large_ids_are_exact(keras_worker: Worker, answers: Callable[..., list[np.ndarray]]) -> None:
    path = keras_worker.call("make", "ids", returns=Path)
    ids = np.random.default_rng(0).integers(2**40, 2**60, size=(80, 2))
    package = edgeml.build(path, calibration=ids, evaluation=ids, recipes=["tflite-fp32", "tflite-int8", "onnx-fp32"])
    assert package.released == ("tflite-fp32", "onnx-fp32")
    (refused,) = package.manifest.refused
    assert "'ids' of tflite-int8 artifacts is int32" in refused.reason
    following, values = answers(path, [ids])
    for recipe in package.released:
        with package.session(recipe) as session:
            found = session.run({"ids": ids})
            np.testing.assert_array_equal(found["next"], following)
            np.testing.assert_allclose(found["value"], values, rtol=1e-5)
            few = (ids % 1000).astype(np.float32)  # whole numbers that float32 represents
            np.testing.assert_array_equal(session.run({"ids": few})["next"], ids % 1000 + 1)
            with pytest.raises(InputError, match="sample 0 holds a number outside of -9223372036854775808 to"):
                session.run({"ids": np.full((1, 2), 1e20)})


@pytest.mark.slow
def test_ids_beyond_the_artifacts_bits_are_refused(keras_worker: Worker) -> None:
    path = keras_worker.call("make", "ids", returns=Path)
    ids = np.random.default_rng(0).integers(2**30, 2**31, size=(80, 2))
    package = edgeml.build(path, calibration=ids, evaluation=ids, recipes=["tflite-int8"])
    with package.session("tflite-int8") as session:
        found = session.run({"ids": ids})["next"]
        assert found.dtype == np.int64  # as Keras returns them
        np.testing.assert_array_equal(found, ids + 1)
        for beyond in (np.full((1, 2), 2**31), np.full((1, 2), 2.0**31, np.float32)):
            with pytest.raises(InputError, match="outside of -2147483648 to 2147483647") as refused:
                session.run({"ids": beyond})
            assert "the artifact takes int32" in refused.value.fix


@pytest.mark.slow
def test_tokens_of_float_dtype_are_whole_numbers(
    keras_worker: Worker, answers: Callable[..., list[np.ndarray]]
) -> None:
    path = keras_worker.call("make", "float_tokens", returns=Path)
    rng = np.random.default_rng(0)
    tokens = rng.integers(1, 9000, size=(200, 8))
    tokens[::3, 6:] = 0
    inputs = {"first": tokens[:, :6], "second": tokens[:, 6:], "x": normal(200, 3)}
    package = edgeml.build(path, calibration=inputs, evaluation=inputs, recipes=["tflite-int8", "onnx-fp16"])
    assert package.manifest.source.whole_inputs == ("first", "second")
    assert package.released == ("tflite-int8", "onnx-fp16")
    dtypes = {spec.name: spec.dtype for spec in package.session("tflite-int8").signature.inputs}
    assert dtypes == {"first": "int32", "second": "int32", "x": "int8"}
    (wanted,) = answers(path, list(inputs.values()))
    for recipe, least in (("tflite-int8", 25), ("onnx-fp16", 55)):
        found = package.session(recipe).predict(inputs)
        assert 10 * np.log10(np.square(wanted).sum() / np.square(found - wanted).sum()) > least
    for record in package.manifest.artifacts:
        assert not any("last bit" in remark for remark in record.verdict.remarks)


@pytest.mark.slow
def test_tokens_of_float_dtype_in_keras_2(legacy_models: Worker) -> None:
    path = legacy_models.call("make", "float_tokens", ".h5", returns=Path)
    tokens = np.random.default_rng(0).integers(0, 3000, size=(200, 4))
    package = edgeml.build(path, calibration=tokens, evaluation=tokens, recipes="tflite-int8")
    assert package.manifest.source.whole_inputs == ("tokens",)
    assert package.released == ("tflite-int8",)
    (wanted,) = legacy_models.call("answers", path, [tokens.astype(np.float32)], returns=list[np.ndarray])
    found = package.session("tflite-int8").predict(tokens)
    assert 10 * np.log10(np.square(wanted).sum() / np.square(found - wanted).sum()) > 20
