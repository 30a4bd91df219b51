"""Engines as their own documentation has them used: what sessions are compared with."""

from __future__ import annotations

import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter

import edgeml

__all__ = ["RawTflite", "bytes_of", "raw_scores"]


def bytes_of(package: edgeml.Package, recipe: str) -> bytes:
    return package.read(package.artifact(recipe).file)


class RawTflite:
    """The raw interpreter, one batch at a time, with quantization as the format's specification has it."""

    def __init__(self, data: bytes) -> None:
        self._interpreter = Interpreter(model_content=data, num_threads=1)
        self._interpreter.allocate_tensors()
        (self.takes,) = self._interpreter.get_input_details()
        (self.gives,) = self._interpreter.get_output_details()

    def raw(self, x: np.ndarray) -> np.ndarray:
        scale, zero = self.takes["quantization"]
        if scale:
            limits = np.iinfo(self.takes["dtype"])
            x = np.clip(np.rint(x / np.float32(scale)) + zero, limits.min, limits.max).astype(self.takes["dtype"])
        self._interpreter.set_tensor(self.takes["index"], x)
        self._interpreter.invoke()
        return np.array(self._interpreter.get_tensor(self.gives["index"]))

    def __call__(self, x: np.ndarray) -> np.ndarray:
        values = self.raw(x)
        scale, zero = self.gives["quantization"]
        return (values.astype(np.float32) - np.float32(zero)) * np.float32(scale) if scale else values


def raw_scores(data: bytes, recipe: str, x: np.ndarray) -> np.ndarray:
    """The scores of all samples: TFLite and dynamic ranges one by one, other ONNX in batches of 32."""
    if recipe.startswith("tflite"):
        raw = RawTflite(data)
        return np.concatenate([raw(x[row : row + 1]) for row in range(len(x))])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    size = 1 if recipe == "onnx-dynamic" else 32
    return np.concatenate([session.run(None, {"image": x[row : row + size]})[0] for row in range(0, len(x), size)])
