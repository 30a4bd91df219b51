"""Sessions that many tests run."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

import edgeml
from edgeml.core.session import Session
from tests.support.sessions import ALL


@pytest.fixture
def session(net_package: edgeml.Package, recipe: str) -> Iterator[Session]:
    """A session of one test, on the recipe that it names."""
    with net_package.session(recipe) as opened:
        yield opened


@pytest.fixture(scope="module")
def sessions(net_package: edgeml.Package) -> Iterator[dict[str, Session]]:
    """A session for each recipe. Not to be closed."""
    with ExitStack() as stack:
        yield {recipe: stack.enter_context(net_package.session(recipe)) for recipe in ALL}


@pytest.fixture
def no_cycles_found() -> Iterator[None]:
    """Keeps Python from looking for cycles: what goes meanwhile is held by none."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()
