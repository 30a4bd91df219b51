"""Inputs beyond the ranges of a network's data."""

from __future__ import annotations

import numpy as np
import pytest

from edgeml.core.source import Reference
from edgeml.sources.range_probes import make_range_probes

X = np.random.default_rng(0).uniform(2.0, 4.0, (20, 3)).astype(np.float32)


def test_ranges_are_widened_by_half_about_their_centers() -> None:
    x = X * np.array([1, 10, 100], np.float32)
    probes = make_range_probes({"x": x}, (), lambda inputs: Reference({"y": inputs["x"]}))
    rows = probes.inputs["x"]
    low, high = x.min(axis=0), x.max(axis=0)
    np.testing.assert_allclose(rows.max(axis=0), high + (high - low) / 4, rtol=1e-6)
    assert (rows == 0).all(axis=1).any()
    reached = rows[(rows != 0).all(axis=1)].min(axis=0)
    np.testing.assert_allclose(reached, low - (high - low) / 4, rtol=1e-6)
    np.testing.assert_array_equal(probes.reference.outputs["y"], rows)


def test_pixels_share_a_range() -> None:
    images = np.zeros((4, 2, 2, 1), np.float32)
    images[0, 0, 0, 0], images[1, 0, 0, 0] = 255, 0.5
    rows = make_range_probes({"x": images}, (), lambda inputs: Reference({"y": inputs["x"]})).inputs["x"]
    assert (rows.min(), rows.max()) == (-63.75, 318.75)


@pytest.mark.parametrize("known", [("t",), ()])
def test_whole_numbers_are_those_that_were_seen(known: tuple[str, ...]) -> None:
    tokens = np.array([[3.0, 7.0], [5.0, 9.0]], np.float32)
    probes = make_range_probes({"t": tokens, "x": X[:2]}, known, lambda inputs: Reference({"y": inputs["x"]}))
    assert set(probes.inputs["t"].ravel()) == {3.0, 5.0, 7.0, 9.0}


def test_a_model_that_refuses_other_inputs_has_no_such_rows() -> None:
    def refuse(inputs: dict[str, np.ndarray]) -> Reference:
        raise ValueError("index out of range")

    assert make_range_probes({"x": X}, (), refuse).rows == 0


def test_rows_without_a_finite_answer_are_left_out() -> None:
    def logarithm(inputs: dict[str, np.ndarray]) -> Reference:
        with np.errstate(divide="ignore", invalid="ignore"):
            return Reference({"y": np.log(inputs["x"])})

    probes = make_range_probes({"x": X}, (), logarithm)
    assert 0 < probes.rows < 7
    assert (probes.inputs["x"] > 0).all()
