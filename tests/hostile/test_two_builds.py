"""Builds at once, in one process and in several, do not disturb each other and give the same bytes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import edgeml
from tests.support.building import RECIPES, build_from_files
from tests.support.fork_server import ForkServer
from tests.support.processes import repository


@pytest.fixture(scope="module")
def alone(net_file: Path, data_file: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The package that one build makes while there is no other."""
    path = tmp_path_factory.mktemp("alone") / "digits.edgeml"
    package = build_from_files(net_file, data_file)
    assert package.released == RECIPES
    package.save(path)
    return path.read_bytes()


@pytest.mark.slow
def test_two_threads(net_file: Path, data_file: Path, tmp_path: Path, alone: bytes) -> None:
    # Another copy of the model, under another name and in another folder, is the same model.
    (tmp_path / "else").mkdir()
    copy = tmp_path / "else" / "another name.keras"
    copy.write_bytes(net_file.read_bytes())

    def build(model: Path, number: int) -> None:
        build_from_files(model, data_file).save(tmp_path / f"{number}.edgeml")

    threads = [threading.Thread(target=build, args=(model, i)) for i, model in enumerate((net_file, copy))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(tmp_path / f"{i}.edgeml").read_bytes() == alone for i in range(2)] == [True, True]


@pytest.mark.slow
def test_two_processes(net_file: Path, data_file: Path, tmp_path: Path, alone: bytes, fork_server: ForkServer) -> None:
    (tmp_path / "home").mkdir()
    surroundings = {
        "HOME": str(tmp_path / "home"),
        "USER": "somebody",
        "LC_ALL": "C.UTF-8",
        "TZ": "Asia/Tokyo",
        "PYTHONHASHSEED": "7",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(repository()),
    }
    script = ["-m", "tests.support.building", str(net_file), str(data_file)]
    elsewhere = subprocess.Popen(
        [sys.executable, *script, tmp_path / "1.edgeml"],
        cwd=tmp_path,
        env=os.environ | surroundings,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    done = fork_server.python(*script, tmp_path / "0.edgeml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    out, _ = elsewhere.communicate(timeout=300)
    assert elsewhere.returncode == 0, out
    assert [(tmp_path / f"{i}.edgeml").read_bytes() == alone for i in range(2)] == [True, True]


@pytest.mark.slow
def test_a_model_in_memory_and_its_file_give_the_same_package(
    small_package_file: Path, small_package: edgeml.Package, tmp_path: Path
) -> None:
    import skops.io
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    x, y = load_iris(return_X_y=True)
    file = tmp_path / "model.skops"
    skops.io.dump(LogisticRegression(max_iter=500).fit(x, y), file)
    again = edgeml.build(
        file,
        name="iris",
        version="1.2.3",
        evaluation=(x, y),
        recipes=small_package.released,
        licence="Apache-2.0",
    )
    again.save(tmp_path / "again.edgeml")
    assert (tmp_path / "again.edgeml").read_bytes() == small_package_file.read_bytes()
