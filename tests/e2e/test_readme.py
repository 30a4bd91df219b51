"""Every command and script in README runs as it stands."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import edgeml
from tests.support.fork_server import ForkServer
from tests.support.scripts import benchmark

Demo = tuple[Path, "subprocess.CompletedProcess[str]"]
ROOT = Path(__file__).resolve().parents[2]


def blocks(language: str) -> list[str]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


COMMANDS = [line for block in blocks("sh") for line in block.splitlines()]


@pytest.fixture(scope="module")
def folder(demo_run: Demo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the demo's folder, to write to."""
    return Path(shutil.copytree(demo_run[0], tmp_path_factory.mktemp("readme") / "demo"))


@pytest.mark.slow
@pytest.mark.parametrize("line", COMMANDS)
def test_command(line: str, folder: Path, fork_server: ForkServer) -> None:
    words = shlex.split(line)
    assert words[0] == "edgeml"
    done = fork_server.edgeml(*words[1:], cwd=folder)
    assert done.returncode == 0, done.stderr


def test_the_command_that_is_installed_is_the_one_that_is_tested(folder: Path) -> None:
    command = Path(sys.executable).with_name("edgeml")
    done = subprocess.run([command, "--version"], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith(edgeml.__version__)


@pytest.mark.slow
def test_script(folder: Path, fork_server: ForkServer) -> None:
    script = "\n".join(blocks("python"))  # one goes on where the other ends
    script += "assert (labels == data['y']).mean() > 0.95\nassert outputs.keys() == {'scores'}\n"
    done = fork_server.python("-c", script, cwd=folder)
    assert done.returncode == 0, done.stderr


def test_make_targets_are_the_ones_that_ci_runs() -> None:
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    targets = re.findall(r"^make (\w+)", "\n".join(blocks("")), flags=re.MULTILINE)
    assert targets == ["demo", "test"]
    assert all(f"make {target}" in ci for target in targets)
    assert os.access(ROOT / ".ci" / "run", os.X_OK)


def test_figures_are_those_of_the_results() -> None:
    page = benchmark("page")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert page.shown(readme) == readme
    assert page.page() == (ROOT / "benchmarks/results/README.md").read_text(encoding="utf-8")
    row = next(line for line in readme.splitlines() if line.startswith("| vww | tflite-int8 |"))
    rows = json.loads((ROOT / "benchmarks/results/overhead.json").read_text(encoding="utf-8"))["rows"]
    wanted = next(r for r in rows if (r["net"], r["artifact"], r["call"]) == ("vww", "tflite-int8", "predict"))
    assert float(row.split("|")[3]) == pytest.approx(wanted["ours us"], abs=0.06)


def test_table_of_recipes_says_what_the_code_says() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = [line for line in text.partition("\n## What is made\n")[2].splitlines() if line.startswith("| `")][:6]
    told = {}
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        for recipe in re.findall(r"`([\w-]+)`", cells[0]):
            sqnr, agreement = re.findall(r"[\d.]+", cells[5])
            told[recipe] = (float(sqnr), float(agreement) / 100, cells[4] == "yes")
    assert told == {r.id: (r.floor.sqnr_db, r.floor.agreement, r.needs_calibration) for r in edgeml.RECIPES}
