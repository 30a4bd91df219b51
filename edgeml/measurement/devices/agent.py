"""What runs on a device: it answers the machine at the other end, and sees to a benchmark that outlives the connection.

Plain Python and its standard library alone: the source is sent over the connection, before anything is there.

Requests are lines of JSON on stdin, `start` with bytes behind it. Answers are lines of JSON on stdout, each behind a
mark that the caller chose, so that whatever else a login shell prints there is no answer.

A benchmark has a folder of its own. The process that runs it holds the folder locked, waits until no other benchmark
runs here, and ends, with the folder, when nobody has asked after it for an hour, or as long as it was told.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import fcntl
import io
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

__all__ = ["run", "serve"]

_ABANDONED_S = 3600.0
_HEARTBEAT_S = 1.0
_POLL_S = 0.2
_ENDING_S = 10.0
_LOG_BYTES = 20_000
_VARIABLE = "EDGEML_DEVICE_JOB"
_MADE = ".made"
_BENCH_FILES = ("--journal", "journal", "--skipped", "skipped.json", "-o", "results.json")
_RESERVED_BYTES = 8192  # of spaces, which JSON allows: an error can be told also when the disk is full
_CHECK = """
import importlib, importlib.util, json, sys
lacking = {}
for name in sys.argv[1].split():
    try:
        importlib.import_module(name)
    except Exception as error:
        lacking[name] = f"{type(error).__name__}: {error}"
engines = [name for name in sys.argv[2].split() if importlib.util.find_spec(name) is not None]
print(json.dumps([lacking, engines]))
"""


def serve(mark: str) -> None:
    """Answers requests until stdin ends.

    Args:
        mark: What the lines of answers begin with.
    """
    _say(mark, python=platform.python_version(), machine=platform.machine(), system=platform.system())
    operations: dict[str, Callable[..., Iterator[dict[str, Any]]]] = {
        "look": _look,
        "start": _start,
        "follow": _follow,
        "fetch": _fetch,
        "finish": _finish,
    }
    for line in sys.stdin.buffer:
        request = json.loads(line)
        try:
            for answer in operations[request.pop("do")](**request):
                _say(mark, **answer)
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            _say(mark, error=f"{error.strerror or error}{where}")


def _say(mark: str, **answer: object) -> None:
    # What was printed before may lack the end of its line.
    sys.stdout.write(f"\n{mark} {json.dumps(answer)}\n")
    sys.stdout.flush()


def _look(job: str, variables: dict[str, str], modules: str, engines: str) -> Iterator[dict[str, Any]]:
    """What this device has, and where the job stands."""
    os.environ.update(variables)
    done = subprocess.run(
        [sys.executable, "-P", "-B", "-c", _CHECK, modules, engines],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    try:
        lacking, found = json.loads(done.stdout)
    except ValueError:
        raise OSError(
            0, f"{sys.executable} ends with {done.returncode} when it imports: {done.stderr[-500:]}"
        ) from None
    base = _base()
    _tidy(base)
    yield {
        "lacking": lacking,
        "engines": found,
        "free_bytes": _free_bytes(base),
        "folder": str(base / job),
        "state": _state(base / job),
    }


def _start(job: str, size: int, arguments: list[str], lease_s: float) -> Iterator[dict[str, Any]]:
    """Unpacks the archive that follows the request, unless the job is there and goes on, and runs it."""
    data = sys.stdin.buffer.read(size)
    if len(data) < size:  # the connection was cut
        return
    folder = _base() / job
    if size and _state(folder) in {"none", "kept"}:  # another caller may have been quicker
        _delete(folder)
        _unpack(data, folder, {"arguments": arguments, "lease_s": lease_s})
    lock = _lock(folder)
    if lock is not None:
        (folder / "fetched").unlink(missing_ok=True)  # it was ended, and goes on
        agent = folder / "code/edgeml/measurement/devices/agent.py"
        with (folder / "job.log").open("ab") as log:
            subprocess.Popen(
                [sys.executable, "-P", "-B", agent], cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=os.environ | {_VARIABLE: job}, start_new_session=True, pass_fds=(lock,),
            )  # fmt: skip
        os.close(lock)  # the job has it now
    yield {"state": _state(folder)}


def _unpack(data: bytes, folder: Path, settings: dict[str, Any]) -> None:
    fresh = folder.with_name(f"{folder.name}.{os.getpid()}.new")
    base = folder.parent
    made = [str(parent) for parent in base.parents if not parent.exists()]
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh.mkdir(mode=0o700)
    lock = _lock(fresh)  # tells others that it is no rest of a cut connection
    assert lock is not None
    try:
        if made:
            (base / _MADE).write_text(json.dumps(made), encoding="utf-8")
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            archive.extractall(fresh)
        (fresh / "tmp").mkdir()
        (fresh / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
        (fresh / "contact").touch()
        fresh.rename(folder)
    except BaseException:
        _delete(fresh)
        raise
    finally:
        os.close(lock)


def _follow(job: str) -> Iterator[dict[str, Any]]:
    """Says how the job gets on until it is done or dead."""
    folder, silent_since = _base() / job, -_HEARTBEAT_S
    lines = size = 0
    while (state := _state(folder)) == "running":
        if time.monotonic() - silent_since >= _HEARTBEAT_S:
            silent_since = time.monotonic()
            with contextlib.suppress(FileNotFoundError):
                os.utime(folder / "contact")
            added = _added(folder / "journal", size)  # what is new alone: reading all would disturb what is measured
            lines, size = lines + added.count(b"\n"), size + len(added)
            yield {"state": state, "waiting": (folder / "waiting").exists(), "lines": lines}
        time.sleep(_POLL_S)
    yield {"state": state, "log": _end_of(folder / "job.log"), "free_bytes": _free_bytes(folder)}


def _fetch(job: str) -> Iterator[dict[str, Any]]:
    """What a job that is done brought; no codes where another caller has taken it."""
    folder = _base() / job
    try:
        codes = json.loads((folder / "done.json").read_text(encoding="utf-8"))
        names = ["golden.json", "results.json", "skipped.json", *(["bench.json"] if codes.get("bench") else [])]
        files = {name: _packed(folder / name) for name in names}
    except FileNotFoundError:
        codes, files = {}, {}
    logs = {step: _end_of(folder / f"{step}.log") for step in codes}
    yield {"codes": codes, "logs": logs, "files": files, "free_bytes": _free_bytes(folder)}


def _finish(job: str, *, keep: bool) -> Iterator[dict[str, Any]]:
    """Ends the job, and deletes all that is of it, or keeps it as one whose results have arrived."""
    folder = _base() / job
    _await_unpacking(folder)
    if keep and folder.exists():
        (folder / "fetched").touch()
        _end(folder)
    else:
        _delete(folder)
    yield {"state": _state(folder)}


def _await_unpacking(folder: Path) -> None:
    """Waits until nobody unpacks the job, for whom the connection may have been cut meanwhile."""
    while any(_state(fresh) == "running" for fresh in folder.parent.glob(f"{folder.name}.*.new")):
        time.sleep(_POLL_S)


def _base() -> Path:
    """The folder of all benchmarks of this user, below the cache folder, or where that takes none, a temporary one."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    if os.access(_existing(cache), os.W_OK | os.X_OK):
        return cache / "edgeml-bench"
    base = Path(os.environ.get("TMPDIR") or "/tmp") / f"edgeml-bench-{os.getuid()}"  # noqa: S108  # its own, mode 0700
    if os.path.lexists(base) and base.lstat().st_uid != os.getuid():  # a temporary folder is everybody's
        raise PermissionError(errno.EACCES, "it belongs to somebody else", str(base))
    return base


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if os.path.exists(path))  # noqa: PTH110  # Path's raises


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(_existing(folder)).free


def _state(folder: Path) -> str:
    """``none``, ``running``, ``done``, ``kept`` (done, and fetched before) or ``stopped``."""
    if (folder / "done.json").exists():
        return "kept" if (folder / "fetched").exists() else "done"
    try:
        lock = _lock(folder)
    except FileNotFoundError:
        return "none"
    if lock is None:
        return "running"
    os.close(lock)
    return "done" if (folder / "done.json").exists() else "stopped"


def _lock(folder: Path) -> int | None:
    """A descriptor that holds the folder locked, or None where another process does."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _added(path: Path, position: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(position)
            return file.read()
    except FileNotFoundError:
        return b""


def _end_of(path: Path) -> str:
    try:
        return path.read_bytes()[-_LOG_BYTES:].decode(errors="replace")
    except FileNotFoundError:
        return ""


def _packed(path: Path) -> str | None:
    return base64.b64encode(zlib.compress(path.read_bytes())).decode() if path.exists() else None


def _tidy(base: Path) -> None:
    """Deletes what cut connections, and jobs that died and that nobody asked after, have left."""
    for folder in base.glob("*/"):
        with contextlib.suppress(FileNotFoundError):  # another caller deletes it just now, or it is no benchmark's
            lock = _lock(folder)
            if lock is None:
                continue
            try:
                cut, kept = folder.suffix == ".new", (folder / "fetched").exists()
                if cut or (not kept and time.time() - (folder / "contact").stat().st_mtime > _ABANDONED_S):
                    _delete(folder)
            finally:
                os.close(lock)


def _delete(folder: Path) -> None:
    """Ends the job and its processes; deletes its folder; with the last one also those above that were made for it."""
    _end(folder)
    for _ in range(5):  # a process that is dying may still write
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            break
        time.sleep(_POLL_S)
    with contextlib.suppress(OSError):  # another caller does the same, or something else lies there
        for parent in _made_for(folder.parent):
            parent.rmdir()


def _made_for(base: Path) -> list[Path]:
    """The folder of all benchmarks and those above that were made for it, where it is empty now."""
    made = base / _MADE
    above = []
    if [path.name for path in base.iterdir()] == [_MADE]:
        with contextlib.suppress(ValueError):  # the disk was full when it was written
            above = json.loads(made.read_text(encoding="utf-8"))
        made.unlink()
    return [base, *map(Path, above)]


def _end(folder: Path) -> None:
    """Ends a job's processes: asks, so that they end their children, then kills, however they were started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + _ENDING_S
        found = _processes(folder.name)
        for process in found:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, number)
        while found and time.monotonic() < deadline:
            time.sleep(_POLL_S / 4)
            found = _processes(folder.name)


def _processes(job: str) -> list[int]:
    """The processes of a job: children inherit the variable that names it."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"{_VARIABLE}={job}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return [process for process in found if process != os.getpid()]


def run(folder: Path) -> None:
    """Checks the package's golden vectors, then measures; waits until the results were fetched.

    Args:
        folder: The job's, which this process inherited locked.
    """
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    attended = _attended(folder, settings["lease_s"])
    base = os.open(folder.parent, os.O_RDONLY)
    (folder / "waiting").touch()
    while not _taken(base):  # two benchmarks at a time would measure each other
        next(attended)
    (folder / "waiting").unlink()
    codes: dict[str, int] = {}
    for name in ("golden.json", "bench.json", "done.new"):
        (folder / name).write_bytes(b" " * _RESERVED_BYTES)
    for step, out, words in (
        ("verify", "golden.json", ["package.edgeml", "--json"]),
        ("bench", "bench.json", ["package.edgeml", "--json", *settings["arguments"], *_BENCH_FILES]),
    ):
        with (folder / out).open("r+b") as stdout, (folder / f"{step}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-B", "-m", "edgeml", step, *words], cwd=folder, stdin=subprocess.DEVNULL,
                stdout=stdout, stderr=log, env=_environment(folder),
            )  # fmt: skip
            while process.poll() is None:
                next(attended)
        codes[step] = process.returncode
        if codes["verify"] == 3:  # its answers are wrong here: nothing is worth measuring
            break
    with (folder / "done.new").open("r+b") as done:
        done.write(json.dumps(codes).encode())
    (folder / "done.new").rename(folder / "done.json")
    os.close(base)
    while not (folder / "fetched").exists():
        next(attended)


def _taken(base: int) -> bool:
    try:
        fcntl.flock(base, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _attended(folder: Path, lease_s: float) -> Iterator[None]:
    """Waits a little at each step, for as long as somebody asks after the job; else ends it, and this process."""
    seen, deadline = 0.0, time.monotonic() + lease_s
    while time.monotonic() < deadline:
        time.sleep(_POLL_S)
        yield
        contact = (folder / "contact").stat().st_mtime
        if contact != seen:  # the two clocks are never compared: a device's may jump
            seen, deadline = contact, time.monotonic() + lease_s
    _delete(folder)
    sys.exit()


def _environment(folder: Path) -> dict[str, str]:
    path = [str(folder / "code"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(folder / "tmp"),
        "XDG_CACHE_HOME": str(folder / "tmp"),  # onnxruntime keeps records of its use there
    }


if __name__ == "__main__":
    run(Path.cwd())
