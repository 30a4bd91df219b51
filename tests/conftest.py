"""Models and packages that many tests read. Each is made once per session."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import edgeml
from edgeml.core.system import worker as worker_module
from edgeml.core.system.worker import Worker
from edgeml.demo.digits import Digits, TrainerSettings
from edgeml.demo.digits import digits as load_digits
from tests.support.fork_server import VARIABLE, ForkServer, start_server
from tests.support.keras_models import KerasModelsSettings
from tests.support.legacy_models import LegacyModelsSettings
from tests.support.onnx_nets import framed, random_inputs
from tests.support.small_package import small_package, small_package_file

__all__ = ["small_package", "small_package_file"]

START_CHILD = worker_module.start_child


def made_once(folder: Path, make: Callable[[Path], None]) -> Path:
    """A folder that one of the processes that run tests makes, for all of them."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            new = folder.with_name(f"{folder.name}.new")
            new.mkdir()
            make(new)
            new.rename(folder)
    return folder


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """A folder of all processes that run tests."""
    return Path(os.environ[VARIABLE]).parent


def pytest_configure(config: pytest.Config) -> None:
    """Hides Vulkan's drivers, and starts the fork server, once for all processes that run tests."""
    if hasattr(config, "workerinput"):
        return
    os.environ.pop("VK_DRIVER_FILES", None)
    os.environ["VK_ICD_FILENAMES"] = os.devnull  # tests of a GPU name the driver that they are about
    folder = tempfile.TemporaryDirectory(prefix="edgeml-tests-")
    address, process = start_server(Path(folder.name))
    os.environ[VARIABLE] = address

    def end() -> None:
        with process:
            process.terminate()
        folder.cleanup()

    config.add_cleanup(end)


@pytest.fixture(scope="session")
def fork_server() -> ForkServer:
    """A server that forks children with all frameworks loaded."""
    return ForkServer(os.environ[VARIABLE])


@pytest.fixture(scope="session", autouse=True)
def _warm_children(fork_server: ForkServer) -> Iterator[None]:
    """Has each `Worker` forked where it would be started."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker_module, "start_child", fork_server.start_child)
        yield


@pytest.fixture(scope="session")
def run(fork_server: ForkServer) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `edgeml` with the arguments in a process of its own; `cwd` and `env` may be given."""
    return fork_server.edgeml


@pytest.fixture(scope="session")
def edgeml_command() -> Path:
    """The command as it is installed."""
    return Path(sys.executable).with_name("edgeml")


@pytest.fixture
def cold_children(monkeypatch: pytest.MonkeyPatch) -> None:
    """Starts each `Worker` as it is started elsewhere, for tests of the start itself."""
    monkeypatch.setattr(worker_module, "start_child", START_CHILD)


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """Undoes what a shell does to a job in the background: Ctrl-C would be ignored here and in all children."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def trained(folder: Path, method: str, *arguments: object) -> None:
    with Worker("edgeml.demo.digits:DigitsTrainer", TrainerSettings(folder), folder) as trainer:
        trainer.call(method, *arguments, returns=Path)


@pytest.fixture(scope="session")
def digits() -> Digits:
    return load_digits()


@pytest.fixture(scope="session")
def net_file(shared_folder: Path) -> Path:
    """A small convolutional net, trained on digits. Not to be written to."""
    return made_once(shared_folder / "model", lambda folder: trained(folder, "train_net", 12)) / "digits-net.keras"


@pytest.fixture(scope="session")
def pipeline_file(shared_folder: Path) -> Path:
    """Scaler, PCA and logistic regression, trained on digits. Not to be written to."""
    folder = made_once(shared_folder / "pipeline", lambda folder: trained(folder, "train_pipeline"))
    return folder / "digits-pipeline.skops"


@pytest.fixture(scope="session")
def net_package_file(shared_folder: Path, request: pytest.FixtureRequest) -> Path:
    """All nine recipes of the net, saved. Not to be written to."""

    def make(folder: Path) -> None:
        digits: Digits = request.getfixturevalue("digits")
        edgeml.build(
            request.getfixturevalue("net_file"),
            name="digits-net",
            version="1.0.0",
            calibration=digits.calibration,
            evaluation=(digits.evaluation, digits.evaluation_labels),
        ).save(folder / "digits-net.edgeml")

    return made_once(shared_folder / "net", make) / "digits-net.edgeml"


@pytest.fixture(scope="session")
def net_package(net_package_file: Path) -> edgeml.Package:
    return edgeml.open_package(net_package_file)


@pytest.fixture(scope="session")
def sound_package_file(shared_folder: Path) -> Path:
    """Two recipes of a net on sound of any length, proven at 400, 200 and 800 samples. Not to be written to."""

    def make(folder: Path) -> None:
        edgeml.build(
            framed(folder / "net.onnx"),
            name="sound",
            sizes={"length": (400, 200, 800)},
            calibration=random_inputs(64, 400),
            recipes=["onnx-fp32", "onnx-int8"],
        ).save(folder / "sound.edgeml")

    return made_once(shared_folder / "sound", make) / "sound.edgeml"


@pytest.fixture(scope="session")
def sound_package(sound_package_file: Path) -> edgeml.Package:
    return edgeml.open_package(sound_package_file)


@pytest.fixture(scope="session")
def demo_run(shared_folder: Path, fork_server: ForkServer) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The folder that `edgeml demo` wrote, not to be written to, and what it printed."""

    def make(folder: Path) -> None:
        done = fork_server.edgeml("demo", "-o", folder / "files", "--json")
        shown = {"args": done.args, "returncode": done.returncode, "stdout": done.stdout, "stderr": done.stderr}
        (folder / "shown").write_text(json.dumps(shown))

    folder = made_once(shared_folder / "demo", make)
    shown = json.loads((folder / "shown").read_text())
    return folder / "files", subprocess.CompletedProcess(**shown)


@pytest.fixture(scope="session")
def keras_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """A `tests.support.keras_models.KerasModels`."""
    folder = tmp_path_factory.mktemp("keras")
    with Worker("tests.support.keras_models:KerasModels", KerasModelsSettings(folder), folder) as worker:
        yield worker


@pytest.fixture(scope="session")
def legacy_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """A `tests.support.legacy_models.LegacyModels`."""
    folder = tmp_path_factory.mktemp("legacy")
    with Worker("tests.support.legacy_models:LegacyModels", LegacyModelsSettings(folder), folder) as worker:
        yield worker
