"""Where results are written, and what texts of others do to a terminal."""

from __future__ import annotations

import json
import os
import re
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import edgeml
from edgeml.core.errors import StorageError
from edgeml.core.system.files import atomic_write
from edgeml.package import Failure
from tests.support.forging import forged

STEERING = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]")
HOSTILE = "\x1b[2J\x9b31m\u202egnp.exe\u2066\u200b\ufeff\x07\r"


# --- files ---------------------------------------------------------------------------------------------------------


def test_a_pipe_gets_the_data_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe, data = tmp_path / "pipe", bytes(range(256)) * 1000
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    reader.start()
    atomic_write(pipe, data)
    reader.join(10)
    assert read == [data]
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert list(tmp_path.iterdir()) == [pipe]


def test_a_pipe_that_nobody_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeml.core.system.files._READER_S", 0.1)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(StorageError, match="no program reads from this pipe"):
        atomic_write(tmp_path / "pipe", b"x")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make devices")
def test_a_device_stays_a_device(tmp_path: Path) -> None:
    device = tmp_path / "null"
    try:
        os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("this container does not allow devices")
    atomic_write(device, b"x")
    assert stat.S_ISCHR(device.stat().st_mode)


def test_a_socket_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import socket

    monkeypatch.chdir(tmp_path)  # paths of sockets are short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        with pytest.raises(StorageError, match="expected a file, a pipe or a character device"):
            atomic_write(Path("socket"), b"x")


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444, 0o755])
def test_the_mode_of_a_replaced_file_stays(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")
    path.chmod(mode)
    atomic_write(path, b"new")
    assert path.read_bytes() == b"new"
    assert stat.S_IMODE(path.stat().st_mode) == mode


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_the_owner_of_a_replaced_file_stays(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"old")
    os.chown(path, 65534, 65534)
    atomic_write(path, b"new")
    assert (path.stat().st_uid, path.stat().st_gid) == (65534, 65534)


def test_a_pipe_in_the_place_of_a_temporary_file(tmp_path: Path) -> None:
    pipe = tmp_path / ".x.01234567.tmp"
    os.mkfifo(pipe)
    atomic_write(tmp_path / "x", b"new")
    assert sorted(tmp_path.iterdir()) == [pipe, tmp_path / "x"]


@pytest.mark.parametrize("name", ["n" * 255, "é" * 127, "\udcff\udcfe", "a\nb", "-rf", " "], ids=ascii)
def test_any_name_that_the_system_takes(tmp_path: Path, name: str) -> None:
    atomic_write(tmp_path / name, b"first")
    atomic_write(tmp_path / name, b"new")
    assert (tmp_path / name).read_bytes() == b"new"
    assert os.listdir(tmp_path) == [name]  # noqa: PTH208  # of the same text


def test_a_path_as_long_as_the_system_takes(tmp_path: Path) -> None:
    folder = tmp_path
    while len(str(folder)) < 3800:
        folder /= "d" * 200
        folder.mkdir()
    path = folder / ("n" * (4094 - len(str(folder))))
    atomic_write(path, b"new")
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("name", ["n" * 256, "a\0b", "\ud800"], ids=ascii)
def test_a_name_that_the_system_does_not_take(tmp_path: Path, name: str) -> None:
    with pytest.raises(StorageError, match="cannot be written"):
        atomic_write(tmp_path / name, b"x")


@pytest.mark.parametrize("through_link", [False, True])
def test_a_folder_of_failures_that_edgeml_did_not_make(
    small_package: edgeml.Package, tmp_path: Path, through_link: bool
) -> None:
    mine = tmp_path / "mine"
    (mine / "tflite-int8").mkdir(parents=True)
    for name in ("source.py", "judged.npz", "tflite-int8/notes"):
        (mine / name).write_text("my work")
    folder = tmp_path / "x.edgeml.failed"
    if through_link:
        folder.symlink_to(mine)
    else:
        mine = mine.rename(folder)
    small_package.save(tmp_path / "x.edgeml")
    failing = edgeml.Package.of(
        small_package.manifest,
        {name: small_package.read(name) for name in small_package.manifest.files},
        failures=(Failure("tflite-int8", {"log.txt": b""}),),
    )
    with pytest.raises(StorageError, match="it exists, and was not made by edgeml"):
        failing.save(tmp_path / "x.edgeml")
    kept = sorted(str(path.relative_to(mine)) for path in mine.rglob("*") if path.is_file())
    assert kept == ["judged.npz", "source.py", "tflite-int8/notes"]


# --- texts ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hostile_package(small_package_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package with texts that steer a terminal, in every place that may hold a text."""

    def change(manifest: Any, contents: dict[str, bytes]) -> None:
        manifest["author"] = manifest["licence"] = manifest["edgeml"] = HOSTILE
        manifest["tools"] = {HOSTILE: HOSTILE}
        manifest["source"]["architecture"] = HOSTILE
        manifest["source"]["versions"] = {HOSTILE: HOSTILE}
        manifest["cpu"] = {"architecture": HOSTILE, "features": [HOSTILE]}
        manifest["refused"] = [{"recipe": "tflite-int8", "reason": HOSTILE, "fix": HOSTILE}]
        for record in manifest["artifacts"]:
            record["lineage"] = [HOSTILE]
            record["needs"]["operators"] = [HOSTILE]
            record["verdict"]["remarks"] = [HOSTILE]

    path = tmp_path_factory.mktemp("hostile") / "hostile.edgeml"
    path.write_bytes(forged(small_package_file.read_bytes(), change))
    return path


@pytest.mark.parametrize("command", ["inspect", "explain", "verify", "diff"])
@pytest.mark.parametrize("as_json", [False, True])
def test_texts_of_a_package_do_not_steer_the_terminal(
    hostile_package: Path, small_package_file: Path, command: str, as_json: bool, run: Callable[..., Any]
) -> None:
    other = [small_package_file] if command == "diff" else []
    done = run(command, hostile_package, *other, *(["--json"] if as_json else []))
    assert done.returncode == 0
    assert not STEERING.findall(done.stdout + done.stderr)


def test_json_keeps_the_value_of_texts(hostile_package: Path, run: Callable[..., Any]) -> None:
    document = json.loads(run("inspect", hostile_package, "--json").stdout)
    assert document["author"] == HOSTILE
    assert document["source"]["versions"] == {HOSTILE: HOSTILE}
