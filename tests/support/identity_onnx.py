"""ONNX files that give back what they are given."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import helper

__all__ = ["write_identity_onnx"]


def write_identity_onnx(folder: Path, dtype: str, *sizes: int) -> Path:
    """Writes a model from ``x`` ``[samples, *sizes]`` (by default 4) to the same ``y``, and gives the file."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    ends = [helper.make_tensor_value_info(name, kind, ["N", *(sizes or (4,))]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "same", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / f"{dtype}.onnx")
    return folder / f"{dtype}.onnx"
