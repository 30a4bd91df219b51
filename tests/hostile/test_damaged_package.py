"""Whatever single thing changes in a package's bytes is found, and found before any parser sees it."""

from __future__ import annotations

import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

import edgeml
from edgeml.core.errors import InputError, PackageError, StorageError
from edgeml.core.registry import engines
from edgeml.package import verify as verification_module

READS = ("artifacts/onnx-fp32.onnx", "artifacts/tflite-fp32.tflite", "golden/input.features.npy")


class Patched:
    """A copy of a file in which bytes are changed and put back."""

    def __init__(self, original: Path, copy: Path) -> None:
        self.path = copy
        self.data = original.read_bytes()
        shutil.copyfile(original, copy)

    def write(self, position: int, value: int) -> None:
        with self.path.open("r+b") as file:
            file.seek(position)
            file.write(bytes([value]))

    def restore(self, position: int) -> None:
        self.write(position, self.data[position])


@pytest.fixture
def patched(small_package_file: Path, tmp_path: Path) -> Patched:
    return Patched(small_package_file, tmp_path / "copy.edgeml")


@pytest.fixture
def no_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    """Engines and array readers that must not be reached."""

    def reached(*arguments: object, **options: object) -> None:
        pytest.fail("a damaged package reached a parser")

    monkeypatch.setattr(engines, "resolve", lambda name: reached)
    monkeypatch.setattr(verification_module, "check_runs", reached)


def test_the_unchanged_copy_is_sound(patched: Patched) -> None:
    assert len(patched.data) < 20_000
    found = edgeml.open_package(patched.path).verify()
    assert {check.status for check in found.golden} == {"holds"}
    assert found.entries == len(zipfile.ZipFile(patched.path).namelist())


@pytest.mark.slow
@pytest.mark.usefixtures("no_parser")
def test_every_changed_byte_is_found(patched: Patched) -> None:
    rng = random.Random(1)
    for position, value in enumerate(patched.data):
        for other in {value ^ 1 << rng.randrange(8), rng.choice([v for v in range(256) if v != value])}:
            patched.write(position, other)
            with pytest.raises(PackageError):
                edgeml.open_package(patched.path).verify()
        patched.restore(position)
    assert patched.path.read_bytes() == patched.data


@pytest.mark.usefixtures("no_parser")
def test_a_changed_byte_of_an_entry_is_found_when_it_is_read(patched: Patched) -> None:
    with zipfile.ZipFile(patched.path) as archive:
        entries = {info.filename: info for info in archive.infolist()}
    package = edgeml.open_package(patched.path)  # opened before the damage
    for name in READS:
        begin = entries[name].header_offset
        for position in range(begin, begin + 30 + len(name) + entries[name].file_size, 7):
            patched.write(position, patched.data[position] ^ 0x10)
            with pytest.raises(PackageError):
                package.read(name)
            with pytest.raises(PackageError):
                edgeml.open_package(patched.path).read(name)
            if name.startswith("artifacts/"):
                recipe = Path(name).stem
                with pytest.raises(PackageError):
                    package.session(recipe)
            patched.restore(position)


@pytest.mark.usefixtures("no_parser")
def test_two_swapped_blocks_are_found(patched: Patched) -> None:
    rng = random.Random(2)
    size = len(patched.data)
    for _ in range(200):
        length = rng.randrange(1, 200)
        first, second = sorted(rng.sample(range(size - length), 2))
        data = bytearray(patched.data)
        data[first : first + length], data[second : second + length] = (
            patched.data[second : second + length],
            patched.data[first : first + length],
        )
        if data == patched.data:
            continue
        patched.path.write_bytes(data)
        with pytest.raises(PackageError):
            edgeml.open_package(patched.path).verify()


def test_truncated_at_any_length(small_package_file: Path, tmp_path: Path) -> None:
    data, path = small_package_file.read_bytes(), tmp_path / "cut.edgeml"
    path.write_bytes(data)
    lengths = [*range(len(data) - 1, len(data) - 100, -1), *range(len(data) - 100, -1, -37), *range(30)]
    for length in sorted(set(lengths), reverse=True):
        with path.open("r+b") as file:
            file.truncate(length)
        with pytest.raises(PackageError):
            edgeml.open_package(path)


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data + b"\0",
        lambda data: data + b"PK\5\6" + bytes(18),
        lambda data: data + data,
        lambda data: b"\0" + data,
        lambda data: b"#!/bin/sh\n" + data,
        lambda data: data[1:],
        lambda data: data[:-22] + b"\0" + data[-22:],
        lambda data: data[:-2] + b"\5\0hello",  # a comment
        lambda data: b"",
        lambda data: b"PK\5\6" + bytes(18),  # what zipfile makes of no entries
        lambda data: b"PK",
        lambda data: bytes(len(data)),
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: data[::-1],
    ],
)
def test_other_bytes(small_package_file: Path, tmp_path: Path, change: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "other.edgeml"
    path.write_bytes(change(small_package_file.read_bytes()))
    with pytest.raises(PackageError, match=r"^other\.edgeml is not a valid package: "):
        edgeml.open_package(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.edgeml: file not found"):
        edgeml.open_package(tmp_path / "none.edgeml")


def test_what_cannot_be_read(tmp_path: Path, small_package_file: Path) -> None:
    with pytest.raises(StorageError, match="directory"):
        edgeml.open_package(tmp_path)
    with pytest.raises(StorageError, match="cannot be read"):
        edgeml.open_package(small_package_file / "x.edgeml")


def test_a_package_that_is_exchanged_while_it_is_open(patched: Patched) -> None:
    package = edgeml.open_package(patched.path)
    patched.path.write_bytes(b"PK\3\4" * 5000)
    with pytest.raises(PackageError):
        package.read("artifacts/onnx-fp32.onnx")
    patched.path.unlink()
    with pytest.raises((StorageError, InputError)):
        package.read("artifacts/onnx-fp32.onnx")
