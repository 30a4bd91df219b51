"""Models of one operator that probe accelerators; tests/support/make_tiny_models.py creates them."""

from __future__ import annotations

from base64 import b64decode

import numpy as np

from edgeml.core.artifact import Needs
from edgeml.core.engine import TinyModel
from edgeml.core.tensors import Signature, TensorSpec

__all__ = ["tiny_onnx", "tiny_tflite"]

_TFLITE = (
    "GAAAAFRGTDMAAA4AFAAQAAwACAAAAAQADgAAABAAAABwAAAAfAEAAAMAAAACAAAAXAAAAAwAAAAAAAYACAAEAAYAAAAEAAAAQAAAAAAAAEAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAQAAAAAAAAAAAAAAAAAAAAAAAAABAAAAAAAAAAAAAAAAAAAAAAAAAAECo////AQAAABAAAAAMABQAEAAMAAgABAAM"
    "AAAAEAAAAFgAAABcAAAAYAAAAAEAAAAUAAAAAAAOABQAAAAQAAwACwAEAA4AAAAUAAAAAAAACBAAAAAUAAAABAAEAAQAAAABAAAAAgAAAAMAAA"
    "AAAAAAAQAAAP////8BAAAAAgAAAAEAAAAAAAAAAwAAAGgAAAA0AAAABAAAALD///8IAAAADAAAAAEAAAB5AAAAAgAAAAEAAAAEAAAADAAQAAwA"
    "AAAIAAQADAAAAAwAAAABAAAADAAAAAEAAAB3AAAAAgAAAAQAAAAEAAAADAAMAAgAAAAAAAQADAAAAAgAAAAMAAAAAQAAAHgAAAACAAAAAQAAAA"
    "QAAAABAAAAEAAAAAwADAALAAAAAAAEAAwAAAAJAAAAAAAACQ=="
)
_ONNX = (
    "CAgSADqQAQoRCgF4CgF3EgF5IgZNYXRNdWwSBHRpbnkqSwgECAQQAUIBd0pAAAAAQAAAAAAAAAAAAAAAAAAAAAAAAABAAAAAAAAAAAAAAAAAAA"
    "AAAAAAAEAAAAAAAAAAAAAAAAAAAAAAAAAAQFoTCgF4Eg4KDAgBEggKAggBCgIIBGITCgF5Eg4KDAgBEggKAggBCgIIBEIECgAQEQ=="
)


def tiny_tflite() -> TinyModel:
    """Return a model that doubles four values with a fully connected operator."""
    return _doubling(_TFLITE, Needs("tflite", "1.5.0", ("FULLY_CONNECTED",)))


def tiny_onnx() -> TinyModel:
    """Return a model that doubles four values with a matrix product."""
    return _doubling(_ONNX, Needs("onnxruntime", "1.12", ("MatMul",), opset=17))


def _doubling(encoded: str, needs: Needs) -> TinyModel:
    x, y = (TensorSpec(name, (1, 4), "float32") for name in "xy")
    sample = np.array([[1.0, -2.0, 0.5, 4.0]], np.float32)
    return TinyModel(b64decode(encoded), Signature((x,), (y,)), needs, sample, 2 * sample)
