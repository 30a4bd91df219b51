"""A package with an artifact whose features are encoded outside of its graph, and that gives positions of labels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from click.testing import CliRunner
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import edgeml
from edgeml.cli.main import cli
from edgeml.core.encoding import Scaling
from edgeml.core.errors import PackageError
from edgeml.package import open_package
from edgeml.package.diff import diff_packages
from tests.support.forging import forged
from tests.support.tables import table

RECIPE = "tflite-int8"


@pytest.fixture(scope="module")
def model() -> Pipeline:
    data = table("wine")
    return make_pipeline(StandardScaler(), SVC()).fit(data.x, data.text())


@pytest.fixture(scope="module")
def path(model: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = table("wine")
    package = edgeml.build(model, calibration=data.x, evaluation=data.held_out, recipes=[RECIPE])
    found = tmp_path_factory.mktemp("encoded") / "wine.edgeml"
    package.save(found)
    return found


def test_sessions_encode_and_decide_by_position(path: Path, model: Pipeline) -> None:
    package, rows = open_package(path), table("wine").held_out
    (record,) = package.manifest.artifacts
    assert record.verdict.released
    assert [spec.meaning for spec in record.signature.outputs] == ["scores", "position"]
    session = package.session(RECIPE)
    assert np.mean(session.classify(rows) == model.predict(rows)) >= 0.95
    assert set(session.run({"features": rows})) == {"scores", "position"}
    interpreter = Interpreter(model_content=package.read(record.file))
    interpreter.allocate_tensors()
    (takes,) = interpreter.get_input_details()
    scale, zero = takes["quantization"]
    encoding = record.signature.inputs[0].encoding
    assert isinstance(encoding, Scaling)
    offsets, scales = np.array(encoding.offset, np.float32), np.array(encoding.scale, np.float32)
    steps = np.clip(np.rint((rows - offsets) / scales / np.float32(scale)) + zero, -128, 127).astype(np.int8)
    raw, scores = session.run_raw({"features": rows}), session.predict(rows)
    assert isinstance(scores, np.ndarray)
    for i, row in enumerate(steps):
        interpreter.set_tensor(takes["index"], row[None])
        interpreter.invoke()
        given = {details["dtype"]: details["index"] for details in interpreter.get_output_details()}
        np.testing.assert_array_equal(interpreter.get_tensor(given[np.int8])[0], raw["scores"][i])
        np.testing.assert_array_equal(interpreter.get_tensor(given[np.int32])[0], raw["position"][i])
        np.testing.assert_array_equal(session.predict(rows[i : i + 1]), scores[i : i + 1])
    for huge in (1e19, 3e38):  # alone as in company: clipped, without a warning
        large = np.full_like(rows[:2], huge)
        np.testing.assert_array_equal(session.predict(large[:1]), np.asarray(session.predict(large))[:1])


def test_golden_vectors_hold(path: Path) -> None:
    assert {check.status for check in open_package(path).verify().golden} == {"holds"}


def test_inspect_says_what_firmware_has_to_do(path: Path) -> None:
    result = CliRunner().invoke(cli, ["inspect", str(path)])
    assert f"encoded   features of {RECIPE}: (x - offset) / scale for each of 13 features" in result.output


def changed(path: Path, change: Callable[[Any], None]) -> bytes:
    return forged(path.read_bytes(), lambda manifest, _: change(manifest["artifacts"][0]["signature"]))


HOSTILE: dict[str, Callable[[Any], Any]] = {
    "counts": lambda s: s["inputs"][0]["encoding"]["offset"].pop(),
    "scale 0": lambda s: s["inputs"][0]["encoding"].update(scale=[0.0] * 13),
    "beyond float32": lambda s: s["inputs"][0]["encoding"].update(offset=[1e300] * 13),
    "cuts that fall": lambda s: s["inputs"][0].update(encoding={"kind": "binning", "cuts": [[2.0, 1.0]] * 13}),
    "too many cuts": lambda s: s["inputs"][0].update(
        encoding={"kind": "binning", "cuts": [list(map(float, range(256)))] * 13}
    ),
    "cuts of few": lambda s: s["inputs"][0].update(encoding={"kind": "binning", "cuts": [[1.0]] * 12}),
    "an output": lambda s: s["outputs"][0].update(encoding=s["inputs"][0]["encoding"]),
    "a kind": lambda s: s["inputs"][0]["encoding"].update(kind="code"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_an_encoding_that_is_not_sound(kind: str, path: Path, tmp_path: Path) -> None:
    hostile = tmp_path / "hostile.edgeml"
    hostile.write_bytes(changed(path, HOSTILE[kind]))
    with pytest.raises(PackageError, match=r"encoding|invalid"):
        open_package(hostile)


def test_another_encoding_is_a_remark(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.edgeml"
    other.write_bytes(changed(path, lambda s: s["inputs"][0]["encoding"].update(offset=[0.0] * 13)))
    found = diff_packages(open_package(path), open_package(other))
    assert any("the quantization of input features changed" in remark for remark in found.remarks)
