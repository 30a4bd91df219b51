from pathlib import Path

import numpy as np
import pytest

from edgeml.demo.digits import Digits


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
