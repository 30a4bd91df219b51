"""The MLPerf Tiny reference models beside the checkout, where they are there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.processes import repository

__all__ = ["mlperf_model", "mlperf_samples"]


def _found(path: str) -> Path:
    found = repository().parent / "shared" / "mlperf_tiny" / path
    if not found.exists():
        pytest.skip(f"../shared/mlperf_tiny/{path} is absent")
    return found


def mlperf_model(name: str) -> Path:
    """One of the models; the test is skipped where the folder is absent."""
    return _found(f"models/{name}")


def mlperf_samples(name: str) -> dict[str, np.ndarray]:
    """The arrays of one of the sample files."""
    return dict(np.load(_found(name)))
