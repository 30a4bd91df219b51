"""Models of kernels between a row and training rows as ONNX."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn.decomposition import KernelPCA
from sklearn.kernel_approximation import Nystroem
from sklearn.kernel_ridge import KernelRidge
from sklearn.manifold import Isomap
from sklearn.semi_supervised import LabelPropagation, LabelSpreading

from edgeml.core.errors import UnsupportedModelError
from tests.support.sklearn_cases import Conversions, assert_faithful, scores_of
from tests.support.tables import table

pytestmark = pytest.mark.filterwarnings("ignore:Singular matrix", "ignore:An ill-conditioned matrix")


def data() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positive float64 rows to train on, their classes, and float32 rows held out, one of them of zeros."""
    wine = table("wine")
    rows = np.concatenate([wine.held_out[:, :4], np.zeros((1, 4), np.float32)])
    return wine.x[:80, :4].astype(np.float64) / 10, wine.y[:80], rows / 10


@pytest.mark.parametrize("kernel", ["linear", "rbf", "poly", "sigmoid", "cosine", "laplacian", "chi2", "additive_chi2"])
def test_a_kernel_ridge_answers_as_scikit_learn(kernel: str, conversions: Conversions) -> None:
    x, y, rows = data()
    gamma = None if kernel in {"linear", "cosine", "additive_chi2"} else 0.1
    model = KernelRidge(kernel=kernel, gamma=gamma).fit(x, y)
    assert_faithful(conversions.onnx_values(model, rows), model.predict(rows.astype(np.float64)))


@pytest.mark.parametrize(
    "model",
    [
        KernelPCA(3, kernel="rbf", gamma=0.1, random_state=0),
        KernelPCA(3, kernel="poly", degree=2, random_state=0),
        Nystroem(gamma=0.1, n_components=10, random_state=0),
        Isomap(n_neighbors=10),
    ],
    ids=lambda model: f"{type(model).__name__}-{getattr(model, 'kernel', '')}".strip("-"),
)
def test_projections_answer_as_scikit_learn(model: Any, conversions: Conversions) -> None:
    x, _, rows = data()
    model.fit(x)
    assert_faithful(conversions.onnx_values(model, rows), model.transform(rows.astype(np.float64)))


@pytest.mark.parametrize(
    "model",
    [LabelSpreading(gamma=2.0), LabelSpreading("knn", n_neighbors=5), LabelPropagation(gamma=2.0)],
    ids=["spreading", "nearest", "propagation"],
)
@pytest.mark.filterwarnings("ignore:max_iter=")
def test_labels_that_spread_are_those_of_scikit_learn(model: Any, conversions: Conversions) -> None:
    x, y, rows = data()
    model.fit(x, np.where(np.arange(len(y)) % 3, -1, y))
    answers = conversions.onnx_answers(model, rows)
    assert_faithful(answers["scores"], scores_of(model, rows.astype(np.float64)))
    np.testing.assert_array_equal(answers["label"], model.predict(rows.astype(np.float64)))


def test_an_isomap_by_radius_is_refused(conversions: Conversions) -> None:
    x, _, _ = data()
    with pytest.raises(UnsupportedModelError, match="Isomap: a radius or a metric other than"):
        conversions.convert(Isomap(radius=100.0, n_neighbors=None).fit(x), "onnx-fp32")


def test_a_kernel_that_onnx_cannot_call_is_refused(conversions: Conversions) -> None:
    x, y, _ = data()
    with pytest.raises(UnsupportedModelError, match="KernelRidge: the kernel 'precomputed' is not supported"):
        conversions.convert(KernelRidge(kernel="precomputed").fit(x @ x.T, y), "onnx-fp32")


def test_sums_of_large_terms_in_float32_are_refused(conversions: Conversions) -> None:
    x, y, _ = data()
    model = KernelRidge(alpha=1e-6, kernel="poly", gamma=1.0).fit(x.astype(np.float32), y)
    with pytest.raises(UnsupportedModelError, match="trained on float32 rows, so that scikit-learn sums large terms"):
        conversions.convert(model, "onnx-fp32")
