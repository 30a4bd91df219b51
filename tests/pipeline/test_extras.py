"""Builds on machines where an extra is not installed: its modules cannot be found, by parent or children."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeml.core.system.worker import Worker
from tests.support.fork_server import ForkServer
from tests.support.hints import install_hint
from tests.support.without import without

SCRIPT = """
import json, sys
import edgeml

try:
    package = edgeml.build(sys.argv[1], recipes=sys.argv[2:] or None)
except edgeml.EdgemlError as error:
    print(json.dumps({"error": type(error).__name__, "message": error.message, "fix": error.fix}))
else:
    refused = {record.recipe: [record.reason, record.fix] for record in package.manifest.refused}
    print(json.dumps({"released": package.released, "refused": refused, "failures": len(package.failures)}))
"""


@pytest.fixture(scope="module")
def model(keras_models: Worker) -> Path:
    return keras_models.call("make", "value", returns=Path)


Built = Callable[..., dict[str, Any]]


@pytest.fixture
def built(tmp_path: Path, model: Path, fork_server: ForkServer) -> Built:
    """What a build of the model without some modules comes to."""

    def call(missing: list[str], *recipes: str) -> dict[str, Any]:
        done = fork_server.python("-c", SCRIPT, model, *recipes, env=os.environ | without(tmp_path, missing))
        assert done.returncode == 0, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    return call


@pytest.mark.slow
@pytest.mark.parametrize(
    ("missing", "extra", "affected"),
    [
        ("tf2onnx", "keras", "onnx"),
        ("onnxruntime", "onnx", "onnx"),
        ("ai_edge_litert", "litert", "tflite"),
    ],
)
def test_only_the_recipes_that_need_it_are_refused(built: Built, missing: str, extra: str, affected: str) -> None:
    found = built([missing])
    floats = {f"{affected}-{precision}" for precision in ("fp32", "fp16", "dynamic")}
    assert {recipe.partition("-")[0] for recipe in found["released"]} == {"tflite", "onnx"} - {affected}
    assert len(found["released"]) == 3
    for recipe in floats:
        reason, fix = found["refused"][recipe]
        assert f"needs the extra '{extra}', which is not installed" in reason
        assert fix == f"pip install 'edgeml-toolkit[{extra}]'"  # not of this machine: it is in the package
    assert found["failures"] == 0


@pytest.mark.slow
def test_a_recipe_that_was_named_is_not_passed_over(built: Built) -> None:
    found = built(["ai_edge_litert"], "tflite-fp32")
    assert found["error"] == "MissingDependencyError"
    assert found["fix"] == install_hint("litert")


@pytest.mark.parametrize("missing", ["keras", "tensorflow"])
def test_without_the_models_framework_nothing_is_built(built: Built, missing: str) -> None:
    found = built([missing])
    assert found["error"] == "MissingDependencyError"
    assert "needs the extra 'keras'" in found["message"]
    assert found["fix"] == install_hint("keras")
