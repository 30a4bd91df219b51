"""A build that is interrupted or killed at any moment leaves the old package, and nothing else."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

import edgeml
from tests.support.building import RECIPES, build_from_files
from tests.support.fork_server import ForkedProcess, ForkServer
from tests.support.processes import eventually, in_session, repository

STEPS = 6
"""Loading, the source's own answers, and for each of the two recipes converting and proving."""

MOMENTS = [(-1, 0.0), (-1, 0.02), (0, 0.0), (0, 0.05), (0, 0.2), (1, 0.02), (2, 0.02), (2, 0.1), (3, 0.02), (4, 0.0)]
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

    @property
    def target(self) -> Path:
        return self.folder / "digits.edgeml"

    def started(self, server: ForkServer) -> ForkedProcess:
        self.folder.mkdir()
        self.target.write_bytes(OLD)
        environment = os.environ | {"TMPDIR": str(self.temporary)}
        script = ("-m", "tests.support.building", self.model, self.data, self.target)
        return server.popen(*script, cwd=repository(), env=environment)


@pytest.fixture(scope="module")
def temporary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("temporary")


def cases(net_file: Path, data_file: Path, folder: Path, temporary: Path, count: int) -> list[Case]:
    return [Case(net_file, data_file, folder / str(i), temporary) for i in range(count)]


@pytest.mark.slow
def test_builds_that_are_left_alone_leave_the_new_package(
    net_file: Path, data_file: Path, tmp_path: Path, temporary: Path, fork_server: ForkServer
) -> None:
    runs = [(case, case.started(fork_server)) for case in cases(net_file, data_file, tmp_path, temporary, AT_ONCE)]
    for case, process in runs:
        out = process.read(timeout=300)
        assert (process.returncode, out.split()) == (0, [str(step) for step in range(STEPS)])
        assert [entry.name for entry in case.folder.iterdir()] == ["digits.edgeml"]
        assert edgeml.open_package(case.target).released == RECIPES
        assert not in_session(process.pid)
    assert not list(temporary.iterdir())


def interrupted(case: Case, number: signal.Signals, moment: tuple[int, float], server: ForkServer) -> int:
    """Sends the signal at that moment, checks what is left, and gives the exit status."""
    step, after_s = moment
    with case.started(server) as process:
        assert process.stdout is not None
        for expected in range(step + 1):
            assert process.stdout.readline() == f"{expected}\n"
        time.sleep(after_s)
        process.send_signal(number)
        out = process.read(timeout=60)
    assert eventually(lambda: not in_session(process.pid), within_s=5), "a child was left behind"
    assert [entry.name for entry in case.folder.iterdir()] == ["digits.edgeml"]
    if process.returncode == 0:  # it had been faster
        edgeml.open_package(case.target).verify()
    else:
        assert process.returncode == -number, out
        assert case.target.read_bytes() == OLD
    return process.wait()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_at_ten_moments(
    number: signal.Signals, net_file: Path, data_file: Path, tmp_path: Path, temporary: Path, fork_server: ForkServer
) -> None:
    count = len(MOMENTS)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        statuses = list(
            pool.map(
                interrupted,
                cases(net_file, data_file, tmp_path, temporary, count),
                [number] * count,
                MOMENTS,
                [fork_server] * count,
            )
        )
    assert statuses.count(-number) >= count - 1
    left = [entry.name for entry in temporary.iterdir()]
    if number == signal.SIGINT:
        assert left == []
    else:
        assert all(name.startswith("edgeml-tmp-") for name in left)
        assert left, "a killed process cannot clear up"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(tempfile, "tempdir", str(temporary))
            build_from_files(net_file, data_file)
        assert list(temporary.iterdir()) == []
