"""Sessions of artifacts that quantize by the range of a batch, against the raw engine on single samples."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

import edgeml
from edgeml.core.errors import InputError, TargetError
from edgeml.demo.digits import Digits
from tests.support.raw_engines import bytes_of, raw_scores
from tests.support.sessions import array_of


@pytest.fixture(scope="module")
def beside_large(digits: Digits) -> np.ndarray:
    x = digits.evaluation[:70].copy()
    x[3] *= 50
    return x


@pytest.mark.parametrize("isolated", [False, True])
@pytest.mark.parametrize("batch_size", [None, 32])
def test_answers_do_not_depend_on_the_samples_beside(
    net_package: edgeml.Package, beside_large: np.ndarray, isolated: bool, batch_size: int | None
) -> None:
    expected = raw_scores(bytes_of(net_package, "onnx-dynamic"), "onnx-dynamic", beside_large)
    with net_package.session("onnx-dynamic", isolated=isolated) as session:
        for count in (70, 5, 1):
            answers = array_of(session.predict(beside_large[:count], batch_size=batch_size))
            np.testing.assert_array_equal(answers, expected[:count])
        streamed = list(session.stream(iter(beside_large[:9]), max_delay_ms=None))
        np.testing.assert_array_equal(np.array(streamed), expected[:9])


@pytest.mark.parametrize("isolated", [False, True])
def test_together_they_are_one_call_of_the_engine(
    net_package: edgeml.Package, beside_large: np.ndarray, isolated: bool
) -> None:
    raw = onnxruntime.InferenceSession(bytes_of(net_package, "onnx-dynamic"))
    (expected,) = raw.run(None, {"image": beside_large})
    with net_package.session("onnx-dynamic", isolated=isolated) as session:
        together = session.run_together({"image": beside_large})["scores"]
        np.testing.assert_allclose(together, expected, atol=1e-5)
        assert np.abs(together - array_of(session.predict(beside_large))).max() > 1e-3
    with pytest.raises(TargetError, match="The session is closed"):
        session.run_together({"image": beside_large})


def test_together_where_the_artifact_has_a_fixed_batch(net_package: edgeml.Package, digits: Digits) -> None:
    with net_package.session("tflite-fp32") as session, pytest.raises(TargetError, match="fixed batch"):
        session.run_together({"image": digits.evaluation[:9]})


def test_memory_is_that_of_one_sample(net_package: edgeml.Package) -> None:
    with net_package.session("onnx-dynamic") as session:
        session.bind()
        with pytest.raises(InputError, match="batch is 2, expected 1"):
            session.bind(2)
