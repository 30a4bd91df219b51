"""The command line as a user runs it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.small_package import small_package, small_package_file

__all__ = ["demo_run", "edgeml_command", "run", "small_package", "small_package_file"]

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def edgeml_command() -> Path:
    return Path(sys.executable).with_name("edgeml")


@pytest.fixture(scope="session")
def run(edgeml_command: Path) -> Run:
    """Runs `edgeml` with the arguments; `cwd` and `env` may be given."""

    def call(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(  # type: ignore[call-overload]
            [str(edgeml_command), *map(str, arguments)],
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
            **options,
        )

    return call


@pytest.fixture(scope="session")
def demo_run(run: Run, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The folder that `edgeml demo` wrote, and what it printed."""
    folder = tmp_path_factory.mktemp("demo")
    return folder, run("demo", "-o", folder, "--json")
