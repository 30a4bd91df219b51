"""Kernels of Gaussian processes as ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import (
    RBF,
    ConstantKernel,
    DotProduct,
    Exponentiation,
    ExpSineSquared,
    Matern,
    RationalQuadratic,
    WhiteKernel,
)

from edgeml.core.errors import UnsupportedModelError
from tests.support.sklearn_cases import Conversions, assert_faithful
from tests.support.tables import table


def classifier(kernel: Any) -> GaussianProcessClassifier:
    data = table("wine")
    return GaussianProcessClassifier(kernel, optimizer=None).fit(data.x[:40, :4].astype(np.float64), data.y[:40] > 0)


@pytest.mark.parametrize(
    "kernel",
    [
        RBF([1.0, 2.0, 3.0, 4.0]),
        Matern(3.0, nu=0.5),
        Matern(3.0, nu=1.5),
        Matern(3.0, nu=2.5),
        Matern(3.0, nu=np.inf),
        RationalQuadratic(2.0, alpha=0.7),
        0.1 * DotProduct(0.5),
        ConstantKernel(2.0) * RBF(3.0) + WhiteKernel(0.5),
        Exponentiation(RBF(3.0) + ConstantKernel(0.5), 2),
    ],
    ids=str,
)
def test_kernels_answer_as_scikit_learn(kernel: Any, conversions: Conversions) -> None:
    model, rows = classifier(kernel), table("wine").held_out[:, :4]
    assert_faithful(conversions.onnx_answers(model, rows)["scores"], model.predict_proba(rows.astype(np.float64)))


@pytest.mark.parametrize(
    ("kernel", "reason"),
    [
        (ExpSineSquared(), "The kernel ExpSineSquared is not supported in ONNX"),
        (Matern(nu=2.0), "Matern: nu=2, which needs a Bessel function, is not supported"),
    ],
    ids=["periodic", "Bessel"],
)
def test_kernels_without_a_route_are_refused(kernel: Any, reason: str, conversions: Conversions) -> None:
    with pytest.raises(UnsupportedModelError, match=reason):
        conversions.convert(classifier(kernel), "onnx-fp32")
