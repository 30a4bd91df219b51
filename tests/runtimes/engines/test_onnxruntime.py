from __future__ import annotations

import msgspec
import numpy as np
import onnx
import pytest
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import edgeml
from edgeml.core.errors import TargetError
from edgeml.core.registry.engines import find_engine
from edgeml.core.session import Session
from edgeml.demo.digits import Digits
from tests.support.packing import artifact_bytes
from tests.support.sessions import resident_mb


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["onnx-fp32"])
def test_a_big_batch_does_not_keep_its_memory(session: Session, digits: Digits) -> None:
    x = np.resize(digits.evaluation, (20_000, 8, 8, 1))
    session.predict(x)
    before = resident_mb()
    session.predict(x, batch_size=20_000)
    assert resident_mb() - before < 20


def test_scores_beside_labels_in_text_stay_numbers() -> None:
    data = load_iris()
    model = LogisticRegression(max_iter=1000).fit(data.data, data.target_names[data.target])
    package = edgeml.build(model, recipes=["onnx-fp32"])
    x = data.data.astype(np.float32)
    with package.session("onnx-fp32") as session:
        found = session.run_raw({"features": x})
        assert found["scores"].dtype == np.float32
        np.testing.assert_allclose(found["scores"], model.predict_proba(data.data), atol=1e-5)
        np.testing.assert_array_equal(session.classify(x), model.predict(data.data))


def test_an_onnx_model_that_is_too_new(small_package: edgeml.Package) -> None:
    record = small_package.artifact("onnx-fp32")
    model = onnx.load_from_string(artifact_bytes(small_package, "onnx-fp32"))
    model.ir_version = 999
    newer = msgspec.structs.replace(record.needs, engine_version="99.0.0")
    with pytest.raises(
        TargetError, match=r"cannot load the artifact, which needs 99\.0\.0 or newer: .*IR version"
    ) as caught:
        find_engine("onnx")(model.SerializeToString(), record.signature, needs=newer)
    assert "pip install --upgrade onnxruntime" in caught.value.fix
    with pytest.raises(TargetError, match=r"cannot load the artifact: Unsupported model IR version: 999") as caught:
        find_engine("onnx")(model.SerializeToString(), record.signature, needs=record.needs)
    assert "upgrade" not in caught.value.fix  # this version is new enough for the artifact
