"""Models and artifacts whose answer for a sample depends on the others of its batch, and such as only seem to."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import edgeml
from edgeml.core.errors import UnsupportedModelError
from edgeml.core.system.worker import Worker

SAYS = r"for a sample depends on the others of its batch: '{}' differs by up to .* between batches, first for sample "


def samples(features: int, count: int = 40) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((count, features)).astype(np.float32)


def write_onnx(path: Path, nodes: list[onnx.NodeProto], batch: int | str, **weights: np.ndarray) -> Path:
    """Writes a model from ``x`` of 4 columns to ``y`` of 8."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [batch, 8])],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def write_streaming_lstm(path: Path, batch: int | str) -> Path:
    """An LSTM over the first axis, which is time."""
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("Unsqueeze", ["x", "one"], ["steps"]),
        helper.make_node("LSTM", ["steps", "w", "r"], ["states", "", ""], hidden_size=8),
        helper.make_node("Squeeze", ["states", "two"], ["y"]),
    ]
    return write_onnx(
        path,
        nodes,
        batch,
        w=rng.standard_normal((1, 32, 4)).astype(np.float32),
        r=rng.standard_normal((1, 32, 8)).astype(np.float32),
        one=np.array([1]),
        two=np.array([1, 2]),
    )


def write_mlp(path: Path, batch: int | str) -> Path:
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("MatMul", ["x", "w1"], ["products"]),
        helper.make_node("Relu", ["products"], ["hidden"]),
        helper.make_node("MatMul", ["hidden", "w2"], ["y"]),
    ]
    weights = {"w1": rng.standard_normal((4, 64)), "w2": rng.standard_normal((64, 8))}
    return write_onnx(path, nodes, batch, **{name: array.astype(np.float32) for name, array in weights.items()})


def quantized(path: Path) -> Path:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    target = path.with_name("quantized.onnx")
    quantize_dynamic(path, target, weight_type=QuantType.QUInt8)
    return target


@pytest.mark.parametrize("count", [1, 40])
def test_a_mean_over_the_batch_is_refused(keras_models: Worker, count: int) -> None:
    """Of one sample too: the mean of others is another."""
    file = keras_models.call("make", "minus_mean", returns=Path)
    with pytest.raises(UnsupportedModelError, match=SAYS.format("value")) as refusal:
        edgeml.build(file, evaluation=samples(16, count), recipes="onnx-fp32", task="regression")
    assert "[batch, time, features]" in refusal.value.fix


@pytest.mark.slow
def test_batch_normalization_is_none(keras_models: Worker) -> None:
    file = keras_models.call("make", "normalized", returns=Path)
    package = edgeml.build(file, evaluation=samples(16), recipes="onnx-fp32", task="regression")
    assert package.released == ("onnx-fp32",)


def test_time_as_the_first_axis_of_an_onnx_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match=SAYS.format("y")):
        edgeml.build(write_streaming_lstm(tmp_path / "lstm.onnx", "frames"), evaluation=samples(4), recipes="onnx-fp32")


def test_a_fixed_length_as_the_first_axis_is_a_sample(tmp_path: Path) -> None:
    path = write_streaming_lstm(tmp_path / "lstm.onnx", 5)
    x = np.random.default_rng(0).standard_normal((20, 5, 4)).astype(np.float32)
    package = edgeml.build(path, evaluation=x, recipes="onnx-fp32")
    session = onnxruntime.InferenceSession(path)
    expected = np.stack([session.run(None, {"x": sample})[0] for sample in x])
    np.testing.assert_array_equal(package.session("onnx-fp32").predict(x), expected)
    remarks = package.artifact("onnx-fp32").verdict.remarks
    assert "the file does not show a batch for x, y: a call takes one sample" in remarks


def test_time_as_the_first_axis_of_a_file_with_dynamic_ranges_is_refused(tmp_path: Path) -> None:
    file = quantized(write_streaming_lstm(tmp_path / "lstm.onnx", "frames"))
    with pytest.raises(UnsupportedModelError, match=SAYS.format("y")):
        edgeml.build(file, evaluation=samples(4), recipes="onnx-dynamic")


@pytest.mark.slow
@pytest.mark.parametrize(("batch", "is_refused"), [(None, True), (4, True), (1, False)])
def test_sums_over_the_first_axis_of_a_tflite_file(keras_models: Worker, batch: int | None, is_refused: bool) -> None:
    """Of a batch of 1 they are the samples themselves."""
    file = keras_models.call("make_tflite", True, batch, returns=Path)
    if is_refused:
        with pytest.raises(UnsupportedModelError, match="depends on the others of its batch"):
            edgeml.build(file, evaluation=samples(8), recipes="tflite-fp32")
    else:
        assert edgeml.build(file, evaluation=samples(8), recipes="tflite-fp32").released == ("tflite-fp32",)


@pytest.mark.slow
@pytest.mark.parametrize("batch", [None, 4])
def test_a_tflite_file_of_independent_samples(keras_models: Worker, batch: int | None) -> None:
    file = keras_models.call("make_tflite", False, batch, returns=Path)
    assert edgeml.build(file, evaluation=samples(8), recipes="tflite-fp32").released == ("tflite-fp32",)


@pytest.mark.slow
def test_dynamic_ranges_run_one_sample_at_a_time(tmp_path: Path) -> None:
    """A sample of large values does not change the answers beside it, and the package says what other programs get."""
    file, x = write_mlp(tmp_path / "mlp.onnx", "n"), samples(4)
    x[5] *= 100
    package = edgeml.build(file, evaluation=x, recipes=["onnx-fp32", "onnx-dynamic"])
    artifact = package.artifact("onnx-dynamic")
    assert any("in one call of the engine with others" in remark for remark in artifact.verdict.remarks)
    assert not any("in one call" in remark for remark in package.artifact("onnx-fp32").verdict.remarks)
    raw = onnxruntime.InferenceSession(package.read(artifact.file))
    alone = np.concatenate([raw.run(None, {"x": row[None]})[0] for row in x])
    with package.session("onnx-dynamic") as session:
        np.testing.assert_array_equal(session.predict(x), alone)
    assert package.verify().golden


@pytest.mark.slow
@pytest.mark.parametrize("batch", ["n", 4])
def test_a_file_with_dynamic_ranges(tmp_path: Path, batch: int | str) -> None:
    """Of a fixed batch, its samples cannot run one at a time."""
    package = edgeml.build(quantized(write_mlp(tmp_path / "mlp.onnx", batch)), evaluation=samples(4), recipes=None)
    if batch == "n":
        assert package.released == ("onnx-dynamic",)
    else:
        (refusal,) = (item for item in package.manifest.refused if item.recipe == "onnx-dynamic")
        assert "depends on the others of its batch" in refusal.reason


@pytest.mark.slow
def test_dynamic_ranges_of_a_fixed_batch_are_refused(tmp_path: Path) -> None:
    """Static ones are those of the calibration samples."""
    x = samples(4)
    recipes = ["onnx-fp32", "onnx-dynamic", "onnx-int8"]
    package = edgeml.build(write_mlp(tmp_path / "mlp.onnx", 4), calibration=x, recipes=recipes)
    assert package.released == ("onnx-fp32", "onnx-int8")
    (refusal,) = package.manifest.refused
    assert (refusal.recipe, refusal.fix) == ("onnx-dynamic", "leave the batch out, or use batch=1.")
