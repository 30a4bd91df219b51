"""Models and packages that many tests read. Each is made once per session."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import edgeml
from edgeml.core.worker import Worker
from edgeml.trainers.digits import Digits, TrainerSettings
from tests.support.keras_models import KerasModelsSettings
from tests.support.legacy_models import LegacyModelsSettings


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """Undoes what a shell does to a job in the background: Ctrl-C would be ignored here and in all children."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def trainer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    folder = tmp_path_factory.mktemp("models")
    with Worker("edgeml.trainers.digits:DigitsTrainer", TrainerSettings(folder), folder) as worker:
        yield worker


@pytest.fixture(scope="session")
def digits(trainer: Worker) -> Digits:
    return trainer.call("data", returns=Digits)


@pytest.fixture(scope="session")
def net_file(trainer: Worker) -> Path:
    """A small convolutional net, trained on digits."""
    return trainer.call("train_net", 12, returns=Path)


@pytest.fixture(scope="session")
def pipeline_file(trainer: Worker) -> Path:
    """Scaler, PCA and logistic regression, trained on digits."""
    return trainer.call("train_pipeline", returns=Path)


@pytest.fixture(scope="session")
def net_package(net_file: Path, digits: Digits) -> edgeml.Package:
    """All nine recipes of the net."""
    return edgeml.build(
        net_file,
        name="digits-net",
        version="1.0.0",
        calibration=digits.calibration,
        evaluation=(digits.evaluation, digits.evaluation_labels),
    )


@pytest.fixture(scope="session")
def net_package_file(net_package: edgeml.Package, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("packages") / "digits-net.edgeml"
    net_package.save(path)
    return path


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
