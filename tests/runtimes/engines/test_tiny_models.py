"""The models by which accelerators are tried, on the raw engines."""

from __future__ import annotations

import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter

from edgeml.runtimes.engines.tiny_models import tiny_onnx, tiny_tflite
from tests.support.make_tiny_models import onnx_bytes, tflite_bytes


def test_the_bytes_are_those_that_the_script_makes() -> None:
    assert tiny_tflite().data == tflite_bytes()
    assert tiny_onnx().data == onnx_bytes()


def test_litert_gives_the_answer() -> None:
    model = tiny_tflite()
    interpreter = Interpreter(model_content=model.data)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], model.sample)
    interpreter.invoke()
    found = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_array_equal(found, model.expected)
    np.testing.assert_array_equal(model.expected, model.sample + model.sample)


def test_onnxruntime_gives_the_answer() -> None:
    model = tiny_onnx()
    (found,) = onnxruntime.InferenceSession(model.data).run(None, {"x": model.sample})
    np.testing.assert_array_equal(found, model.expected)
