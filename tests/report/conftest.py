"""A package, what was measured of it on this machine, and a browser.

The package is the oldest there is, and is kept: nothing must be trained or converted here.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import edgeml
from edgeml.core.results import Results, encode_results
from edgeml.package.arrays import decode_array
from edgeml.report import make_report
from tests.support.make_format1 import PACKAGE
from tests.support.measured import measured_results

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="session")
def package() -> edgeml.Package:
    """The net on digits, as tflite-int8 and onnx-fp32."""
    return edgeml.open_package(PACKAGE)


@pytest.fixture(scope="session")
def measured(package: edgeml.Package) -> Results:
    inputs = decode_array(package.read(package.manifest.golden.inputs["image"]), "image")
    return measured_results(package, inputs, device="bench-1")


@pytest.fixture(scope="session")
def results_files(measured: Results, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Of two devices; the second's figures are doubtful."""
    folder = tmp_path_factory.mktemp("results")
    conditions = msgspec.structs.replace(measured.measurements[0].conditions, flags=("other processes took 41%",))
    other = msgspec.structs.replace(
        measured,
        machine=msgspec.structs.replace(measured.machine, device="pi@board"),
        measurements=tuple(msgspec.structs.replace(one, conditions=conditions) for one in measured.measurements),
    )
    paths = folder / "bench-1.json", folder / "pi.json"
    for path, results in zip(paths, (measured, other), strict=True):
        path.write_bytes(encode_results(results))
    return paths


@pytest.fixture(scope="session")
def page_file(
    package: edgeml.Package, results_files: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    path.write_bytes(make_report(package, results_files))
    return path


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """The machine's own chromium."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("there is no chromium on this machine")
    with playwright.sync_playwright() as driver:
        # Chromium's own sandbox does not start for root, as in containers; the pages are ours.
        yield (launched := driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"]))
        launched.close()
