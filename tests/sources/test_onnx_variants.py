"""ONNX files as exporters of all ages write them, against bare onnxruntime and scikit-learn."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper
from skl2onnx import to_onnx
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

import edgeml
from edgeml.core.errors import InputError, UnsupportedModelError
from tests.support.onnx_nets import Tensors, answers, dense, random_inputs, saved_net
from tests.support.packing import artifact_bytes

FLOAT = TensorProto.FLOAT
RECIPES = ["onnx-fp32", "onnx-fp16", "onnx-dynamic", "onnx-int8"]


def refusals(package: edgeml.Package) -> dict[str, str]:
    return {item.recipe: item.reason for item in package.manifest.refused}


def check(path: Path, inputs: Mapping[str, np.ndarray], **options: Any) -> edgeml.Package:
    """Build a file as it is, and compare the session with onnxruntime alone."""
    package = edgeml.build(path, evaluation=dict(inputs), recipes="onnx-fp32", **options)
    assert package.released == ("onnx-fp32",)
    with package.session("onnx-fp32") as session:
        outputs = session.run(dict(inputs))
    for output, expected in zip(outputs.values(), answers(path, inputs), strict=True):
        np.testing.assert_array_equal(output, expected.astype(output.dtype))
    return package


def test_weights_in_a_file_beside_the_model(tmp_path: Path) -> None:
    path = dense(tmp_path / "net.onnx")
    x = random_inputs(20, 10)
    expected = check(path, {"x": x}).manifest.source.digest
    onnx.save(onnx.load(path), path, save_as_external_data=True, location="net.onnx.data", size_threshold=0)
    assert (tmp_path / "net.onnx.data").stat().st_size == 4 * 16 * 15
    package = check(path, {"x": x})
    assert package.manifest.source.digest == expected


def test_a_batch_of_minus_one_or_a_question_mark(tmp_path: Path) -> None:
    for batch in (-1, "?", None):
        path = dense(tmp_path / "net.onnx", shape=(batch, 10), output=(batch, 5))
        package = check(path, {"x": random_inputs(7, 10)})
        assert package.artifact("onnx-fp32").signature.inputs[0].shape == (None, 10)


@pytest.mark.parametrize("listed", [True, False])
def test_weights_among_the_inputs_of_an_old_file(tmp_path: Path, listed: bool) -> None:
    path = dense(tmp_path / "net.onnx", opsets={"": 9}, ir_version=3)
    model = onnx.load(path)
    if listed:  # as the format of that time wants it
        for tensor in model.graph.initializer:
            model.graph.input.append(helper.make_tensor_value_info(tensor.name, FLOAT, tensor.dims))
    onnx.save(model, path)
    package = edgeml.build(path, calibration=random_inputs(32, 10), recipes=RECIPES)
    assert package.released == tuple(RECIPES)


def test_a_set_of_operators_that_is_listed_twice(tmp_path: Path) -> None:
    path = dense(tmp_path / "net.onnx")
    model = onnx.load(path)
    model.opset_import.add(domain="", version=17)
    onnx.save(model, path)
    assert edgeml.build(path, calibration=random_inputs(32, 10), recipes=RECIPES).released == tuple(RECIPES)


@pytest.mark.parametrize(
    "dtype", ["uint8", "int8", "uint16", "int16", "uint32", "uint64", "bool", "float16", "float64"]
)
def test_inputs_of_other_dtypes(tmp_path: Path, dtype: str) -> None:
    code = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    path = dense(tmp_path / "net.onnx", dtype=code)
    x = np.random.default_rng(0).integers(0, 2 if dtype == "bool" else 100, (20, 10)).astype(dtype)
    package = edgeml.build(path, calibration=x, recipes=["onnx-fp32", "onnx-int8"])
    assert package.released == ("onnx-fp32", "onnx-int8")
    np.testing.assert_array_equal(package.session("onnx-fp32").predict(x), answers(path, {"x": x})[0])


def test_numbers_that_float32_does_not_represent(tmp_path: Path) -> None:
    nodes = [helper.make_node("Add", ["x", "one"], ["y"])]
    large = np.array([[2**32 - 9, 2**24 + 1]])
    for dtype in ("uint32", "uint64"):
        code = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        weights = {"one": np.ones(1, dtype)}
        path = saved_net(tmp_path / "net.onnx", nodes, {"x": (code, ["n", 2])}, {"y": (code, ["n", 2])}, weights)
        package = check(path, {"x": large.astype(dtype)})
        assert package.session("onnx-fp32").run({"x": large})["y"].tolist() == (large + 1).tolist()


def test_dtypes_without_numbers_are_refused_with_a_fix_that_helps(tmp_path: Path) -> None:
    path = dense(tmp_path / "net.onnx", dtype=TensorProto.BFLOAT16)
    with pytest.raises(UnsupportedModelError, match="'x' is of bfloat16") as caught:
        edgeml.build(path)
    assert "cast" in caught.value.fix


def test_sizes_of_outputs_that_only_a_run_shows(tmp_path: Path) -> None:
    for output in (("n", "anchors"), ("n", None), ("other", "anchors")):
        path = dense(tmp_path / "net.onnx", output=output)
        package = check(path, {"x": random_inputs(7, 10)})
        assert package.artifact("onnx-fp32").signature.outputs[0].shape == (None, 5)
    model = onnx.load(path)
    model.graph.output[0].type.tensor_type.ClearField("shape")
    onnx.save(model, path)
    check(path, {"x": random_inputs(7, 10)})


def test_an_output_whose_size_depends_on_the_values(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["p"]), helper.make_node("NonZero", ["p"], ["y"])]
    path = saved_net(tmp_path / "net.onnx", nodes, {"x": (FLOAT, [1, 50])}, {"y": (TensorProto.INT64, [2, "count"])})
    with pytest.raises(UnsupportedModelError, match="the size of 'y' depends on the values of the inputs"):
        edgeml.build(path)


def test_half_precision_of_shapes_that_the_model_computes(tmp_path: Path) -> None:
    """As PyTorch exports attention; onnxruntime ends the process where the inner shapes are not declared."""
    nodes = [
        helper.make_node("MatMul", ["x", "enter"], ["hidden"]),
        helper.make_node("Transpose", ["hidden"], ["moved"], perm=[1, 0, 2]),
        helper.make_node("MatMul", ["moved", "packed"], ["products"]),
        helper.make_node("Add", ["bias", "products"], ["heads"]),
        helper.make_node("Shape", ["moved"], ["sizes"]),
        helper.make_node("Slice", ["sizes", "begin", "end"], ["front"]),
        helper.make_node("Concat", ["front", "back"], ["shape"], axis=0),
        helper.make_node("Reshape", ["heads", "shape"], ["divided"]),
        helper.make_node("Transpose", ["divided"], ["y"], perm=[1, 0, 2, 3]),
    ]
    weights = {
        "enter": random_inputs(6, 8),
        "packed": random_inputs(8, 24),
        "bias": random_inputs(1, 24)[0],
        "begin": np.array([0]),
        "end": np.array([2]),
        "back": np.array([3, 8]),
    }
    for steps, sizes in ((10, {}), ("steps", {"steps": (10, 17)})):
        inputs: Tensors = {"x": (FLOAT, ["n", steps, 6])}
        path = saved_net(tmp_path / "net.onnx", nodes, inputs, {"y": (FLOAT, ["n", steps, 3, 8])}, weights)
        package = edgeml.build(path, sizes=sizes, recipes="onnx-fp16")
        assert package.released == ("onnx-fp16",), refusals(package)


# --- Free sizes ------------------------------------------------------------------------------------------------------


def test_free_sizes_are_named_and_fixed(tmp_path: Path) -> None:
    nodes = [helper.make_node("GlobalAveragePool", ["x"], ["p"]), helper.make_node("Flatten", ["p"], ["y"])]
    shape: list[int | str | None] = ["n", 3, "height", "?"]
    path = saved_net(tmp_path / "net.onnx", nodes, {"x": (FLOAT, shape)}, {"y": (FLOAT, ["n", "channels"])})
    with pytest.raises(UnsupportedModelError, match=r"has free sizes: height, x\.3; only the batch may be") as caught:
        edgeml.build(path)
    assert "--size height=N --size x.3=N" in caught.value.fix
    with pytest.raises(UnsupportedModelError, match=r"has free sizes: x\.3"):
        edgeml.build(path, sizes={"height": 4})
    for wrong, reason in (({"width": 4}, "its free sizes are n, height"), ({"height": 0}, "from 1 to"), (7, "a dict")):
        with pytest.raises(InputError, match=reason):
            edgeml.build(path, sizes=wrong)  # type: ignore[arg-type]  # which is the test
    package = check(path, {"x": random_inputs(9, 3, 4, 6)}, sizes={"height": 4, "x.3": 6})
    assert package.artifact("onnx-fp32").lineage == ("the given .onnx file", "sizes fixed: height=4, x.3=6")
    assert edgeml.build(path, sizes={"n": 2, "height": 4, "x.3": 6}, recipes="onnx-fp32").released


@pytest.mark.parametrize(
    ("shapes", "size"),
    [
        ({"x": ["nodes", 4], "adj": ["nodes", "nodes"]}, "nodes"),
        ({"x": ["batch", "seq"], "adj": ["seq", "seq"]}, "seq"),
    ],
)
def test_a_size_that_is_first_and_elsewhere_too_is_no_batch(
    tmp_path: Path, shapes: dict[str, list[int | str | None]], size: str
) -> None:
    nodes = [helper.make_node("ReduceSum", ["x"], ["a"]), helper.make_node("ReduceSum", ["adj"], ["b"])]
    nodes.append(helper.make_node("Add", ["a", "b"], ["y"]))
    inputs: Tensors = {name: (FLOAT, shape) for name, shape in shapes.items()}
    path = saved_net(tmp_path / "net.onnx", nodes, inputs, {"y": (FLOAT, [1, 1])})
    with pytest.raises(UnsupportedModelError, match=f"has free sizes: {size}") as caught:
        edgeml.build(path)
    assert f"--size {size}=N" in caught.value.fix


def test_other_models_do_not_have_free_sizes(net_file: Path) -> None:
    with pytest.raises(InputError, match=r"only \.tflite and \.onnx files have free sizes"):
        edgeml.build(net_file, sizes={"height": 4})


# --- Inputs without a batch ------------------------------------------------------------------------------------------


def test_a_threshold_is_a_number_for_each_sample(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Greater", ["x", "threshold"], ["above"]),
        helper.make_node("Cast", ["above"], ["kept"], to=FLOAT),
        helper.make_node("Mul", ["x", "kept"], ["scaled"]),
        helper.make_node("Mul", ["scaled", "scales"], ["y"]),
    ]
    inputs: Tensors = {"x": (FLOAT, ["n", 3]), "threshold": (FLOAT, []), "scales": (FLOAT, [3])}
    path = saved_net(tmp_path / "net.onnx", nodes, inputs, {"y": (FLOAT, ["n", 3])})
    x, threshold, scales = random_inputs(30, 3), random_inputs(30, seed=2), random_inputs(30, 3, seed=3)
    data = {"x": x, "threshold": threshold, "scales": scales}
    package = edgeml.build(path, evaluation=data, recipes=["onnx-fp32", "onnx-fp16"])
    assert package.released == ("onnx-fp32", "onnx-fp16")
    expected = np.where(x > threshold[:, None], x, 0) * scales
    saved = tmp_path / "net.edgeml"
    package.save(saved)
    with edgeml.open_package(saved).session("onnx-fp32") as session:
        np.testing.assert_array_equal(session.run(data)["y"], expected)
        np.testing.assert_array_equal(session.run({name: array[:1] for name, array in data.items()})["y"], expected[:1])
        loop = session.bind()
        loop.inputs["x"][...], loop.inputs["threshold"][...], loop.inputs["scales"][...] = x[3], threshold[3], scales[3]
        loop.run()
        np.testing.assert_array_equal(loop.outputs["y"], expected[3:4])
    with edgeml.open_package(saved).session("onnx-fp32", isolated=True) as session:
        np.testing.assert_array_equal(session.run(data)["y"], expected)
    with pytest.raises(InputError, match="batch"):
        edgeml.open_package(saved).session("onnx-fp32").bind(4)


@pytest.mark.parametrize("axis", [0, 1])
def test_a_first_axis_that_is_no_batch(tmp_path: Path, axis: int) -> None:
    """A softmax over the first axis takes one matrix per call; over the second three rows."""
    nodes = [helper.make_node("Softmax", ["x"], ["y"], axis=axis)]
    path = saved_net(tmp_path / "net.onnx", nodes, {"x": (FLOAT, [3, 4])}, {"y": (FLOAT, [3, 4])})
    package = edgeml.build(path, recipes="onnx-fp32")
    assert package.released == ("onnx-fp32",)
    x = random_inputs(3, 4)
    (expected,) = answers(path, {"x": x})
    session = package.session("onnx-fp32")
    outputs = np.asarray(session.predict(x[None] if axis == 0 else x))
    np.testing.assert_array_equal(outputs.reshape(3, 4), expected)


def test_matrices_without_a_batch(tmp_path: Path) -> None:
    nodes = [helper.make_node("MatMul", ["a", "b"], ["y"])]
    inputs = {"a": (FLOAT, [3, 4]), "b": (FLOAT, [4, 2])}
    path = saved_net(tmp_path / "net.onnx", nodes, inputs, {"y": (FLOAT, [3, 2])})
    package = edgeml.build(path, recipes=RECIPES)
    a, b = random_inputs(5, 3, 4), random_inputs(5, 4, 2)
    products = np.asarray(package.session("onnx-fp32").predict({"a": a, "b": b}))
    np.testing.assert_allclose(products, a @ b, atol=1e-6)
    assert "no matrix products or convolutions with constant weights" in refusals(package)["onnx-dynamic"]


# --- Classifiers and metadata ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("zipmap", [False, True])
@pytest.mark.parametrize("text", [False, True])
def test_classifiers_of_skl2onnx(tmp_path: Path, text: bool, zipmap: bool) -> None:
    data = load_iris()
    x, y = data.data.astype(np.float32), data.target_names[data.target] if text else data.target + 5
    model = make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y)
    path = tmp_path / "net.onnx"
    path.write_bytes(to_onnx(model, x[:1], options={"zipmap": zipmap}).SerializeToString())
    package = edgeml.build(path, evaluation=(x, y), recipes="onnx-fp32")
    record = package.artifact("onnx-fp32")
    assert record.evaluation.metrics is not None
    assert record.evaluation.metrics.accuracy == pytest.approx((model.predict(x) == y).mean())
    with package.session("onnx-fp32") as session:
        assert session.labels == tuple(model.classes_.tolist())
        np.testing.assert_array_equal(session.classify(x), model.predict(x))
        np.testing.assert_allclose(np.asarray(session.predict(x)), model.predict_proba(x), atol=1e-5)


def test_own_artifacts_of_tables(tmp_path: Path) -> None:
    """An artifact that takes text and float64 columns is a source like any other."""
    import pandas as pd
    from sklearn.compose import make_column_transformer
    from sklearn.preprocessing import OneHotEncoder

    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"town": rng.choice(["Bonn", "Kiel", "Ulm"], 200), "rooms": rng.integers(1, 6, 200) / 3})
    y = (frame["rooms"] > 1).to_numpy().astype(int)
    columns = make_column_transformer((OneHotEncoder(), ["town"]), (StandardScaler(), ["rooms"]))
    model = make_pipeline(columns, LogisticRegression()).fit(frame, y)
    first = edgeml.build(model, evaluation=(frame, y), recipes="onnx-fp32")
    path = tmp_path / "net.onnx"
    path.write_bytes(artifact_bytes(first, "onnx-fp32"))
    data = {name: frame[[name]].to_numpy() for name in frame}
    package = edgeml.build(path, evaluation=data, recipes="onnx-fp32")
    assert package.released == ("onnx-fp32",)
    np.testing.assert_array_equal(package.session("onnx-fp32").classify(data), model.predict(frame))


def test_metadata_are_kept_and_names_of_classes_are_labels(tmp_path: Path) -> None:
    path = dense(tmp_path / "net.onnx")
    model = onnx.load(path)
    model.graph.node.append(helper.make_node("Softmax", ["y"], ["scores"], axis=1))
    model.graph.output[0].name = "scores"
    names = ["cat", "dog", "emu", "fox", "gnu"]
    entries = {"names": repr(dict(enumerate(names))), "stride": "32"}
    helper.set_model_props(model, entries)
    onnx.save(model, path)
    x = random_inputs(20, 10)
    package = edgeml.build(path, evaluation=x, calibration=x, recipes=RECIPES)
    for recipe in package.released:
        with package.session(recipe) as session:
            assert session.labels == tuple(names)
    saved = tmp_path / "net.edgeml"
    package.save(saved)
    with zipfile.ZipFile(saved) as archive:
        for recipe in package.released:
            kept = onnx.load_from_string(archive.read(f"artifacts/{recipe}.onnx")).metadata_props
            assert {entry.key: entry.value for entry in kept} == entries
    remarks = package.artifact("onnx-fp32").verdict.remarks
    assert any("names of classes in the file's metadata (cat, dog, emu, …)" in text for text in remarks)
    y = answers(path, {"x": x})[0].argmax(axis=1)
    numbers = edgeml.build(path, evaluation=(x, y), recipes="onnx-fp32")
    assert numbers.session("onnx-fp32").labels == (0, 1, 2, 3, 4)
    assert any("labels= takes" in text for text in numbers.artifact("onnx-fp32").verdict.remarks)


def test_two_labels_by_one_score_and_scores_of_float64(tmp_path: Path) -> None:
    data = load_iris()
    y = data.target_names[data.target]
    path = tmp_path / "net.onnx"
    two = data.target > 0
    for model, x, truth in (
        (LinearSVC().fit(data.data, two.astype(int)), data.data.astype(np.float32), two.astype(int)),
        (LogisticRegression(max_iter=500).fit(data.data, y), data.data, y),
    ):
        options = {} if isinstance(model, LinearSVC) else {"zipmap": False}
        path.write_bytes(to_onnx(model, x[:1], options=options).SerializeToString())
        package = edgeml.build(path, evaluation=(x, truth), recipes="onnx-fp32")
        classified = package.session("onnx-fp32").classify(x)
        assert (classified.astype(str) == model.predict(x).astype(str)).all()


@pytest.mark.parametrize("width", [3, 8])
def test_a_table_beside_other_numbers_is_no_classifier(tmp_path: Path, width: int) -> None:
    """The table is not chosen from by the largest of these numbers."""
    rng = np.random.default_rng(0)
    nodes = [
        helper.make_node("ArgMax", ["x"], ["place"], axis=1, keepdims=0),
        helper.make_node("Gather", ["table", "place"], ["bucket"]),
        helper.make_node("MatMul", ["x", "w"], ["e"]),
    ]
    weights = {"table": np.array([10, 20, 30]), "w": rng.standard_normal((3, width)).astype(np.float32)}
    outputs: Tensors = {"bucket": (TensorProto.INT64, ["n"]), "e": (FLOAT, ["n", width])}
    path = saved_net(tmp_path / "net.onnx", nodes, {"x": (FLOAT, ["n", 3])}, outputs, weights)
    package = check(path, {"x": random_inputs(20, 3)})
    assert package.manifest.source.decision is None


@pytest.mark.parametrize(
    ("names", "labels"),
    [
        ('{"0": "cat", "1": "dog", "2": "emu", "3": "fox", "4": "gnu"}', ("cat", "dog", "emu", "fox", "gnu")),
        ('["cat", "dog", "emu", "fox", "\\ud83e\\udd8c"]', ("cat", "dog", "emu", "fox", "\U0001f98c")),
        ("{[0]: 'cat'}", None),
        ("{{}: 1}", None),
        ("['cat', 'cat', 'cat', 'cat', 'cat']", None),
        ("['a', 'b']", None),
        ("cat, dog", None),
    ],
)
def test_names_of_classes_in_several_forms(tmp_path: Path, names: str, labels: tuple[str, ...] | None) -> None:
    path = dense(tmp_path / "net.onnx")
    model = onnx.load(path)
    model.graph.node.append(helper.make_node("Softmax", ["y"], ["scores"], axis=1))
    model.graph.output[0].name = "scores"
    helper.set_model_props(model, {"names": names})
    onnx.save(model, path)
    package = edgeml.build(path, evaluation=random_inputs(20, 10), recipes="onnx-fp32")
    expected = (0, 1, 2, 3, 4) if labels is None else labels
    assert package.session("onnx-fp32").labels == expected


# --- Names -----------------------------------------------------------------------------------------------------------


def test_plain_names_of_the_ends_in_use_elsewhere(tmp_path: Path) -> None:
    """The plain name of the input is that of tensors in a branch, and its next choice is in use too."""
    branch = [
        helper.make_graph(
            [helper.make_node("Mul", ["in/x", "two"], ["in_x"]), helper.make_node("Abs", ["in_x"], [f"y{i}"])],
            f"branch{i}",
            [],
            [helper.make_tensor_value_info(f"y{i}", FLOAT, ["n", 4])],
        )
        for i in range(2)
    ]
    nodes = [
        helper.make_node("Identity", ["in/x"], ["in_x__1"]),
        helper.make_node("If", ["flag"], ["chosen"], then_branch=branch[0], else_branch=branch[1]),
        helper.make_node("Add", ["chosen", "in_x__1"], ["y"]),
    ]
    weights = {"two": np.full(1, 2, np.float32), "flag": np.array(True)}
    path = saved_net(tmp_path / "net.onnx", nodes, {"in/x": (FLOAT, ["n", 4])}, {"y": (FLOAT, ["n", 4])}, weights)
    x = random_inputs(20, 4)
    package = edgeml.build(path, evaluation=x, recipes="onnx-fp32")
    np.testing.assert_array_equal(package.session("onnx-fp32").run({"in_x": x})["y"], answers(path, {"in/x": x})[0])


def test_an_input_that_is_an_output_and_an_output_that_is_a_weight(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    outputs: Tensors = {"y": (FLOAT, [1, 4]), "x": (FLOAT, [1, 4]), "anchors": (FLOAT, [1, 3])}
    weights = {"anchors": np.arange(3, dtype=np.float32)[None]}
    path = saved_net(tmp_path / "net.onnx", nodes, {"x": (FLOAT, [1, 4])}, outputs, weights)
    x = random_inputs(20, 4)
    package = edgeml.build(path, evaluation={"x": x}, recipes="onnx-fp32")
    answer = package.session("onnx-fp32").run({"x": x})
    assert list(answer) == ["y", "x", "anchors"]
    np.testing.assert_array_equal(answer["x"], x)
    np.testing.assert_array_equal(answer["anchors"], np.tile(weights["anchors"], (20, 1)))


# --- Quantization ----------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_tensors_behind_operators_of_other_domains_are_quantized(tmp_path: Path) -> None:
    x = random_inputs(64, 10)
    path = tmp_path / "net.onnx"
    for net in (MLPRegressor, MLPClassifier):
        y = x.sum(axis=1) if net is MLPRegressor else (x.sum(axis=1) > 0).astype(int)
        model = make_pipeline(StandardScaler(), net(hidden_layer_sizes=(32,), max_iter=50, random_state=0)).fit(x, y)
        options = {"zipmap": False} if net is MLPClassifier else {}
        path.write_bytes(to_onnx(model, x[:1], options=options).SerializeToString())
        package = edgeml.build(path, calibration=x, recipes=RECIPES)
        assert not package.manifest.refused
        operators = {record.recipe: record.needs.operators for record in package.manifest.artifacts}
        assert "MatMulInteger" in operators["onnx-dynamic"]
        assert "QuantizeLinear" in operators["onnx-int8"]


def test_names_that_the_quantizer_would_give(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    names = [
        "hidden_quantized",
        "w1_scale",
        "w1_zero_point",
        "hidden_QuantizeLinear_Output",
        "w1_DequantizeLinear_Output",
    ]
    nodes = [helper.make_node("MatMul", ["x", "w1"], ["hidden"])]
    for before, after in zip(["hidden", *names], [*names, "last"], strict=True):
        nodes.append(helper.make_node("Relu", [before], [after]))
    nodes.append(helper.make_node("MatMul", ["last", "w2"], ["y"]))
    weights = {"w1": rng.random((10, 16)).astype(np.float32), "w2": rng.random((16, 5)).astype(np.float32)}
    path = saved_net(tmp_path / "net.onnx", nodes, {"x": (FLOAT, ["n", 10])}, {"y": (FLOAT, ["n", 5])}, weights)
    package = edgeml.build(path, calibration=random_inputs(64, 10), recipes=RECIPES)
    assert package.released == tuple(RECIPES)


@pytest.mark.parametrize("first", ["x", "t1"])  # of an artifact, whose own tensors are t1, t2, and so on
def test_inputs_and_outputs_of_names_that_the_quantizer_would_give(tmp_path: Path, first: str) -> None:
    nodes = [
        helper.make_node("MatMul", [first, "w"], ["p"]),
        helper.make_node("MatMul", ["x_scale", "w"], ["q"]),
        helper.make_node("Add", ["p", "q"], ["y"]),
        helper.make_node("MatMul", ["y", "v"], ["y_zero_point"]),
    ]
    inputs: Tensors = {first: (FLOAT, ["n", 8]), "x_scale": (FLOAT, ["n", 8])}
    outputs: Tensors = {"y": (FLOAT, ["n", 6]), "y_zero_point": (FLOAT, ["n", 6])}
    rng = np.random.default_rng(0)
    weights = {"w": rng.standard_normal((8, 6)).astype(np.float32), "v": rng.standard_normal((6, 6)).astype(np.float32)}
    path = saved_net(tmp_path / "net.onnx", nodes, inputs, outputs, weights)
    x = {first: random_inputs(64, 8), "x_scale": random_inputs(64, 8, seed=2)}
    package = edgeml.build(path, calibration=x, recipes=RECIPES)
    assert package.released == tuple(RECIPES)
    for recipe in RECIPES:
        assert list(package.session(recipe).run(x)) == list(outputs)


@pytest.mark.parametrize("opset", [7, 9, 12, 17])
@pytest.mark.parametrize("batch", ["n", 1, 4])
def test_a_bias_of_one_row_and_all_opsets(tmp_path: Path, opset: int, batch: int | str) -> None:
    rng = np.random.default_rng(0)
    weights = {"w": rng.standard_normal((5, 8)), "b": rng.standard_normal((1, 5))}
    path = saved_net(
        tmp_path / "net.onnx",
        [helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=1)],
        {"x": (FLOAT, [batch, 8])},
        {"y": (FLOAT, [batch, 5])},
        {name: array.astype(np.float32) for name, array in weights.items()},
        opsets={"": opset},
        ir_version=3 if opset < 9 else 8,
    )
    recipes = ["onnx-fp32", "onnx-fp16", "onnx-int8"]
    assert edgeml.build(path, calibration=random_inputs(64, 8), recipes=recipes).released == tuple(recipes)


def test_attention_of_onnx_itself_stays_in_floats(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weights = {name: (rng.standard_normal((16, 16)) / 4).astype(np.float32) for name in "QKVO"}
    nodes = [helper.make_node("MatMul", ["x", name], [f"{name}x"]) for name in "QKV"]
    nodes += [
        helper.make_node("Attention", ["Qx", "Kx", "Vx"], ["a"], q_num_heads=2, kv_num_heads=2),
        helper.make_node("MatMul", ["a", "O"], ["y"]),
    ]
    shape: list[int | str | None] = ["n", 6, 16]
    path = saved_net(
        tmp_path / "net.onnx",
        nodes,
        {"x": (FLOAT, shape)},
        {"y": (FLOAT, shape)},
        weights,
        opsets={"": 23},
        ir_version=10,
    )
    package = edgeml.build(path, calibration=random_inputs(32, 6, 16), recipes=RECIPES)
    assert {"onnx-fp32", "onnx-dynamic", "onnx-int8"} <= set(package.released)
    assert package.artifact("onnx-dynamic").needs.engine_version == "1.23.0"


def test_a_variance_beyond_float16_is_folded_first(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    weights = {
        "w": 100 * rng.standard_normal((8, 3, 3, 3)),
        "scale": np.full(8, 100.0),
        "bias": rng.standard_normal(8),
        "mean": np.zeros(8),
        "variance": np.full(8, 9.8e7),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["c", "scale", "bias", "mean", "variance"], ["y"]),
    ]
    arrays = {name: array.astype(np.float32) for name, array in weights.items()}
    path = saved_net(
        tmp_path / "net.onnx", nodes, {"x": (FLOAT, ["n", 3, 8, 8])}, {"y": (FLOAT, ["n", 8, 8, 8])}, arrays
    )
    package = edgeml.build(path, evaluation=random_inputs(32, 3, 8, 8), recipes="onnx-fp16")
    assert package.released == ("onnx-fp16",)
    assert not any("clamped" in text for text in package.artifact("onnx-fp16").verdict.remarks)


def test_constants_that_float16_clamps_are_told(tmp_path: Path) -> None:
    nodes = [helper.make_node("Clip", ["x", "low", "high"], ["y"])]
    weights = {"low": np.float32(-1e9), "high": np.float32(1e9)}
    path = saved_net(
        tmp_path / "net.onnx",
        nodes,
        {"x": (FLOAT, ["n", 4])},
        {"y": (FLOAT, ["n", 4])},
        {name: np.array(value) for name, value in weights.items()},
    )
    package = edgeml.build(path, evaluation=random_inputs(32, 4), recipes="onnx-fp16")
    remarks = package.artifact("onnx-fp16").verdict.remarks
    assert any("constants above 65,504 were clamped to it" in text for text in remarks)
