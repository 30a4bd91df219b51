"""Conversions of scikit-learn models, and trainings that do not wait for each other's threads."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from threadpoolctl import threadpool_limits

from edgeml.core.system.worker import Worker
from tests.support.sklearn_cases import Conversions
from tests.support.sklearn_worker import SklearnWorkerSettings


@pytest.fixture(scope="session")
def conversions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Conversions]:
    folder = tmp_path_factory.mktemp("sklearn")
    with Worker("tests.support.sklearn_worker:SklearnWorker", SklearnWorkerSettings(folder), folder) as worker:
        yield Conversions(worker, folder)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """The last bits of sums depend on the number of threads, and references are of one; small models train faster."""
    with threadpool_limits(1):
        yield
