from __future__ import annotations

import gc

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema

import edgeml
from edgeml.core.errors import TargetError
from edgeml.core.registry.engines import find_engine
from edgeml.demo.digits import Digits
from tests.support.packing import artifact_bytes, packed
from tests.support.raw_engines import bytes_of, raw_scores


def test_the_interpreter_keeps_the_bytes_it_needs(net_package: edgeml.Package, digits: Digits) -> None:
    record = net_package.artifact("tflite-fp32")
    session = find_engine("tflite")(
        bytes(bytearray(bytes_of(net_package, "tflite-fp32"))), record.signature, needs=record.needs
    )
    gc.collect()
    np.empty(10**6).fill(1)
    np.testing.assert_array_equal(
        session.predict(digits.evaluation[:9]),
        raw_scores(bytes_of(net_package, "tflite-fp32"), "tflite-fp32", digits.evaluation[:9]),
    )


def test_a_tflite_model_that_is_too_new(small_package: edgeml.Package) -> None:
    record = small_package.artifact("tflite-fp32")
    model = schema.ModelT.InitFromPackedBuf(artifact_bytes(small_package, "tflite-fp32"), 0)
    model.operatorCodes[0].version = 99
    with pytest.raises(TargetError, match=r"which needs TensorFlow Lite .* or newer: .*version '99'") as caught:
        find_engine("tflite")(packed(model), record.signature, needs=record.needs)
    assert "pip install --upgrade ai-edge-litert" in caught.value.fix
