"""The files that the children of a build read."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np

from edgeml.core.tensors import Signature, TensorSpec
from edgeml.pipeline.evaluation_data import EvaluationData
from edgeml.pipeline.saved_inputs import save_arrays, save_inputs
from tests.support.source_infos import PLAIN, X, Y, source_info


def loaded(files: dict[str, Path] | None) -> dict[str, np.ndarray]:
    assert files is not None
    return {name: np.load(path) for name, path in files.items()}


def test_arrays_are_saved_whatever_their_names(tmp_path: Path) -> None:
    files = save_arrays({"file": X, "../up": Y}, tmp_path / "arrays")
    assert {path.parent for path in files.values()} == {tmp_path / "arrays"}
    np.testing.assert_array_equal(np.load(files["file"]), X)
    np.testing.assert_array_equal(np.load(files["../up"]), Y)


def test_a_source_of_float32_is_asked_about_what_was_given_alone(tmp_path: Path) -> None:
    saved = save_inputs(EvaluationData("evaluation", {"x": X}), {"x": X[:3]}, PLAIN, tmp_path)
    np.testing.assert_array_equal(loaded(saved.judged)["x"], X)
    np.testing.assert_array_equal(loaded(saved.calibration)["x"], X[:3])
    assert saved.missing_values is saved.float64 is saved.float32 is saved.float32_missing_values is None


def test_a_source_of_float64_that_takes_gaps_is_asked_four_times(tmp_path: Path) -> None:
    info = PLAIN
    takes = TensorSpec("x", (None, 2), "float64", missing_values=True)
    info = msgspec.structs.replace(info, signature=Signature((takes,), info.signature.outputs))
    x = np.array([[0.1, 2.0], [1e300, np.nan], [3.0, 4.0]])
    saved = save_inputs(EvaluationData("evaluation", {"x": x}), {"x": x}, info, tmp_path)
    np.testing.assert_array_equal(loaded(saved.judged)["x"], x)
    np.testing.assert_array_equal(loaded(saved.calibration)["x"], x[[0, 2]])  # those that lack nothing
    assert np.isnan(loaded(saved.missing_values)["x"]).any(axis=1).all()
    single = loaded(saved.float32)["x"]
    assert single.dtype == loaded(saved.float32_missing_values)["x"].dtype == np.float32
    assert (single[0, 0], np.isinf(single[1, 0])) == (np.float32(0.1), True)


def test_whole_numbers_are_not_moved_by_a_last_bit(tmp_path: Path) -> None:
    info = source_info(1, inputs={"ids": 2, "gaps": 2, "x": 2})
    inputs = {
        "ids": np.array([[5, 70_000], [3, 0]], np.float32),
        "gaps": np.array([[5, np.nan], [3, 0]], np.float32),
        "x": np.array([[5, 0.5], [3, 0]], np.float32),
    }
    moved = loaded(save_inputs(EvaluationData("evaluation", inputs), None, info, tmp_path).moved)
    np.testing.assert_array_equal(moved["ids"], inputs["ids"])
    np.testing.assert_array_equal(moved["gaps"], inputs["gaps"])
    np.testing.assert_array_equal(moved["x"] != inputs["x"], [[True, True], [True, False]])
    (tmp_path / "whole").mkdir()
    only = {"ids": inputs["ids"]}
    info = source_info(1, inputs={"ids": 2})
    assert save_inputs(EvaluationData("evaluation", only), None, info, tmp_path / "whole").moved is None
