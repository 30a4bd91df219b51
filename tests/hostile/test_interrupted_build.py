"""A build that is interrupted or killed at any moment leaves the old package, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

import edgeml
from edgeml.pipeline.scratch import scratch_folder
from tests.support.building import RECIPES, build_from_files
from tests.support.processes import MARKER, eventually, marked, repository

STEPS = 6
"""Loading, the source's own answers, and for each of the two recipes converting and proving."""

MOMENTS = [(-1, 0.1), (-1, 0.3), (0, 0.0), (0, 0.2), (0, 1.0), (1, 0.02), (2, 0.1), (2, 0.4), (3, 0.02), (4, 0.05)]
"""After that step has begun, so many seconds; -1 is before the first."""

AT_ONCE = 2
OLD = b"an old package" * 1000


@dataclass(frozen=True)
class Case:
    """One build in a process of its own."""

    model: Path
    data: Path
    folder: Path
    temporary: Path
    marker: str

    @property
    def target(self) -> Path:
        return self.folder / "digits.edgeml"

    def started(self) -> subprocess.Popen[str]:
        self.folder.mkdir()
        self.target.write_bytes(OLD)
        return subprocess.Popen(
            [sys.executable, "-m", "tests.support.building", self.model, self.data, self.target],
            cwd=repository(),
            env=os.environ | {MARKER: self.marker, "TMPDIR": str(self.temporary)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("temporary")


def cases(net_file: Path, data_file: Path, folder: Path, temporary: Path, count: int) -> list[Case]:
    return [Case(net_file, data_file, folder / str(i), temporary, uuid.uuid4().hex) for i in range(count)]


def test_builds_that_are_left_alone_leave_the_new_package(
    net_file: Path, data_file: Path, tmp_path: Path, temporary: Path
) -> None:
    runs = [(case, case.started()) for case in cases(net_file, data_file, tmp_path, temporary, AT_ONCE)]
    for case, process in runs:
        out, _ = process.communicate(timeout=300)
        assert (process.returncode, out.split()) == (0, [str(step) for step in range(STEPS)])
        assert [entry.name for entry in case.folder.iterdir()] == ["digits.edgeml"]
        assert edgeml.open_package(case.target).released == RECIPES
        assert not marked(case.marker)
    assert not list(temporary.iterdir())


def interrupted(case: Case, number: signal.Signals, moment: tuple[int, float]) -> int:
    """Sends the signal at that moment, checks what is left, and gives the exit status."""
    step, after_s = moment
    with case.started() as process:
        assert process.stdout is not None
        for expected in range(step + 1):
            assert process.stdout.readline() == f"{expected}\n"
        time.sleep(after_s)
        process.send_signal(number)
        out, _ = process.communicate(timeout=60)
    assert eventually(lambda: not marked(case.marker), within_s=5), "a child was left behind"
    assert [entry.name for entry in case.folder.iterdir()] == ["digits.edgeml"]
    if process.returncode == 0:  # it had been faster
        edgeml.open_package(case.target).verify()
    else:
        assert process.returncode == -number, out
        assert case.target.read_bytes() == OLD
    return process.returncode


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_at_ten_moments(
    number: signal.Signals, net_file: Path, data_file: Path, tmp_path: Path, temporary: Path
) -> None:
    count = len(MOMENTS)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        statuses = list(
            pool.map(
                interrupted,
                cases(net_file, data_file, tmp_path, temporary, count),
                [number] * count,
                MOMENTS,
            )
        )
    assert statuses.count(-number) >= count - 1
    left = [entry.name for entry in temporary.iterdir()]
    if number == signal.SIGINT:
        assert left == []
    else:
        assert all(name.startswith("edgeml-build-") for name in left)
        assert left, "a killed process cannot clear up"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tempfile, "tempdir", str(temporary))
            build_from_files(net_file, data_file)
        assert list(temporary.iterdir()) == []


def test_scratch_folders_in_use_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    abandoned = tmp_path / "edgeml-build-abandoned"
    (abandoned / "deep").mkdir(parents=True)
    (abandoned / "deep" / "file").write_bytes(b"x")
    foreign = tmp_path / "edgeml-something"
    foreign.mkdir()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"x")
    (tmp_path / "edgeml-build-link").symlink_to(outside)
    with scratch_folder() as first:
        assert not abandoned.exists()
        (first / "file").write_bytes(b"x")
        with scratch_folder() as second:
            assert second != first
            assert (first / "file").exists()
            assert oct(second.stat().st_mode & 0o777) == "0o700"
        assert not second.exists()
        assert first.exists()
    assert not first.exists()
    assert foreign.exists()
    assert (outside / "file").exists()
