"""Sizes that stay free: builds, proof at several sizes, and golden vectors, against bare engines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

import edgeml
from edgeml.core.errors import InputError, PackageError, UnsupportedModelError
from edgeml.preprocessing import Audio
from tests.support.forging import forged
from tests.support.onnx_nets import Tensors, answers, framed, random_inputs, saved_net
from tests.support.packing import artifact_bytes

FLOAT = TensorProto.FLOAT
SIZES = {"length": (400, 200, 800)}


def equal_to_the_engine(package: edgeml.Package, path: Path, inputs: Mapping[str, np.ndarray]) -> None:
    """Compare the float32 artifact with onnxruntime alone."""
    with package.session("onnx-fp32") as session:
        outputs = session.run(dict(inputs))
    for output, expected in zip(outputs.values(), answers(path, inputs), strict=True):
        np.testing.assert_array_equal(output, expected)


def test_artifacts_are_proven_at_each_size(sound_package: edgeml.Package, sound_package_file: Path) -> None:
    assert sound_package.released == ("onnx-fp32", "onnx-int8")
    for record in sound_package.manifest.artifacts:
        assert record.lineage[:2] == ("the given .onnx file", "sizes kept free: length")
        (sound,), (frames, scores) = record.signature.inputs, record.signature.outputs
        assert (sound.shape, sound.sizes) == ((None, None), ("length",))
        assert (frames.shape, scores.shape) == ((None, None, 8), (None, 5))
        assert [each.sizes for each in record.evaluation.at_sizes] == [{"length": 200}, {"length": 800}]
        assert all(each.fidelity.samples == 64 for each in record.evaluation.at_sizes)
        assert min(each.fidelity.sqnr_db for each in record.evaluation.at_sizes) > 20
    source = onnxruntime.InferenceSession(sound_package_file.with_name("net.onnx"))
    golden = sound_package.manifest.golden, *sound_package.manifest.golden_at
    assert [each.sizes for each in golden] == [{"length": 400}, {"length": 200}, {"length": 800}]
    for each in golden:
        inputs = sound_package.golden_inputs(each.sizes)
        assert inputs["sound"].shape == (each.samples, each.sizes["length"])
        frames, _ = source.run(None, inputs)
        with sound_package.session("onnx-fp32") as session:
            np.testing.assert_array_equal(session.run(inputs)["frames"], frames)
    checks = sound_package.verify().golden
    assert [check.status for check in checks] == ["holds"] * 6
    assert {check.detail.partition(":")[0] for check in checks} == {f"at length={n}" for n in (200, 400, 800)}


def test_other_sizes_run_as_in_the_engine(sound_package: edgeml.Package, sound_package_file: Path) -> None:
    for length in (9, 123, 3000):
        inputs = {"sound": random_inputs(7, length)}
        equal_to_the_engine(sound_package, sound_package_file.with_name("net.onnx"), inputs)
    longer = sound_package.golden_inputs({"length": 1000})["sound"]
    shorter = sound_package.golden_inputs()["sound"]
    np.testing.assert_array_equal(longer, np.concatenate([shorter, shorter, shorter[:, :200]], axis=1))


def test_the_artifact_keeps_the_names_of_sizes(sound_package: edgeml.Package, tmp_path: Path) -> None:
    path = tmp_path / "own.onnx"
    path.write_bytes(artifact_bytes(sound_package, "onnx-fp32"))
    shape = onnx.load(path).graph.input[0].type.tensor_type.shape
    assert [size.dim_param for size in shape.dim] == ["batch", "length"]
    again = edgeml.build(path, sizes=SIZES, recipes="onnx-fp32")
    assert again.released == ("onnx-fp32",)


def test_without_numbers_a_free_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedModelError, match="has free sizes: length") as caught:
        edgeml.build(framed(tmp_path / "net.onnx"))
    assert "--size length=N (sizes= in Python)" in caught.value.fix
    assert "--size length=N,M" in caught.value.fix


@pytest.mark.parametrize(
    ("sizes", "reason"),
    [
        ({"length": (400,)}, "proven at two numbers at least"),
        ({"length": [400, 400]}, "proven at two numbers at least"),
        ({"length": (400, 0)}, "from 1 to"),
        ({"length": (400, "800")}, "'800', expected a whole number"),
        ({"length": True}, "True, expected a whole number"),
        ({"other": (1, 2)}, "does not have a free size 'other'"),
        ({"length": (1, 2), "other": (1, 2, 3)}, "got 2 for length, 3 for other, expected as many"),
        ({7: 4}, "expected a dict"),
    ],
)
def test_odd_numbers_are_refused(tmp_path: Path, sizes: Any, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        edgeml.build(framed(tmp_path / "net.onnx"), sizes=sizes)


def test_a_recording_without_a_batch(tmp_path: Path) -> None:
    """The first size is the length: [length] becomes [frames, 4]."""
    nodes = [
        helper.make_node("Unsqueeze", ["sound", "front"], ["row"]),
        helper.make_node("Conv", ["row", "filters"], ["filtered"], strides=[2]),
        helper.make_node("Squeeze", ["filtered", "first"], ["flat"]),
        helper.make_node("Transpose", ["flat"], ["frames"]),
    ]
    weights = {"front": np.array([0, 1]), "first": np.array([0]), "filters": random_inputs(4, 1, 5)}
    tensors: Tensors = {"sound": (FLOAT, ["length"])}
    path = saved_net(tmp_path / "net.onnx", nodes, tensors, {"frames": (FLOAT, ["f", 4])}, weights)
    with pytest.raises(UnsupportedModelError, match="does not run") as caught:
        edgeml.build(path)
    assert "--size NAME=N" in caught.value.fix
    package = edgeml.build(path, sizes={"length": (100, 333)}, recipes="onnx-fp32")
    signature = package.artifact("onnx-fp32").signature
    assert [(spec.shape, spec.unbatched) for spec in (*signature.inputs, *signature.outputs)] == [
        ((1, None), True),
        ((1, None, 4), True),
    ]
    x = random_inputs(3, 77)
    expected = [answers(path, {"sound": each})[0] for each in x]
    np.testing.assert_array_equal(package.session("onnx-fp32").predict(x), np.stack(expected))
    assert len(package.verify().golden) == 2


def tokens(path: Path) -> Path:
    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"]),
        helper.make_node("Cast", ["mask"], ["kept"], to=FLOAT),
        helper.make_node("Unsqueeze", ["kept", "last"], ["column"]),
        helper.make_node("Mul", ["rows", "column"], ["hidden"]),
        helper.make_node("ReduceMean", ["hidden"], ["pooled"], axes=[1], keepdims=0),
    ]
    weights = {"table": random_inputs(50, 8), "last": np.array([2])}
    pair = (TensorProto.INT64, ["batch", "sequence"])
    outputs: Tensors = {"pooled": (FLOAT, ["batch", 8]), "hidden": (FLOAT, ["batch", "sequence", 8])}
    return saved_net(path, nodes, {"ids": pair, "mask": pair}, outputs, weights)


def test_inputs_share_a_size(tmp_path: Path) -> None:
    path, rng = tokens(tmp_path / "net.onnx"), np.random.default_rng(0)
    data = {"ids": rng.integers(0, 50, (40, 12)), "mask": rng.integers(0, 2, (40, 12))}
    package = edgeml.build(path, sizes={"sequence": (6, 24)}, evaluation=data, recipes="onnx-fp32")
    # The data have another length than the two: it is proven too.
    assert package.manifest.golden.sizes == {"sequence": 12}
    assert [each.sizes for each in package.manifest.golden_at] == [{"sequence": 6}, {"sequence": 24}]
    equal_to_the_engine(package, path, {name: array[:, :5] for name, array in data.items()})
    uneven = {"ids": data["ids"], "mask": data["mask"][:, :5]}
    with package.session("onnx-fp32") as session, pytest.raises(InputError, match="'sequence' is 5, and 12 in another"):
        session.run(uneven)
    with pytest.raises(InputError, match="evaluation, input 'mask': 'sequence' is 5, and 12 in another"):
        edgeml.build(path, sizes={"sequence": (6, 24)}, evaluation=uneven, recipes="onnx-fp32")


def test_some_sizes_fixed_and_others_free(tmp_path: Path) -> None:
    nodes = [helper.make_node("MaxPool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2])]
    inputs: Tensors = {"x": (FLOAT, ["n", 3, "height", None])}
    path = saved_net(tmp_path / "net.onnx", nodes, inputs, {"y": (FLOAT, ["n", 3, "a", "b"])})
    package = edgeml.build(path, sizes={"height": (8, 12), "x.3": 6}, recipes="onnx-fp32")
    record = package.artifact("onnx-fp32")
    assert record.lineage == ("the given .onnx file", "sizes fixed: x.3=6", "sizes kept free: height")
    assert record.signature.outputs[0].shape == (None, 3, None, 3)
    equal_to_the_engine(package, path, {"x": random_inputs(5, 3, 20, 6)})
    both = edgeml.build(path, sizes={"height": (8, 12), "x.3": (6, 4)}, recipes="onnx-fp32")
    golden = both.manifest.golden, *both.manifest.golden_at
    assert [each.sizes for each in golden] == [{"height": 8, "x.3": 6}, {"height": 12, "x.3": 4}]


def test_sizes_of_outputs_that_are_the_same_at_all_numbers_are_free_too(tmp_path: Path) -> None:
    nodes = [helper.make_node("AveragePool", ["x"], ["y"], kernel_shape=[16], strides=[16])]
    path = saved_net(tmp_path / "net.onnx", nodes, {"x": (FLOAT, ["n", 1, "length"])}, {"y": (FLOAT, None)})
    package = edgeml.build(path, sizes={"length": (33, 40)}, recipes="onnx-fp32")  # two frames each
    assert package.artifact("onnx-fp32").signature.outputs[0].shape == (None, 1, None)
    equal_to_the_engine(package, path, {"x": random_inputs(5, 1, 100)})


def test_a_fixed_batch(tmp_path: Path) -> None:
    weights = {"w": random_inputs(4, 1, 5)}
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"])]
    for batch in (1, 4):
        inputs: Tensors = {"x": (FLOAT, [batch, 1, "length"])}
        path = saved_net(tmp_path / "net.onnx", nodes, inputs, {"y": (FLOAT, [batch, 4, "frames"])}, weights)
        package = edgeml.build(path, sizes={"length": (30, 9)}, recipes="onnx-fp32")
        x = random_inputs(10, 1, 50)
        outputs = np.asarray(package.session("onnx-fp32").predict(x))
        np.testing.assert_array_equal(outputs[:batch], answers(path, {"x": x[:batch]})[0])
        assert outputs.shape == (10, 4, 46)
    free = framed(tmp_path / "free.onnx")
    package = edgeml.build(free, sizes=SIZES, batch=2, recipes="onnx-fp32")
    assert package.artifact("onnx-fp32").signature.inputs[0].shape == (2, None)


def test_models_that_do_not_run_at_a_size(tmp_path: Path) -> None:
    path = framed(tmp_path / "net.onnx")
    with pytest.raises(UnsupportedModelError, match="a trial run at length=8 failed"):
        edgeml.build(path, sizes={"length": (400, 8)})
    nodes = [helper.make_node("Relu", ["x"], ["r"]), helper.make_node("NonZero", ["r"], ["y"])]
    outputs: Tensors = {"y": (TensorProto.INT64, [2, "count"])}
    path = saved_net(tmp_path / "chosen.onnx", nodes, {"x": (FLOAT, [1, "length"])}, outputs)
    with pytest.raises(UnsupportedModelError, match="the size of 'y' depends on the values of the inputs"):
        edgeml.build(path, sizes={"length": (50, 60)})


def test_a_state_has_steps_of_one_size(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Add", ["x", "state"], ["y"]),
        helper.make_node("ReduceMean", ["y"], ["state_out"], axes=[1]),
    ]
    inputs: Tensors = {"x": (FLOAT, [1, "length"]), "state": (FLOAT, [1, 1])}
    outputs: Tensors = {"y": (FLOAT, [1, "length"]), "state_out": (FLOAT, [1, 1])}
    path = saved_net(tmp_path / "net.onnx", nodes, inputs, outputs)
    with pytest.raises(UnsupportedModelError, match="its steps are of one size: length cannot stay free") as caught:
        edgeml.build(path, sizes={"length": (8, 16)}, stateful=True)
    assert "--size length=N" in caught.value.fix


# --- Truth and labels ------------------------------------------------------------------------------------------------


def steps(path: Path, *, softmax: bool = True, name: str = "y") -> tuple[Path, np.ndarray]:
    """Five scores for each step of three numbers."""
    weights = random_inputs(3, 5)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["l"])]
    nodes += [helper.make_node("Softmax" if softmax else "Identity", ["l"], [name])]
    tensors: Sequence[int | str] = ["n", "steps"]
    inputs: Tensors = {"x": (FLOAT, [*tensors, 3])}
    return saved_net(path, nodes, inputs, {name: (FLOAT, [*tensors, 5])}, {"w": weights}), weights


def test_a_label_for_each_step(tmp_path: Path) -> None:
    path, weights = steps(tmp_path / "net.onnx")
    x = random_inputs(30, 9, 3)
    labels = (x @ weights).argmax(axis=-1)
    for y in (labels, np.eye(5)[labels]):
        package = edgeml.build(path, sizes={"steps": (9, 20)}, evaluation=(x, y), recipes="onnx-fp32")
        assert package.manifest.source.task == "sequence"
        metrics = package.artifact("onnx-fp32").evaluation.metrics
        assert metrics is not None
        assert metrics.accuracy == 1.0
    with package.session("onnx-fp32") as session:
        np.testing.assert_array_equal(session.classify(x[:, :4]), labels[:, :4])
        assert session.classify(x[:, :4], scores=True)[1].shape == (30, 4)
        with pytest.raises(InputError, match="each sample has 9 labels"):
            session.top(x)
    with pytest.raises(InputError, match=r"y of 'y' has the shape \[30, 6\], and for these inputs .* \[30, 9, 5\]"):
        edgeml.build(path, sizes={"steps": (9, 20)}, evaluation=(x, labels[:, :6]), recipes="onnx-fp32")
    with pytest.raises(InputError, match="expected a label for each position"):
        edgeml.build(path, sizes={"steps": (9, 20)}, evaluation=(x, labels[:, 0]), recipes="onnx-fp32")


def test_values_for_each_step(tmp_path: Path) -> None:
    path, weights = steps(tmp_path / "net.onnx", softmax=False)
    x = random_inputs(30, 9, 3)
    package = edgeml.build(path, sizes={"steps": (9, 20)}, evaluation=(x, x @ weights), recipes="onnx-fp32")
    metrics = package.artifact("onnx-fp32").evaluation.metrics
    assert metrics is not None
    assert metrics.mae is not None
    assert metrics.mae < 1e-6
    for y in ((x @ weights)[:, :5], (x @ weights)[:, 0]):
        with pytest.raises(InputError, match="evaluation: y"):
            edgeml.build(path, sizes={"steps": (9, 20)}, evaluation=(x, y), recipes="onnx-fp32")


def test_masks_of_any_size(tmp_path: Path) -> None:
    nodes = [helper.make_node("Conv", ["x", "w"], ["l"], pads=[1, 1, 1, 1]), helper.make_node("Sigmoid", ["l"], ["y"])]
    inputs: Tensors = {"x": (FLOAT, ["n", 3, "height", "width"])}
    outputs: Tensors = {"y": (FLOAT, ["n", 1, "height", "width"])}
    path = saved_net(tmp_path / "net.onnx", nodes, inputs, outputs, {"w": random_inputs(1, 3, 3, 3)})
    x = random_inputs(20, 3, 12, 16)
    masks = (answers(path, {"x": x})[0] > 0.5).astype(np.int64)
    sizes = {"height": (12, 24), "width": (16, 20)}
    package = edgeml.build(path, sizes=sizes, evaluation=(x, masks), task="segmentation", recipes="onnx-fp32")
    assert package.released == ("onnx-fp32",)
    small = np.ascontiguousarray(x[:, :, :6, :7])
    expected = answers(path, {"x": small})[0][:, 0] > 0.5
    np.testing.assert_array_equal(package.session("onnx-fp32").classify(small), expected)


def test_labels_along_a_free_size_are_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("Sigmoid", ["x"], ["y"])]
    tensors: Tensors = {"x": (FLOAT, ["n", "count"])}
    path = saved_net(tmp_path / "net.onnx", nodes, tensors, {"y": (FLOAT, ["n", "count"])})
    assert edgeml.build(path, sizes={"count": (9, 20)}, recipes="onnx-fp32").manifest.source.task == "regression"
    x = random_inputs(30, 9)
    with pytest.raises(InputError, match="labels need a fixed number of scores") as caught:
        edgeml.build(path, sizes={"count": (9, 20)}, evaluation=(x, x > 0), task="multi-label", recipes="onnx-fp32")
    assert "--size" in caught.value.fix


def test_boxes_of_any_number(tmp_path: Path) -> None:
    tensors: Tensors = {"x": (FLOAT, ["n", "boxes", 6])}
    nodes = [helper.make_node("Identity", ["x"], ["y"])]
    path = saved_net(tmp_path / "net.onnx", nodes, tensors, {"y": (FLOAT, ["n", "boxes", 6])})
    x = np.random.default_rng(0).random((20, 9, 6), dtype=np.float32)
    package = edgeml.build(path, sizes={"boxes": (9, 20)}, evaluation=x, boxes="xyxy", recipes="onnx-fp32")
    assert package.manifest.source.boxes is not None
    assert package.manifest.source.boxes.labels == (0, 1)


def test_clips_of_any_length(tmp_path: Path) -> None:
    nodes = [helper.make_node("ReduceMean", ["x"], ["y"], axes=[1], keepdims=0)]
    inputs: Tensors = {"x": (FLOAT, ["n", "frames", 10])}
    path = saved_net(tmp_path / "net.onnx", nodes, inputs, {"y": (FLOAT, ["n", 10])})
    audio = Audio(
        front_end="log-mel", sample_rate=8000, frame_length=200, frame_step=80, fft_size=256, mel_bins=10,
        low_hz=20.0, high_hz=4000.0, log_offset=1e-6,
    )  # fmt: skip
    package = edgeml.build(path, sizes={"frames": (20, 40)}, preprocessing=audio, recipes="onnx-fp32")
    clip = np.random.default_rng(0).uniform(-1, 1, (3, 5000)).astype(np.float32)
    with package.session("onnx-fp32") as session:
        features = session.prepare(clip, raw=True)["x"]
        assert features.shape == (3, 61, 10)
        np.testing.assert_allclose(np.asarray(session.predict(clip, raw=True)), features.mean(axis=1), rtol=1e-5)


# --- Manifests -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda m: [a["signature"]["inputs"][0].pop("sizes") for a in m["artifacts"]], "1 free sizes, and 0 names"),
        (lambda m: m["artifacts"][0]["signature"]["inputs"][0].update(sizes=["other"]), "other free sizes than"),
        (lambda m: m["golden"].update(sizes={"other": 4}), "expected numbers for length"),
        (lambda m: m["golden_at"][0].update(sizes={"length": 0}), "expected numbers for length"),
        (lambda m: m["artifacts"][0]["signature"]["outputs"][1].update(shape=[None, None], sizes=["k"]), "only inputs"),
        (lambda m: m["artifacts"][0]["evaluation"]["at_sizes"][0]["fidelity"].update(max_error=-1.0), "of -1"),
        (lambda m: m["artifacts"][0]["evaluation"]["at_sizes"][0].update(sizes={"length": 9}), "proven at other sizes"),
        (lambda m: m["golden"].update(sizes={"length": 2**40}), "expected numbers for length"),
        (lambda m: [each["sizes"].update(length=7) for each in m["golden_at"]], "proven at other sizes"),
        (lambda m: [a["signature"]["inputs"][0].update(sizes=["k" * 2000]) for a in m["artifacts"]], "and 1 names"),
    ],
)
def test_contradicting_manifests(sound_package_file: Path, tmp_path: Path, change: Any, reason: str) -> None:
    path = tmp_path / "forged.edgeml"
    path.write_bytes(forged(sound_package_file.read_bytes(), lambda manifest, _: change(manifest)))
    with pytest.raises(PackageError, match=reason):
        edgeml.open_package(path)


def test_an_artifact_that_does_not_run_at_a_golden_size_fails(tmp_path: Path) -> None:
    """A file whose table ends before the second length, in place of the one that was proven."""

    def counted(path: Path, longest: int) -> Path:
        nodes = [
            helper.make_node("Shape", ["x"], ["shape"], start=1, end=2),
            helper.make_node("Slice", ["table", "zero", "shape", "zero"], ["part"]),
            helper.make_node("Mul", ["x", "part"], ["y"]),
        ]
        weights = {"table": np.full(longest, 2.0, np.float32), "zero": np.array([0])}
        tensors: Tensors = {"x": (FLOAT, [None, "length"])}
        return saved_net(path, nodes, tensors, {"y": (FLOAT, [None, "length"])}, weights)

    path, short = tmp_path / "forged.edgeml", counted(tmp_path / "short.onnx", 8).read_bytes()
    edgeml.build(counted(tmp_path / "net.onnx", 100), sizes={"length": (8, 12)}, recipes="onnx-fp32").save(path)

    def exchange(manifest: Any, contents: dict[str, bytes]) -> None:
        contents[manifest["artifacts"][0]["file"]] = short

    path.write_bytes(forged(path.read_bytes(), exchange))
    with pytest.raises(edgeml.EdgemlError, match="golden vectors do not match: onnx-fp32: at length=12"):
        edgeml.open_package(path).verify()


def test_a_reference_of_one_size_proves_nothing_at_others(tmp_path: Path) -> None:
    path, x = framed(tmp_path / "net.onnx"), random_inputs(20, 400)
    frames, scores = answers(path, {"sound": x})
    with pytest.raises(InputError, match="prove nothing at others"):
        edgeml.build(path, sizes=SIZES, evaluation=x, reference={"frames": frames, "scores": scores})


def test_golden_vectors_of_another_size_fail(sound_package_file: Path, tmp_path: Path) -> None:
    path = tmp_path / "forged.edgeml"

    def exchange(manifest: Any, contents: dict[str, bytes]) -> None:
        first, second = (each["inputs"]["sound"] for each in manifest["golden_at"])
        contents[first], contents[second] = contents[second], contents[first]

    path.write_bytes(forged(sound_package_file.read_bytes(), exchange))
    with pytest.raises(edgeml.EdgemlError, match="golden vectors do not match"):
        edgeml.open_package(path).verify()
