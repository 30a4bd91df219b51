from pathlib import Path

import numpy as np
import pytest

from edgeml.trainers.digits import Digits
from tests.e2e.conftest import edgeml_command, run
from tests.support.small_package import small_package, small_package_file

__all__ = ["data_file", "edgeml_command", "run", "small_package", "small_package_file"]


@pytest.fixture(scope="session")
def data_file(digits: Digits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `tests.support.building` reads."""
    path = tmp_path_factory.mktemp("data") / "digits.npz"
    np.savez(
        path,
        calibration=digits.calibration,
        evaluation=digits.evaluation[:200],
        labels=digits.evaluation_labels[:200],
    )
    return path
