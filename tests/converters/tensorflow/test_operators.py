"""Operators at extreme values, against Keras through the raw engines."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tests.support.extreme_values import FLOATS, INTEGERS, ROWS
from tests.support.keras_cases import Converted, run_onnx, run_tflite

RELATIVE, ABSOLUTE = 1e-4, 1e-6  # of the largest number of the same row; and what float32 leaves of sums near one
# Formulas for small results hold these relatively.
EXACT = {"softplus", "expm1", "log1p", "logaddexp", "log_sigmoid"}


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["tflite-fp32", "onnx-fp32"])
@pytest.mark.parametrize(
    ("kind", "inputs"),
    [("float_extremes", FLOATS), ("integer_extremes", INTEGERS), ("row_extremes", ROWS)],
    ids=["floats", "integers", "rows"],
)
def test_operators_answer_as_in_keras_at_extreme_values(
    convertible: Callable[[str], Converted], recipe: str, kind: str, inputs: np.ndarray
) -> None:
    converted = convertible(kind)
    wanted = converted.answers({"x": inputs})
    results = (run_tflite if recipe.startswith("tflite") else run_onnx)(converted[recipe], {"x": inputs})
    wrong = {}
    for name, values in wanted.items():
        peaks = np.abs(values).reshape(len(values), -1).max(axis=1).reshape(-1, *[1] * (values.ndim - 1))
        tolerance = RELATIVE * peaks + (1e-30 if name in EXACT else ABSOLUTE)
        with np.errstate(invalid="ignore"):
            differs = np.isfinite(values) & ~(np.abs(results[name] - values) <= tolerance)
        if differs.any():
            row = np.argwhere(differs)[0][0]
            wrong[name] = inputs[row].tolist(), values[row].tolist(), results[name][row].tolist()
    assert not wrong
