"""Fidelity of columns of different ranges, of half of the samples, and beside the source's own noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import edgeml
from edgeml.core.goal import Goal
from edgeml.core.recipe import find_recipe
from edgeml.core.records.evidence import Evaluation, Fidelity
from edgeml.evaluation import fidelity_of, judge

RNG = np.random.default_rng(0)


def decibels(reference: np.ndarray, output: np.ndarray) -> float:
    return float(10 * np.log10(np.square(reference).sum() / np.square(output - reference).sum()))


def rounded(values: np.ndarray) -> np.ndarray:
    """Return values in 256 steps of the whole array's range, as one int8 tensor has them."""
    step = np.ptp(values) / 255
    return np.round(values / step) * step


@pytest.mark.parametrize("axis", [1, 2])
def test_scores_beside_boxes_are_judged_apart(axis: int) -> None:
    boxes, scores = RNG.uniform(0, 320, (50, 30, 4)), RNG.uniform(0.1, 0.9, (50, 30, 3))
    y = np.concatenate([boxes, scores], axis=2)
    output = rounded(y)
    part = slice(4, 7)
    expected = decibels(y[..., part], output[..., part])
    if axis == 1:
        y, output = y.transpose(0, 2, 1), output.transpose(0, 2, 1)
    found = fidelity_of({"y": y}, {"y": output})
    assert found.sqnr_db > 30
    assert found.worst_part is not None
    assert found.worst_part.output == "y"
    assert found.worst_part.columns == ("columns 4 to 6" if axis == 2 else "indices of axis 1 4 to 6")
    assert found.worst_part.sqnr_db == pytest.approx(expected, abs=1e-6)
    verdict = judged(found, "tflite-int8")
    assert verdict.status == "rejected"
    assert f"SQNR of {min(expected, (found.worst_part.centred_sqnr_db or 0) + 5):.1f} dB in" in verdict.reasons[0]


def judged(fidelity: Fidelity, recipe: str, noise: Fidelity | None = None) -> edgeml.core.goal.Verdict:
    return judge(
        find_recipe(recipe), Goal(), Evaluation(fidelity), size_bytes=1, latency=None, classifies=False, labelled=False,
        noise=noise,
    )  # fmt: skip


def test_columns_of_one_softmax_or_of_similar_ranges_are_not_judged_apart() -> None:
    logits = RNG.normal(size=(200, 10)) * 3 - np.arange(10)
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert fidelity_of({"y": softmax}, {"y": rounded(softmax)}).worst_part is None
    similar = RNG.uniform(0, 1, (200, 4)) * [1, 2, 5, 9]
    assert fidelity_of({"y": similar}, {"y": rounded(similar)}).worst_part is None


def test_constant_columns_and_rounding_are_no_columns_of_their_own() -> None:
    y = np.stack([RNG.normal(size=100), np.ones(100), RNG.normal(size=100) * 1e-8], axis=1)
    assert fidelity_of({"y": y}, {"y": y + 1e-8}).worst_part is None


def test_the_worst_of_several_groups_is_named() -> None:
    y = RNG.normal(size=(300, 6)) * [100, 1, 100, 1, 0.01, 100]
    output = y.copy()
    output[:, 4] += RNG.normal(size=300) * 0.005
    output[:, [1, 3]] += RNG.normal(size=(300, 2)) * 0.01
    part = fidelity_of({"y": y}, {"y": output}).worst_part
    assert part is not None
    assert part.columns == "columns 4"
    assert part.sqnr_db == pytest.approx(decibels(y[:, 4], output[:, 4]), abs=1e-6)
    output[:, 4] = y[:, 4]
    part = fidelity_of({"y": y}, {"y": output}).worst_part
    assert part is not None
    assert part.columns == "columns 1, 3"


def test_large_values_of_few_samples_do_not_hide_the_others() -> None:
    y = RNG.uniform(0.2, 2, (1000, 1))
    y[::100] *= 400
    output = rounded(y)
    found = fidelity_of({"y": y}, {"y": output})
    own = 10 * np.log10(y[:, 0] ** 2 / np.square(output - y)[:, 0])
    assert found.sqnr_db > 25
    assert found.sample_sqnr_db == pytest.approx(np.median(own), abs=1e-6)
    assert judged(found, "tflite-int8").status == "rejected"
    assert judged(fidelity_of({"y": y}, {"y": y * 1.01}), "tflite-int8").status == "released"


def test_samples_without_power_do_not_count() -> None:
    y = np.concatenate([np.zeros((900, 2)), RNG.normal(size=(100, 2))])
    found = fidelity_of({"y": y}, {"y": y + 0.01})
    own = 10 * np.log10(np.square(y[900:]).sum(axis=1) / (2 * 0.01**2))
    assert found.sample_sqnr_db == pytest.approx(np.median(own), abs=1e-6)


def test_the_sources_own_noise_is_the_floor() -> None:
    y = RNG.normal(size=(500, 3))
    noise = fidelity_of({"y": y}, {"y": y + RNG.normal(size=y.shape) * 1e-4})
    faithful = fidelity_of({"y": y}, {"y": y + RNG.normal(size=y.shape) * 1.5e-4})
    wrong = fidelity_of({"y": y}, {"y": y + RNG.normal(size=y.shape) * 1e-3})
    assert judged(faithful, "tflite-fp32").status == "rejected"
    verdict = judged(faithful, "tflite-fp32", noise)
    assert verdict.status == "released"
    assert any("own answers to inputs moved by one last bit" in text for text in verdict.remarks)
    assert judged(wrong, "tflite-fp32", noise).status == "rejected"
    assert not any("last bit" in text for text in judged(faithful, "tflite-int8", noise).remarks)


def test_labels_that_the_source_itself_changes_are_said() -> None:
    y, labels = RNG.normal(size=(100, 2)), np.zeros(100, int)
    flipped = np.where(np.arange(100) < 3, 1, 0)
    none_tie = np.zeros(100, bool)
    noise = fidelity_of({"y": y}, {"y": y}, labels={"y": (labels, flipped, none_tie)})
    same = Evaluation(fidelity_of({"y": y}, {"y": y}, labels={"y": (labels, flipped, none_tie)}))
    options = {"size_bytes": 1, "latency": None, "classifies": True, "labelled": False}
    recipe = find_recipe("onnx-fp32")
    assert judge(recipe, Goal(), same, **options).status == "rejected"  # type: ignore[arg-type]
    verdict = judge(recipe, Goal(), same, noise=noise, **options)  # type: ignore[arg-type]
    assert verdict.status == "released"
    assert any("other labels to 3.00% of inputs moved by one last bit" in text for text in verdict.remarks)


def test_a_detector_whose_parts_cannot_be_quantized_apart_is_rejected_and_says_where(tmp_path: Path) -> None:
    weights = {
        "boxes": RNG.normal(size=(8, 4)), "scores": RNG.normal(size=(8, 3)), "size": np.array(320.0),
    }  # fmt: skip
    nodes = [
        helper.make_node("MatMul", ["x", "boxes"], ["b"]),
        helper.make_node("Sigmoid", ["b"], ["shares"]),
        helper.make_node("Mul", ["shares", "size"], ["pixels"]),
        helper.make_node("MatMul", ["x", "scores"], ["s"]),
        helper.make_node("Sigmoid", ["s"], ["probabilities"]),
        helper.make_node("Concat", ["pixels", "probabilities"], ["joined"], axis=1),
        helper.make_node("Gather", ["joined", "order"], ["heads"], axis=1),
    ]
    graph = helper.make_graph(
        nodes, "detector",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [None, 8])],
        [helper.make_tensor_value_info("heads", onnx.TensorProto.FLOAT, [None, 7])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()]
        + [numpy_helper.from_array(np.array([0, 1, 2, 3, 6, 5, 4]), "order")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    (tmp_path / "detector.onnx").write_bytes(model.SerializeToString())
    x = RNG.normal(size=(200, 8)).astype(np.float32)
    recipes = ["onnx-int8", "onnx-fp32"]
    package = edgeml.build(tmp_path / "detector.onnx", calibration=x[:100], evaluation=x[100:], recipes=recipes)
    assert package.released == ("onnx-fp32",)
    part = package.artifact("onnx-int8").evaluation.fidelity.worst_part
    assert part is not None
    assert part.columns == "columns 4 to 6"
    wanted = 1 / (1 + np.exp(-x[100:].astype(float) @ weights["scores"]))[:, ::-1]
    with package.session("onnx-int8") as session:
        got = np.asarray(session.predict(x[100:]), float)[:, 4:]
    assert part.sqnr_db == pytest.approx(decibels(wanted, got), abs=0.1)
