"""`edgeml demo`: the README's main job."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import edgeml
from tests.support.hints import install_hint
from tests.support.without import without

Demo = tuple[Path, "subprocess.CompletedProcess[str]"]
Run = Callable[..., "subprocess.CompletedProcess[str]"]


def test_demo_releases_every_recipe_of_the_net(demo_run: Demo) -> None:
    _, done = demo_run
    assert done.returncode == 0, done.stderr
    net = json.loads(done.stdout)["digits-net"]
    assert {a["recipe"]: a["verdict"]["status"] for a in net["artifacts"]} == {
        recipe.id: "released" for recipe in edgeml.RECIPES
    }
    assert all(a["measurement"]["median_ms"] > 0 for a in net["artifacts"])


def test_demo_keeps_its_table_within_80_columns_and_leaks_no_native_noise(demo_run: Demo) -> None:
    _, done = demo_run
    lines = done.stderr.splitlines()
    rows = [line for line in lines if line.startswith(("tflite-", "onnx-"))]
    rows = [row for row in rows if row.rstrip().endswith(("released", "rejected", "refused"))]
    assert len(rows) == 18
    assert max(map(len, rows)) <= 80
    assert not [line for line in lines if "XNNPACK" in line or "WARNING" in line or "cuda" in line]


def test_predict_gives_the_digits_that_the_source_gives(demo_run: Demo, run: Run, tmp_path: Path) -> None:
    import keras

    folder, _ = demo_run
    data = np.load(folder / "digits.npz")
    reference = keras.saving.load_model(folder / "digits-net.keras", compile=False)(data["x"]).numpy()
    for recipe in ("tflite-int8", "onnx-fp32"):
        done = run(
            "predict", folder / "digits-net.edgeml", folder / "digits.npz", "-o", tmp_path / "out.npz",
            "--artifact", recipe,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found = np.load(tmp_path / "out.npz")
        assert found["scores"].dtype == np.float32
        assert (found["labels"] == found["scores"].argmax(axis=1)).all()
        assert (found["labels"] == reference.argmax(axis=1)).mean() >= 0.99
        assert (found["labels"] == data["y"]).mean() >= 0.95
        np.testing.assert_allclose(found["scores"], reference, atol=1e-5 if recipe == "onnx-fp32" else 0.1)


def test_demo_pipeline_predicts_as_scikit_learn(demo_run: Demo) -> None:
    import skops.io

    folder, _ = demo_run
    x = np.load(folder / "digits.npz")["x"].reshape(-1, 64)
    source = skops.io.load(folder / "digits-pipeline.skops")
    session = edgeml.open_package(folder / "digits-pipeline.edgeml").session("onnx-fp32")
    assert (session.classify(x) == source.predict(x)).all()
    np.testing.assert_allclose(np.asarray(session.predict(x)), source.predict_proba(x), atol=1e-6)


@pytest.mark.parametrize("missing", [["tensorflow", "keras"], ["skops"]])
def test_without_the_frameworks_the_extra_of_build_machines_is_named_at_once(
    missing: list[str], run: Run, tmp_path: Path
) -> None:
    done = run("demo", "-o", tmp_path / "demo", env=os.environ | without(tmp_path, missing))
    assert done.returncode == 2
    assert f"Training the demo's models with {', '.join(missing)} needs the extra 'all'" in done.stderr
    assert f"fix: {install_hint('all')}\n" in done.stderr
    assert not (tmp_path / "demo").exists()
