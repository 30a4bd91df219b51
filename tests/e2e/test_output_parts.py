"""Models whose one output holds boxes beside scores, or a small target beside a large one, in 8 bits."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper
from sklearn.metrics import r2_score

import edgeml
from edgeml.core.errors import PackageError
from edgeml.core.system.worker import Worker
from edgeml.package.manifest_file import decode_manifest
from tests.support.detection import mean_average_precision, scenes, two_targets
from tests.support.forging import contents_of, manifest_text

pytestmark = pytest.mark.slow

RECIPES = ["tflite-int8", "onnx-int8"]


def predict(package: edgeml.Package, recipe: str, x: np.ndarray) -> np.ndarray:
    with package.session(recipe) as session:
        values = session.predict(x)
    assert isinstance(values, np.ndarray)
    return values


@pytest.fixture(scope="module")
def detector_file(keras_models: Worker) -> Path:
    return keras_models.call("make", "detector", returns=Path)


@pytest.fixture(scope="module")
def package_file(detector_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("detector") / "detector.edgeml"
    package = edgeml.build(
        detector_file, calibration=scenes(60, seed=2)[0], evaluation=scenes(60, seed=3)[0], recipes=RECIPES
    )
    package.save(file)
    return file


@pytest.fixture(scope="module")
def package(package_file: Path) -> edgeml.Package:
    return edgeml.open_package(package_file)


def test_an_int8_detector_keeps_its_mean_average_precision(
    package: edgeml.Package, detector_file: Path, keras_models: Worker
) -> None:
    pictures, truth = scenes(200, seed=4)
    (wanted,) = keras_models.call("answers", detector_file, [pictures], returns=list[np.ndarray])
    precision = mean_average_precision(wanted, truth)
    assert precision > 0.85
    for record in package.manifest.artifacts:
        assert record.verdict.status == "released"
        predicted = predict(package, record.recipe, pictures)
        assert len(np.unique(predicted[..., 4:])) > 20
        assert mean_average_precision(predicted, truth) == pytest.approx(precision, abs=0.01)


def test_every_way_to_run_gives_the_one_output_of_the_source(package: edgeml.Package) -> None:
    pictures = scenes(40, seed=5)[0]
    with package.session("tflite-int8") as session:
        predicted = session.predict(pictures)
        assert isinstance(predicted, np.ndarray)
        assert predicted.shape == (40, 16, 7)
        assert predicted.dtype == np.float32
        ways = {
            "by name": session.run({"picture": pictures})["detections"],
            "one by one": np.concatenate([session.predict(pictures[i : i + 1]) for i in range(40)]),
            "one by name": np.concatenate([session.run({"picture": p[None]})["detections"] for p in pictures]),
            "in small batches": np.concatenate([session.predict(pictures[i : i + 5]) for i in range(0, 40, 5)]),
            "with a size": session.predict(pictures, batch_size=3),
            "as a stream": np.stack([np.asarray(values) for values in session.stream(pictures)]),
            "as an iterator": session.predict(iter([pictures[:7], pictures[7:]])),
            "by its inputs": session.run(iter([{"picture": pictures}]))["detections"],
        }
        for way, values in ways.items():
            np.testing.assert_array_equal(values, predicted, err_msg=way)
        assert np.asarray(session.predict(pictures[:0])).shape == (0, 16, 7)
    with package.session("tflite-int8", isolated=True) as session:
        np.testing.assert_array_equal(session.predict(pictures), predicted)


def test_raw_outputs_are_the_parts_in_their_own_units(package: edgeml.Package) -> None:
    picture = scenes(1, seed=6)[0]
    with package.session("tflite-int8") as session:
        raw, whole = session.run_raw({"picture": picture}), session.predict(picture)
        assert isinstance(whole, np.ndarray)
        assert list(raw) == [spec.name for spec in session.signature.outputs]
        for spec in session.signature.outputs:
            assert spec.part is not None
            assert spec.quantization is not None
            assert raw[spec.name].dtype == np.int8
            real = (raw[spec.name].astype(np.float32) - spec.quantization.zero_point) * spec.quantization.scale
            np.testing.assert_allclose(real, whole[..., list(spec.part.positions)], rtol=1e-6)
        binding = session.bind()
        assert set(binding.outputs) == set(raw)


def test_commands_verify_and_run_it(package_file: Path, run: Callable[..., Any], tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", scenes(3, seed=7)[0])
    assert run("verify", package_file).returncode == 0
    done = run("predict", package_file, tmp_path / "x.npy", "-o", tmp_path / "y.npz", "--artifact", "tflite-int8")
    assert done.returncode == 0, done.stderr
    assert np.load(tmp_path / "y.npz")["scores"].shape == (3, 16, 7)
    shown = run("inspect", package_file)
    assert "detections_part_1 of tflite-int8: columns 0 to 3 of detections" in shown.stdout


@pytest.mark.parametrize(
    ("change", "clause"),
    [
        (lambda part: part.update(positions=[0, 1, 2]), "do not match|each position once"),
        (lambda part: part.update(positions=[0, 1, 2, 4]), "each position once"),
        (lambda part: part.update(positions=[1, 0, 2, 3]), "ascending"),
        (lambda part: part.update(positions=[-1, 0, 1, 2]), "each position once"),
        (lambda part: part.update(positions=[]), "do not match|each position once"),
        (lambda part: part.update(axis=0), "one axis"),
        (lambda part: part.update(axis=3), "one axis"),
        (lambda part: part.update(axis=1), "one axis"),
        (lambda part: part.update(output="else"), "each position once|expected those of the source"),
    ],
)
def test_parts_that_do_not_make_up_the_output_are_rejected(
    package_file: Path, change: Callable[[dict[str, Any]], object], clause: str
) -> None:
    manifest = json.loads(contents_of(package_file.read_bytes())["manifest.json"])
    (record,) = (item for item in manifest["artifacts"] if item["recipe"] == "tflite-int8")
    change(record["signature"]["outputs"][0]["part"])
    with pytest.raises(PackageError, match=clause):
        decode_manifest(manifest_text(manifest), "x")


def test_a_small_target_beside_a_large_one_keeps_its_r2(keras_models: Worker) -> None:
    file = keras_models.call("make", "two_targets", returns=Path)
    rng = np.random.default_rng(1)
    x = rng.uniform(0, 1, (300, 8)).astype(np.float32)
    truth = two_targets(x)
    (wanted,) = keras_models.call("answers", file, [x], returns=list[np.ndarray])
    package = edgeml.build(
        file, calibration=rng.uniform(0, 1, (200, 8)).astype(np.float32), evaluation=(x, truth), recipes=RECIPES
    )
    before = r2_score(truth, wanted, multioutput="raw_values")
    assert (before > 0.9).all()
    for record in package.manifest.artifacts:
        assert record.verdict.status == "released"
        predicted = predict(package, record.recipe, x)
        np.testing.assert_allclose(r2_score(truth, predicted, multioutput="raw_values"), before, atol=0.01)


@pytest.mark.parametrize("transposed", [False, True])
def test_an_onnx_file_with_boxes_beside_scores(tmp_path: Path, transposed: bool) -> None:
    """As exported YOLO models have it: convolutions of the channels first, and the anchors first or last."""
    rng = np.random.default_rng(0)
    weights = {"stem": (8, 3, 3, 3), "boxes": (4, 8, 1, 1), "scores": (3, 8, 1, 1)}
    constants: dict[str, np.ndarray] = {name: rng.normal(0, 0.4, shape) for name, shape in weights.items()}
    constants |= {"side": np.array(320.0)}
    nodes = [
        helper.make_node("Conv", ["x", "stem"], ["a"], pads=[1, 1, 1, 1], strides=[2, 2]),
        helper.make_node("Relu", ["a"], ["b"]),
        *(helper.make_node("Conv", ["b", name], [f"{name}_raw"]) for name in ("boxes", "scores")),
        helper.make_node("Concat", ["boxes_raw", "scores_raw"], ["raw"], axis=1),
        helper.make_node("Reshape", ["raw", "shape"], ["flat"]),
        helper.make_node("Split", ["flat", "split"], ["boxes_flat", "scores_flat"], axis=1),
        helper.make_node("Sigmoid", ["boxes_flat"], ["unit"]),
        helper.make_node("Mul", ["unit", "side"], ["pixels"]),
        helper.make_node("Sigmoid", ["scores_flat"], ["probabilities"]),
        helper.make_node("Concat", ["pixels", "probabilities"], ["joined"], axis=1),
        helper.make_node("Transpose", ["joined"], ["y"], perm=[0, 2, 1] if transposed else [0, 1, 2]),
    ]
    initializers = [numpy_helper.from_array(value.astype(np.float32), name) for name, value in constants.items()]
    initializers += [
        numpy_helper.from_array(np.array([-1, 7, 16]), "shape"),
        numpy_helper.from_array(np.array([4, 3]), "split"),
    ]
    sizes: list[str | int] = ["n", 16, 7] if transposed else ["n", 7, 16]
    graph = helper.make_graph(
        nodes,
        "head",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 3, 8, 8])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, sizes)],
        initializers,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "head.onnx")
    x = rng.normal(0, 1, (60, 3, 8, 8)).astype(np.float32)
    package = edgeml.build(
        tmp_path / "head.onnx", calibration=x[:30], evaluation=x[30:], recipes=["onnx-fp32", "onnx-int8"]
    )
    axis = 2 if transposed else 1
    exact, quantized = (np.moveaxis(predict(package, name, x[30:]), axis, -1) for name in ("onnx-fp32", "onnx-int8"))
    assert [record.verdict.status for record in package.manifest.artifacts] == ["released", "released"]
    for part in (slice(4), slice(4, 7)):
        noise, signal = quantized[..., part] - exact[..., part], exact[..., part] - exact[..., part].mean(axis=0)
        assert 10 * np.log10(np.square(signal).sum() / np.square(noise).sum()) > 20
