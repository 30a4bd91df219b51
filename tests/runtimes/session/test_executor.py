"""One thread's way from samples to answers: fixed batches, layouts of what is given, whose the results are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

import edgeml
from edgeml.core.errors import InputError, TargetError
from edgeml.core.session import Session
from edgeml.demo.digits import Digits
from tests.support.onnx_sessions import Shape, open_onnx
from tests.support.raw_engines import RawTflite, bytes_of
from tests.support.sessions import ALL, scores_of

FIXED = ["tflite-fp32", "tflite-int8", "onnx-fp32", "onnx-int8"]


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


@pytest.mark.parametrize("count", [3, 300])
@pytest.mark.parametrize("gives", [("M", 4), ("M", "K")])
def test_one_answer_to_all_samples_is_no_answer_to_each(count: int, gives: Shape) -> None:
    """Only the first row comes out, of which onnxruntime cannot know before."""
    nodes = [
        helper.make_node("ReduceMin", ["x"], ["least"], keepdims=0),
        helper.make_node("Unsqueeze", ["least", "zero"], ["row"]),
        helper.make_node("Greater", ["row", "low"], ["is_wanted"]),
        helper.make_node("Compress", ["x", "is_wanted"], ["y"], axis=0),
    ]
    x = np.random.default_rng(0).random((count, 4), np.float32)
    takes: Shape = ("N", 4) if gives[1] == 4 else ("N", "K")
    with open_onnx(nodes, takes, gives, zero=np.array([0]), low=np.array([-1], np.float32)) as session:
        for use in uses(session):
            with pytest.raises(TargetError, match=r"got shape \[1, 4\] for \d+ samples"):
                use(x)
            np.testing.assert_array_equal(use(x[:1]), x[:1])


def uses(session: Session) -> list[Callable[[np.ndarray], Any]]:
    return [session.predict, lambda x: session.run({"x": x})["y"], lambda x: session.run_raw({"x": x})["y"]]


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


@pytest.mark.parametrize("count", [1, 300])
def test_numbers_that_float32_has_not(count: int) -> None:
    x = np.ones((count, 4))
    x[-1, 2] = 1e300
    with open_onnx([helper.make_node("Identity", ["x"], ["y"])], ("N", 4), ("N", 4)) as session:
        for given in (x, iter(x)):
            with pytest.raises(InputError, match=f"sample {count - 1} holds a number that is too large for float32"):
                session.predict(given)
        x[-1, 2] = -np.inf
        with pytest.raises(InputError, match=f"sample {count - 1} holds NaN or infinity"):
            session.predict(x)
