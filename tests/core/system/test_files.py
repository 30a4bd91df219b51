from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgeml.core.errors import InputError, StorageError
from edgeml.core.system.files import atomic_write, read_bytes, read_errors
from tests.support.killed_save import NEW, OLD
from tests.support.processes import repository

DIGESTS = {hashlib.sha256(OLD).hexdigest(): "old", hashlib.sha256(NEW).hexdigest(): "new"}


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_writes_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "x.edgeml"
    for data in (b"", OLD, NEW, b"\0"):
        atomic_write(path, data)
        assert path.read_bytes() == data
        assert names(tmp_path) == ["x.edgeml"]


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        atomic_write(tmp_path / "x", b"x")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640


def test_a_link_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    real, link, link_to_link = tmp_path / "real" / "x", tmp_path / "link", tmp_path / "second"
    real.write_bytes(OLD)
    link.symlink_to("real/x")
    link_to_link.symlink_to(link)
    atomic_write(link_to_link, NEW)
    assert link.is_symlink()
    assert link_to_link.is_symlink()
    assert real.read_bytes() == NEW
    assert names(tmp_path / "real") == ["x"]
    dangling = tmp_path / "dangling"
    dangling.symlink_to("real/y")
    atomic_write(dangling, NEW)
    assert (tmp_path / "real" / "y").read_bytes() == NEW


def test_another_name_of_the_old_file_keeps_the_old_content(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(OLD)
    os.link(tmp_path / "x", tmp_path / "y")
    atomic_write(tmp_path / "x", NEW)
    assert (tmp_path / "y").read_bytes() == OLD


def test_killed_at_each_step(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.killed_save", tmp_path],
        cwd=repository(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    kills = Counter(kill["step"] for kill in found)
    assert kills[""] == 2  # both times the last save ran to its end
    # Before and after each call: the file's and the folder's fsync, three writes of a part, one replace.
    assert (kills["fsync"], kills["write"], kills["replace"]) == (4, 6, 2)
    for kill in found:
        where = f"{'after' if kill['after'] else 'before'} {kill['step']}"
        left = {name: DIGESTS.get(digest, "half") for name, digest in kill["left"].items()}
        target = left.pop("x.edgeml")
        assert target in {"old", "new"}, where
        if kill["step"] == "replace":
            assert target == ("new" if kill["after"] else "old")
        assert all(name.startswith(".x.edgeml.") for name in left), where
        if target == "new":
            assert not left, where
        assert kill["next"] == {"x.edgeml": hashlib.sha256(OLD).hexdigest()}, f"{where}: the next save clears up"
    assert [kill["left"]["x.edgeml"] for kill in found if not kill["step"]] == [hashlib.sha256(NEW).hexdigest()] * 2


def test_a_temporary_file_in_use_is_left_alone(tmp_path: Path) -> None:
    dead, alive, foreign = (tmp_path / name for name in (".x.01234567.tmp", ".x.89abcdef.tmp", ".x.mine.tmp"))
    for path in (dead, alive, foreign):
        path.write_bytes(OLD)
    with alive.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        atomic_write(tmp_path / "x", NEW)
        assert names(tmp_path) == [alive.name, foreign.name, "x"]
    atomic_write(tmp_path / "x", NEW)
    assert names(tmp_path) == [foreign.name, "x"]


def test_a_name_of_special_characters_is_no_pattern(tmp_path: Path) -> None:
    other = tmp_path / ".a.01234567.tmp"
    other.write_bytes(OLD)
    atomic_write(tmp_path / "[a]", NEW)
    atomic_write(tmp_path / "*", NEW)
    assert names(tmp_path) == sorted(["*", other.name, "[a]"])


def test_many_writers_at_once_leave_one_whole_file(tmp_path: Path) -> None:
    contents = [bytes([65 + i]) * 100_000 for i in range(8)]
    failures: list[BaseException] = []

    def write(data: bytes) -> None:
        try:
            for _ in range(10):
                atomic_write(tmp_path / "x", data)
        except StorageError as error:
            failures.append(error)

    threads = [threading.Thread(target=write, args=(data,)) for data in contents]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        if (tmp_path / "x").exists():
            assert (tmp_path / "x").read_bytes() in contents
    assert not failures
    assert (tmp_path / "x").read_bytes() in contents
    assert names(tmp_path) == ["x"]


def test_writers_that_remove_a_file_before_it_is_locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two others saw the first temporary file without a lock; the second removes its name when a new file exists."""
    created: list[Path] = []
    system_open = os.open

    def open_beside_others(path: str, flags: int, *arguments: Any, **options: Any) -> int:
        descriptor = system_open(path, flags, *arguments, **options)
        if flags & os.O_EXCL:
            created.append(tmp_path / path)
            if len(created) <= 2:
                created[0].unlink(missing_ok=True)
        return descriptor

    monkeypatch.setattr(os, "open", open_beside_others)
    atomic_write(tmp_path / "x", NEW)
    assert len(created) == 2
    assert (tmp_path / "x").read_bytes() == NEW
    assert names(tmp_path) == ["x"]


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_step_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    path = tmp_path / "x"
    path.write_bytes(OLD)

    def fails(*arguments: Any, **options: Any) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, step, fails)
    with pytest.raises(StorageError, match=r"x cannot be written: Input/output error\. Fix: free some space"):
        atomic_write(path, NEW)
    assert path.read_bytes() == OLD
    assert names(tmp_path) == ["x"]


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_ctrl_c_in_a_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    (tmp_path / "x").write_bytes(OLD)

    def interrupted(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, step, interrupted)
    with pytest.raises(KeyboardInterrupt):
        atomic_write(tmp_path / "x", NEW)
    assert (tmp_path / "x").read_bytes() == OLD
    assert names(tmp_path) == ["x"]


def test_a_folder_that_is_missing_or_none(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(OLD)
    for path in (tmp_path / "none" / "x", tmp_path / "file" / "x", Path("/proc/self/x")):
        with pytest.raises(StorageError, match="cannot be written"):
            atomic_write(path, NEW)
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="Is a directory"):
        atomic_write(tmp_path / "folder", NEW)
    with pytest.raises(StorageError, match="cannot be written"):
        atomic_write(tmp_path / ("x" * 300), NEW)
    assert names(tmp_path) == ["file", "folder"]


@pytest.fixture
def limited() -> Iterator[None]:
    """No file may grow beyond 60 kB; writing more fails as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.usefixtures("limited")
def test_a_file_that_may_not_grow(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(OLD)
    with pytest.raises(StorageError, match="File too large"):
        atomic_write(tmp_path / "x", NEW)
    assert (tmp_path / "x").read_bytes() == OLD
    assert names(tmp_path) == ["x"]


SAVE = """
import sys
from pathlib import Path
from edgeml.core.errors import InputError, StorageError
from edgeml.core.system.files import atomic_write, read_bytes, read_errors
from tests.support.killed_save import NEW
try:
    atomic_write(Path(sys.argv[1]) / "x", NEW)
except StorageError as error:
    print(error)
    print(*sorted(entry.name for entry in Path(sys.argv[1]).iterdir()))
    print((Path(sys.argv[1]) / "x").read_bytes().decode())
"""


def in_namespace(folder: Path, *commands: str) -> list[str]:
    """Runs SAVE where only the child sees what is mounted, and gives its lines."""
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-Urm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody make mount namespaces")
    script = " && ".join([*commands, '"$PYTHON" -c "$SAVE" "$FOLDER"'])
    done = subprocess.run(
        [unshare, "-Urm", "sh", "-c", script],
        cwd=repository(),
        env=os.environ | {"PYTHON": sys.executable, "SAVE": SAVE, "FOLDER": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_full_disk(tmp_path: Path) -> None:
    message, left, content = in_namespace(
        tmp_path, 'mount -t tmpfs -o size=64k tmpfs "$FOLDER"', 'printf old > "$FOLDER/x"'
    )
    assert "x cannot be written: No space left on device. Fix: free some space" in message
    assert (left, content) == ("x", "old")


def test_a_folder_that_nobody_may_write_to(tmp_path: Path) -> None:
    message, left, content = in_namespace(
        tmp_path,
        'mount -t tmpfs tmpfs "$FOLDER"',
        'printf old > "$FOLDER/x"',
        'mount -o remount,ro "$FOLDER"',
    )
    assert "x cannot be written: Read-only file system. Fix: free some space, or choose a folder" in message
    assert (left, content) == ("x", "old")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_the_user_may_not_write_to(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(OLD)
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(StorageError, match="Permission denied"):
            atomic_write(tmp_path / "x", NEW)
    finally:
        tmp_path.chmod(0o700)
    assert (tmp_path / "x").read_bytes() == OLD


def test_a_whole_file_is_read(tmp_path: Path) -> None:
    for data in (b"", OLD, bytes(range(256)) * 1000):
        (tmp_path / "x").write_bytes(data)
        assert read_bytes(tmp_path / "x") == data


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for path in (tmp_path / "absent", tmp_path / "none" / "x"):
        with pytest.raises(InputError, match=r"/(absent|none/x): file not found\.") as caught:
            read_bytes(path)
        assert str(path) in caught.value.message
        assert isinstance(caught.value.__cause__, FileNotFoundError)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(OLD)
    (tmp_path / "loop").symlink_to("loop")
    for name, words in (("", "Is a directory"), ("file/x", "Not a directory"), ("loop", "symbolic links")):
        with pytest.raises(StorageError, match=f"{tmp_path / name} cannot be read: .*{words}"):
            read_bytes(tmp_path / name)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read anything")
def test_a_file_that_the_user_may_not_read(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(OLD)
    (tmp_path / "x").chmod(0)
    with pytest.raises(StorageError, match="Permission denied"):
        read_bytes(tmp_path / "x")


def test_errors_of_reading_are_told_wherever_in_the_block_they_come(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a name: file not found"), read_errors("a name"):
        (tmp_path / "absent").open()
    with pytest.raises(StorageError, match="a name cannot be read: Input/output error"), read_errors("a name"):
        raise OSError(errno.EIO, "Input/output error")
    with pytest.raises(StorageError, match="a name cannot be read: it is broken"), read_errors("a name"):
        raise OSError("it is broken")  # as some libraries raise it, without a number
    with pytest.raises(ValueError, match="other"), read_errors("a name"):
        raise ValueError("other")
