"""Engines of third parties, from real distributions that pip installs."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

import edgeml
from edgeml.core.errors import TargetError
from tests.support.packing import artifact_bytes
from tests.support.plug_ins import install_plug_in
from tests.support.processes import repository
from tests.support.trial_engines import TRIALS


@pytest.fixture(scope="module")
def plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both distributions, installed."""
    folder = tmp_path_factory.mktemp("plugins")
    names = ("acme_engine", "broken_engine")
    for name in names:  # setuptools builds beside the sources
        shutil.copytree(repository() / "tests/support" / name, folder / "sources" / name)
    sources = [str(folder / "sources" / name) for name in names]
    install = [sys.executable, "-m", "pip", "install", "-qq", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([*install, "--target", str(folder / "site"), *sources], check=True, capture_output=True)
    return folder / "site"


def run_with(plugins: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(repository()), str(plugins)])
    return subprocess.run(
        [sys.executable, *arguments], env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, check=False
    )


def test_a_plug_in_runs_an_artifact(plugins: Path, small_package: edgeml.Package, small_package_file: Path) -> None:
    code = f"""
import numpy as np, json, edgeml
from edgeml.core.errors import TargetError
package = edgeml.open_package({str(small_package_file)!r})
x = np.linspace(0, 8, 40, dtype=np.float32).reshape(10, 4)
session = package.session("onnx-fp32", target="acme", allow_fallback=True)
told = dict(scores=session.predict(x).tolist(), engine=session.engine)
told["elsewhere"] = [(item.operator, item.place, item.count) for item in session.placement.elsewhere]
try:
    package.session("onnx-fp32", target="acme")
except TargetError as error:
    told["refused"] = str(error)
told["reason"] = edgeml.load({str(small_package_file)!r}, target="acme", allow_fallback=True).reason
try:
    package.session("tflite-fp32", target="acme")
except TargetError as error:
    told["error"] = str(error)
try:
    package.session("onnx-fp32", target="broken")
except TargetError as error:
    told["broken"] = str(error)
print(json.dumps(told))
"""
    done = run_with(plugins, "-c", code)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    x = np.linspace(0, 8, 40, dtype=np.float32).reshape(10, 4)
    np.testing.assert_allclose(told["scores"], np.asarray(small_package.session("onnx-fp32").predict(x)), atol=1e-5)
    assert told["engine"] == "acme-engine"
    assert "onnx-fp32 on acme" in told["reason"]
    last = onnx.load_from_string(artifact_bytes(small_package, "onnx-fp32")).graph.node[-1].op_type
    assert told["elsewhere"] == [[last, "CPU", 1]]
    assert f"these would run elsewhere: {last} ×1 (CPU)" in told["refused"]
    assert "acme-engine for target 'acme' cannot be loaded: AttributeError" in told["error"]
    assert "RuntimeError: libbroken.so.7 is not there Fix: pip install --upgrade broken-engine" in told["broken"]


@pytest.mark.slow
def test_a_broken_plug_in_does_not_break_the_command_line(plugins: Path, small_package_file: Path) -> None:
    done = run_with(plugins, "-m", "edgeml", "targets", "--json")
    assert done.returncode == 0, done.stderr
    found = {(target["name"], target["format"], target["engine"]): target for target in json.loads(done.stdout)}
    assert found["acme", "onnx", "acme-engine"]["available"]
    assert found["acme", "onnx", "acme-engine"]["version"] == "1.0"
    broken = found["broken", "onnx", "broken-engine"]
    assert not broken["available"]
    assert "libbroken.so.7 is not there" in broken["reason"]
    assert not any("nonsense" in name for name, _, _ in found)
    done = run_with(plugins, "-m", "edgeml", "verify", str(small_package_file))
    assert done.returncode == 0, done.stderr


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of the search path for plug-ins. The cache of trials is the test's own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv(TRIALS, str(tmp_path / "trials"))
    monkeypatch.syspath_prepend(tmp_path / "site")
    return tmp_path / "site"


def entry_point(name: str) -> str:
    return f"onnx.trial = tests.support.trial_engines:{name}"


@pytest.mark.parametrize(
    ("first", "words"),
    [
        ("HasNoDevice", "first-engine: .*No device of this vendor was found"),
        ("RefusesModels", "first-engine: onnx failed to open the artifact .*: RuntimeError: the driver refuses"),
        ("Aborts", "first-engine: .*died of SIGABRT"),
        ("Exits", "first-engine fails: SystemExit: 5"),
        ("HasNoPrecisions", "first-engine: .*precisions=None"),
    ],
)
def test_of_two_engines_for_a_format_and_target_the_one_that_works_is_used(
    small_package: edgeml.Package, site: Path, first: str, words: str
) -> None:
    install_plug_in(site, "first-engine", entry_point(first))
    install_plug_in(site, "second-engine", entry_point("RunsModels"))
    x = np.linspace(0, 8, 40, dtype=np.float32).reshape(10, 4)
    expected = np.asarray(small_package.session("onnx-fp32").predict(x))
    assert small_package.choose("onnx-fp32", target="trial").target == "trial"
    for recipe in ("onnx-fp32", None):
        with small_package.session(recipe, target="trial") as session:
            assert re.search(words, session.reason)
            np.testing.assert_allclose(np.asarray(session.predict(x)), expected, atol=1e-5)


def test_where_all_engines_of_a_format_and_target_fail_all_reasons_are_shown(
    small_package: edgeml.Package, site: Path
) -> None:
    install_plug_in(site, "first-engine", entry_point("HasNoDevice"))
    install_plug_in(site, "second-engine", entry_point("RefusesModels"))
    with pytest.raises(TargetError, match=r"No engine can .* on target 'trial'.*No device.*the driver refuses"):
        small_package.session("onnx-fp32", target="trial")


def test_broken_plug_ins_are_listed_with_their_reasons(small_package: edgeml.Package, site: Path) -> None:
    expected = {
        "IsNamedByANumber": "has name=7",
        "HasNoPrecisions": "has precisions=None",
        "ReturnsText": "'no device'",
        "ReturnsTextForItsModel": "'tiny'",
        "Exits": "SystemExit: 5",
        "ExitsForItsModel": "SystemExit: 5",
    }
    for name in expected:
        install_plug_in(site, name, f"onnx.{name} = tests.support.trial_engines:{name}")
    install_plug_in(site, "Invalid", "onnx.Invalid = not a module!")
    targets = {target.name: target for target in edgeml.targets()}
    assert targets["cpu"].available
    for name, words in (expected | {"Invalid": "cannot be loaded"}).items():
        assert not targets[name].available
        assert words in targets[name].reason
        with pytest.raises(TargetError):
            small_package.choose("onnx-fp32", target=name)
        if name not in {"ExitsForItsModel", "ReturnsTextForItsModel"}:  # a named target is opened without a trial
            with pytest.raises(TargetError):
                small_package.session("onnx-fp32", target=name)


def test_an_engine_is_tried_once_for_all_artifacts_even_if_the_result_is_not_kept(
    net_package: edgeml.Package, site: Path, tmp_path: Path
) -> None:
    install_plug_in(site, "first-engine", entry_point("IsKilled"))
    assert len([recipe for recipe in net_package.released if recipe.startswith("onnx")]) > 1
    with pytest.raises(TargetError, match="died of SIGKILL"):
        net_package.choose(target="trial")
    assert len((tmp_path / "trials").read_text(encoding="utf-8").splitlines()) == 1
