"""Which operators ran where, against the files' own lists and onnxruntime's profile."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

import edgeml
from edgeml.core.recipe import RECIPES
from tests.support.packing import artifact_bytes

TFLITE = [recipe.id for recipe in RECIPES if recipe.format == "tflite"]


def kinds(package: edgeml.Package, recipe: str, target: str = "cpu") -> Counter[str]:
    placement = package.session(recipe, target=target).placement
    assert placement.target == target
    assert placement.elsewhere == ()
    return sum((Counter({item.operator: item.count}) for item in placement.operators), Counter())


@pytest.mark.parametrize("recipe", TFLITE)
def test_litert_accounts_for_every_operator_of_the_file(net_package: edgeml.Package, recipe: str) -> None:
    model = schema.ModelT.InitFromPackedBuf(artifact_bytes(net_package, recipe), 0)
    names = {code: name for name, code in vars(schema.BuiltinOperator).items() if isinstance(code, int)}
    codes = [names[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in model.operatorCodes]
    assert kinds(net_package, recipe) == Counter(
        codes[operator.opcodeIndex] for operator in model.subgraphs[0].operators
    )


@pytest.mark.parametrize("recipe", TFLITE)
def test_xnnpack_is_named_where_the_interpreter_has_a_delegate(net_package: edgeml.Package, recipe: str) -> None:
    raw = Interpreter(model_content=artifact_bytes(net_package, recipe), num_threads=1)
    raw.allocate_tensors()
    delegated = any(node["op_name"] == "DELEGATE" for node in raw._get_ops_details())
    places = {item.place for item in net_package.session(recipe).placement.operators}
    assert ("XNNPACK" in places) == delegated == (recipe != "tflite-int16x8")


@pytest.mark.parametrize("recipe", ["onnx-fp32", "onnx-int8", "onnx-dynamic"])
def test_onnxruntime_accounts_for_what_its_profile_shows(
    net_package: edgeml.Package, tmp_path: Path, recipe: str
) -> None:
    options = onnxruntime.SessionOptions()
    # onnxruntime assigns operators before it fuses them, which it does at the levels above.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.enable_profiling, options.profile_file_prefix = True, str(tmp_path / "profile")
    raw = onnxruntime.InferenceSession(artifact_bytes(net_package, recipe), options, providers=["CPUExecutionProvider"])
    raw.run(None, {"image": np.zeros((1, 8, 8, 1), np.float32)})
    events = json.loads(Path(raw.end_profiling()).read_text(encoding="utf-8"))
    ran = [event["args"] for event in events if event["name"].endswith("_kernel_time")]
    assert {args["provider"] for args in ran} == {"CPUExecutionProvider"}
    assert kinds(net_package, recipe) == Counter(args["op_name"] for args in ran)
