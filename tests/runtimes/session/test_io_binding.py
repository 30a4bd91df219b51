"""The hot loop over an engine's own memory."""

from __future__ import annotations

import threading

import numpy as np
import pytest

import edgeml
from edgeml.core.errors import InputError, TargetError
from edgeml.core.session import HotLoop, Session
from edgeml.demo.digits import Digits
from tests.support.sessions import EACH


@EACH
def test_the_hot_loop(session: Session, digits: Digits) -> None:
    x = digits.evaluation[:20]
    hot = session.bind()
    (spec,) = session.signature.inputs
    place, scores = hot.inputs["image"], hot.outputs["scores"]
    assert (place.shape, str(place.dtype)) == ((1, 8, 8, 1), spec.dtype)
    wanted = session.run_raw({"image": x}, batch_size=1)["scores"]
    given = x
    if spec.quantization is not None:
        given = np.clip(np.rint(x / np.float32(spec.quantization.scale)) + spec.quantization.zero_point, -128, 127)
    found = []
    for row in given:
        place[0] = row
        hot.run()
        found.append(scores[0].copy())
    np.testing.assert_array_equal(np.stack(found), wanted)
    session.close()
    with pytest.raises(TargetError, match="closed"):
        hot.run()
    np.testing.assert_array_equal(scores[0], found[-1])  # what was taken out stays sound memory


@pytest.mark.parametrize("recipe", ["onnx-fp32", "onnx-int8"])
def test_the_hot_loop_with_several_samples(session: Session, digits: Digits) -> None:
    hot = session.bind(4)
    hot.inputs["image"][...] = digits.evaluation[:4]
    hot.run()
    np.testing.assert_array_equal(hot.outputs["scores"], session.predict(digits.evaluation[:4], batch_size=4))
    with pytest.raises(InputError, match="batch is 0, expected a whole number, at least 1"):
        session.bind(0)


@pytest.mark.parametrize("recipe", ["tflite-int8", "onnx-fp32"])
def test_binding_while_another_thread_closes(net_package: edgeml.Package, recipe: str) -> None:
    for count in range(20):  # so many are bound before
        session = net_package.session(recipe)
        bound: list[HotLoop] = []
        enough = threading.Event()
        failures: list[Exception] = []

        def bind(
            session: Session = session,
            count: int = count,
            bound: list[HotLoop] = bound,
            enough: threading.Event = enough,
            failures: list[Exception] = failures,
        ) -> None:
            try:
                while True:
                    if len(bound) >= count:
                        enough.set()
                    bound.append(session.bind())
            except Exception as error:  # noqa: BLE001 - told to the test's thread
                failures.append(error)

        thread = threading.Thread(target=bind)
        thread.start()
        assert enough.wait(10)
        session.close()
        thread.join(timeout=10)
        (failure,) = failures
        assert isinstance(failure, TargetError)
        assert "closed" in failure.message
        assert len(bound) >= count
        for hot in bound:
            with pytest.raises(TargetError, match="closed"):
                hot.run()
