"""Inputs that are no plain files, or text that no reader survives: each ends in a named error at once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

import edgeml
from edgeml.core.errors import EdgemlError, InputError
from edgeml.core.records.benchmark_results import read_results
from edgeml.measurement.devices import read_lab
from edgeml.preprocessing.csv_table import read_csv
from edgeml.preprocessing.declarations import read_declarations
from edgeml.preprocessing.image_files import read_image
from edgeml.trainers import read_training
from edgeml.trainers.idx_files import read_idx
from tests.support.processes import repository

PACKAGE = repository() / "tests/data/format1.edgeml"
DIGITS = Path("digits.keras")

READERS: dict[str, Callable[[Path], object]] = {
    "package": edgeml.open_package,
    "load": edgeml.load,
    "model .keras": edgeml.build,
    "calibration": lambda path: edgeml.build(DIGITS, calibration=path),
    "evaluation": lambda path: edgeml.build(DIGITS, evaluation=path),
    "labels": lambda path: edgeml.build(DIGITS, labels=path),
    "preprocessing": read_declarations,
    "results": read_results,
    "training": read_training,
    "lab": read_lab,
    "table": read_csv,
    "image": read_image,
    "idx": lambda path: read_idx(path, 1),
}
SUFFIXES = {"model .keras": ".keras", "calibration": ".npz", "evaluation": ".csv", "image": ".ppm"}


@pytest.fixture(params=["pipe", "/dev/zero", "/dev/null"])
def special(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Path]:
    """Create a pipe that no program writes to, or a link to a device, with an ending."""

    def make(suffix: str) -> Path:
        path = tmp_path / f"input{suffix}"
        if request.param == "pipe":
            os.mkfifo(path)
        else:
            path.symlink_to(request.param)
        return path

    return make


@pytest.mark.parametrize("reader", READERS)
def test_pipes_and_devices_are_refused(reader: str, special: Callable[[str], Path]) -> None:
    with pytest.raises(InputError, match=r"expected a file, got a (pipe|device)"):
        READERS[reader](special(SUFFIXES.get(reader, "")))


TOML: dict[str, Callable[[Path], object]] = {
    "training": read_training,
    "lab": read_lab,
    "preprocessing": read_declarations,
}


@pytest.mark.parametrize("reader", TOML)
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = " + "[" * 5000 + "]" * 5000, "nested too deep"),
        ("a = " + "{a = " * 2000 + "1" + "}" * 2000, "nested too deep"),
        ("a = " + "9" * 5000, "digits"),
        ("a = 0x" + "f" * 5000, "more than 64 bits"),
        ("a = '" + "b" * 2**20 + "'", "at most 1048576"),
        ("a = 1\0", "cannot be read as TOML"),
        ("[a]\nb = 1979-99-99", "cannot be read as TOML"),
    ],
    ids=["lists", "tables", "digits", "hexadecimal", "large", "nul", "date"],
)
def test_toml_that_readers_do_not_survive(reader: str, text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "file.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        TOML[reader](path)


def test_toml_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "file.toml"
    path.write_bytes(b"a = '\xff'")
    for read in TOML.values():
        with pytest.raises(InputError, match="cannot be read as TOML"):
            read(path)


@pytest.mark.parametrize("text", ["[" * 100_000, '["a", 1]', '{"a": 1}', "9" * 5000])
def test_labels_in_json_that_are_no_list_of_texts(text: str, tmp_path: Path) -> None:
    (tmp_path / "labels.json").write_text(text)
    with pytest.raises(InputError, match="labels"):
        edgeml.build(DIGITS, labels=tmp_path / "labels.json")


def test_a_file_that_claims_terabytes(tmp_path: Path) -> None:
    for name in ("r.json", "t.toml", "p.edgeml", "x.npy"):
        with (tmp_path / name).open("wb") as file:
            file.truncate(2**42)
    for read in (read_results, read_training, edgeml.open_package):
        with pytest.raises(EdgemlError):
            read(tmp_path / {read_results: "r.json", read_training: "t.toml"}.get(read, "p.edgeml"))
    with pytest.raises(InputError):
        edgeml.build(DIGITS, calibration=tmp_path / "x.npy")
