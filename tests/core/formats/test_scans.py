"""What the static checks read, compared with the formats' own parsers."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from ai_edge_litert.interpreter import Interpreter
from google.protobuf.message import DecodeError
from onnx import TensorProto, helper, numpy_helper

import edgeml
from edgeml.core.formats.contents import MalformedFileError
from edgeml.core.formats.onnx_scan import scan_onnx
from edgeml.core.formats.tflite_scan import scan_tflite
from tests.support.external_data import EXTERNAL_DATA, linear

MLPERF = Path(__file__).parents[4] / "shared" / "mlperf_tiny"
REAL_FILES = sorted(MLPERF.rglob("*.tflite"))


@pytest.mark.skipif(not REAL_FILES, reason="MLPerf Tiny's models are not beside the checkout")
def test_real_tflite_files_pass() -> None:
    for path in REAL_FILES:
        scan = scan_tflite(path.read_bytes())
        inputs, outputs = Interpreter(str(path)).get_input_details(), Interpreter(str(path)).get_output_details()
        assert [value.shape for value in scan.inputs] == [tuple(value["shape"]) for value in inputs]
        assert [value.dtype for value in scan.outputs] == [np.dtype(value["dtype"]).name for value in outputs]
        assert not scan.foreign and not scan.external


def test_tensors_of_onnx_files(small_package: edgeml.Package) -> None:
    data = small_package.read("artifacts/onnx-fp32.onnx")
    graph, scan = onnx.ModelProto.FromString(data).graph, scan_onnx(data)
    for values, found in ((graph.input, scan.inputs), (graph.output, scan.outputs)):
        assert [value.name for value in values] == [value.name for value in found]
        for value, tensor in zip(values, found, strict=True):
            dims = value.type.tensor_type.shape.dim
            assert tensor.shape == tuple(dim.dim_param or dim.dim_value for dim in dims)
            dtype = helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
            assert tensor.dtype == ("string" if dtype.kind == "O" else dtype.name)


def large_attributes(count: int, *, packed: bool) -> bytes:
    """A model whose attributes have many values, in either of protobuf's encodings."""
    rng = np.random.default_rng(0)
    node = helper.make_node("TreeEnsembleRegressor", ["x"], ["y"], domain="ai.onnx.ml")
    node.attribute.append(helper.make_attribute("floats", rng.standard_normal(count).tolist()))
    node.attribute.append(helper.make_attribute("integers", rng.integers(-(2**62), 2**62, count).tolist()))
    node.attribute.append(helper.make_attribute("texts", ["BRANCH_LEQ", "LEAF", "", "t" * 200] * (count // 4)))
    graph = helper.make_graph(
        [node],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(rng.integers(0, 9, count), "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)])
    if packed:
        return model.SerializeToString()
    tensor = model.graph.initializer[0]
    values = numpy_helper.to_array(tensor).tolist()
    tensor.ClearField("raw_data")
    tensor.int64_data.extend(values)
    return model.SerializeToString()


@pytest.mark.parametrize("packed", [True, False])
def test_many_values_are_skipped(packed: bool) -> None:
    scan = scan_onnx(large_attributes(40_000, packed=packed))
    assert [(value.name, value.shape, value.dtype) for value in scan.outputs] == [("y", None, "float32")]


def test_a_cut_within_many_values_is_found() -> None:
    data = large_attributes(4_000, packed=False)
    for length in range(1, len(data), 9_973):
        with pytest.raises(MalformedFileError):
            scan_onnx(data[:length])


def test_too_many_parts_are_refused_at_once() -> None:
    graph = b"".join(b"\x0a\x02\x0a\x00" for _ in range(600_000))  # nodes with an input without a name
    size = len(graph)
    length = bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14 & 127 | 128, size >> 21])
    with pytest.raises(MalformedFileError, match="too many parts"):
        scan_onnx(b"\x3a" + length + graph)


def external_data(message: Any) -> bool:
    """Whether protobuf's own parser sees a tensor in another file anywhere in a message."""
    if isinstance(message, TensorProto) and (message.external_data or message.data_location):
        return True
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE and any(map(external_data, value if field.is_repeated else [value])):
            return True
    return False


@pytest.mark.parametrize("place", EXTERNAL_DATA)
def test_no_mutant_hides_what_protobuf_sees(place: str) -> None:
    rng = np.random.default_rng(0)
    model = linear()
    EXTERNAL_DATA[place](model)
    whole, seen = model.SerializeToString(), 0
    for _ in range(300):
        data = bytearray(whole)
        for at in rng.integers(0, len(data), rng.integers(1, 4)):
            data[at] = rng.choice([data[at] ^ 1 << int(rng.integers(8)), 0, 127, 128, 255])
        try:
            mutant = onnx.ModelProto.FromString(bytes(data))
        except DecodeError:
            continue
        if external_data(mutant):
            seen += 1
            with contextlib.suppress(MalformedFileError):
                assert scan_onnx(bytes(data)).external
    assert seen > 50
