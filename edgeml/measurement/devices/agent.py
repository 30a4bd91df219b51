"""The agent on a device: it replies to the caller, and runs a benchmark that outlives the connection.

This file uses the standard library only: its source is sent over the connection before anything else is there.

Requests are lines of JSON on stdin; bytes follow the request `start`. Replies are lines of JSON on stdout, each after a
mark that the caller chose, so that other output of a login shell is not taken for a reply.

Each benchmark has its own folder. The process that runs the benchmark holds a lock on the folder, waits until no other
benchmark runs on the device, and exits and removes the folder when no caller has asked for it during the lease, by
default an hour.
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
_STOP_TIMEOUT_S = 10.0
_LOG_BYTES = 20_000
_VARIABLE = "EDGEML_DEVICE_JOB"
_CREATED_FOLDERS_FILE = ".made"
_BENCH_OUTPUT_OPTIONS = ("--journal", "journal", "--skipped", "skipped.json", "-o", "results.json")
_RESERVED_BYTES = (
    8192  # files are pre-filled with spaces, which JSON allows, so that an error can be written to a full disk
)
_CHECK_IMPORTS = """
import importlib, importlib.util, json, sys
missing = {}
for name in sys.argv[1].split():
    try:
        importlib.import_module(name)
    except Exception as error:
        missing[name] = f"{type(error).__name__}: {error}"
engines = [name for name in sys.argv[2].split() if importlib.util.find_spec(name) is not None]
print(json.dumps([missing, engines]))
"""


def serve(mark: str) -> None:
    """Reply to requests until stdin ends.

    Args:
        mark: Prefix of the lines of replies.
    """
    _reply(mark, python=platform.python_version(), machine=platform.machine(), system=platform.system())
    operations: dict[str, Callable[..., Iterator[dict[str, Any]]]] = {
        "look": _describe_device,
        "start": _start,
        "follow": _follow,
        "fetch": _fetch,
        "finish": _finish,
    }
    for line in sys.stdin.buffer:
        request = json.loads(line)
        try:
            for reply in operations[request.pop("do")](**request):
                _reply(mark, **reply)
        except OSError as error:
            where = f" ({error.filename})" if error.filename else ""
            _reply(mark, error=f"{error.strerror or error}{where}")


def _reply(mark: str, **reply: object) -> None:
    # Earlier output may lack the end of its line.
    sys.stdout.write(f"\n{mark} {json.dumps(reply)}\n")
    sys.stdout.flush()


def _describe_device(job: str, variables: dict[str, str], modules: str, engines: str) -> Iterator[dict[str, Any]]:
    """Describe the software and the free space of this device, and the state of the job."""
    os.environ.update(variables)
    process = subprocess.run(
        [sys.executable, "-P", "-B", "-c", _CHECK_IMPORTS, modules, engines],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    try:
        missing, installed = json.loads(process.stdout)
    except ValueError:
        raise OSError(
            0, f"{sys.executable} exited with {process.returncode} while importing: {process.stderr[-500:]}"
        ) from None
    base = _base()
    _remove_abandoned(base)
    yield {
        "lacking": missing,
        "engines": installed,
        "free_bytes": _free_bytes(base),
        "folder": str(base / job),
        "state": _state(base / job),
    }


def _start(job: str, size: int, arguments: list[str], lease_s: float) -> Iterator[dict[str, Any]]:
    """Run the job. If it does not exist yet, unpack it first from the archive that follows the request."""
    data = sys.stdin.buffer.read(size)
    if len(data) < size:  # the connection was cut
        return
    folder = _base() / job
    if size and _state(folder) in {"none", "kept"}:  # another caller may have been faster
        _delete(folder)
        _unpack(data, folder, {"arguments": arguments, "lease_s": lease_s})
    lock = _lock(folder)
    if lock is not None:
        (folder / "fetched").unlink(missing_ok=True)  # the job was stopped, and continues
        agent = folder / "code/edgeml/measurement/devices/agent.py"
        with (folder / "job.log").open("ab") as log:
            subprocess.Popen(
                [sys.executable, "-P", "-B", agent], cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=os.environ | {_VARIABLE: job}, start_new_session=True, pass_fds=(lock,),
            )  # fmt: skip
        os.close(lock)  # the job's process holds the lock now
    yield {"state": _state(folder)}


def _unpack(data: bytes, folder: Path, settings: dict[str, Any]) -> None:
    staging = folder.with_name(f"{folder.name}.{os.getpid()}.new")
    base = folder.parent
    created = [str(parent) for parent in base.parents if not parent.exists()]
    base.mkdir(mode=0o700, parents=True, exist_ok=True)
    staging.mkdir(mode=0o700)
    lock = _lock(staging)  # shows other callers that the folder is in use
    assert lock is not None
    try:
        if created:
            (base / _CREATED_FOLDERS_FILE).write_text(json.dumps(created), encoding="utf-8")
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            archive.extractall(staging)
        (staging / "tmp").mkdir()
        (staging / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
        (staging / "contact").touch()
        staging.rename(folder)
    except BaseException:
        _delete(staging)
        raise
    finally:
        os.close(lock)


def _follow(job: str) -> Iterator[dict[str, Any]]:
    """Report the progress of the job until it is done or stopped."""
    folder, last_reply = _base() / job, -_HEARTBEAT_S
    lines = size = 0
    while (state := _state(folder)) == "running":
        if time.monotonic() - last_reply >= _HEARTBEAT_S:
            last_reply = time.monotonic()
            with contextlib.suppress(FileNotFoundError):
                os.utime(folder / "contact")
            appended = _read_from(folder / "journal", size)  # new lines only: reading all would disturb the measurement
            lines, size = lines + appended.count(b"\n"), size + len(appended)
            yield {"state": state, "waiting": (folder / "waiting").exists(), "lines": lines}
        time.sleep(_POLL_S)
    yield {"state": state, "log": _read_tail(folder / "job.log"), "free_bytes": _free_bytes(folder)}


def _fetch(job: str) -> Iterator[dict[str, Any]]:
    """Send the results of a finished job; nothing if another caller has fetched and removed it."""
    folder = _base() / job
    try:
        codes = json.loads((folder / "done.json").read_text(encoding="utf-8"))
        names = ["golden.json", "results.json", "skipped.json", *(["bench.json"] if codes.get("bench") else [])]
        files = {name: _pack(folder / name) for name in names}
    except FileNotFoundError:
        codes, files = {}, {}
    logs = {step: _read_tail(folder / f"{step}.log") for step in codes}
    yield {"codes": codes, "logs": logs, "files": files, "free_bytes": _free_bytes(folder)}


def _finish(job: str, *, keep: bool) -> Iterator[dict[str, Any]]:
    """Stop the job, and delete it or keep it as fetched."""
    folder = _base() / job
    _await_unpacking(folder)
    if keep and folder.exists():
        (folder / "fetched").touch()
        _stop(folder)
    else:
        _delete(folder)
    yield {"state": _state(folder)}


def _await_unpacking(folder: Path) -> None:
    """Wait for an earlier upload of this job to finish; its connection may have dropped."""
    while any(_state(staging) == "running" for staging in folder.parent.glob(f"{folder.name}.*.new")):
        time.sleep(_POLL_S)


def _base() -> Path:
    """Return this user's folder of benchmarks, in the cache folder or, if that is not writable, a temporary one."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
    if os.access(_nearest_existing(cache), os.W_OK | os.X_OK):
        return cache / "edgeml-bench"
    base = Path(os.environ.get("TMPDIR") or "/tmp") / f"edgeml-bench-{os.getuid()}"  # noqa: S108  # created with mode 0700
    if os.path.lexists(base) and base.lstat().st_uid != os.getuid():  # anyone can write to /tmp
        raise PermissionError(errno.EACCES, "it belongs to another user", str(base))
    return base


def _nearest_existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if os.path.exists(path))  # noqa: PTH110  # Path.exists raises


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(_nearest_existing(folder)).free


def _state(folder: Path) -> str:
    """Return ``none``, ``running``, ``done``, ``kept`` (done, and fetched before) or ``stopped``."""
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
    """Return a descriptor that holds a lock on the folder; None if another process holds it."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _read_from(path: Path, position: int) -> bytes:
    try:
        with path.open("rb") as file:
            file.seek(position)
            return file.read()
    except FileNotFoundError:
        return b""


def _read_tail(path: Path) -> str:
    try:
        return path.read_bytes()[-_LOG_BYTES:].decode(errors="replace")
    except FileNotFoundError:
        return ""


def _pack(path: Path) -> str | None:
    return base64.b64encode(zlib.compress(path.read_bytes())).decode() if path.exists() else None


def _remove_abandoned(base: Path) -> None:
    """Delete incomplete uploads, and stopped jobs that no caller has asked for recently."""
    for folder in base.glob("*/"):
        with contextlib.suppress(FileNotFoundError):  # deleted by another caller, or not a benchmark's folder
            lock = _lock(folder)
            if lock is None:
                continue
            try:
                incomplete, kept = folder.suffix == ".new", (folder / "fetched").exists()
                if incomplete or (not kept and time.time() - (folder / "contact").stat().st_mtime > _ABANDONED_S):
                    _delete(folder)
            finally:
                os.close(lock)


def _delete(folder: Path) -> None:
    """Stop the job and delete its folder; with the last job, also delete the parent folders created for it."""
    _stop(folder)
    for _ in range(5):  # an exiting process may still write
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            break
        time.sleep(_POLL_S)
    with contextlib.suppress(OSError):  # another caller does the same, or the folder holds other files
        for parent in _created_folders(folder.parent):
            parent.rmdir()


def _created_folders(base: Path) -> list[Path]:
    """Return the folder of benchmarks and, if it is empty now, the parent folders that were created for it."""
    record = base / _CREATED_FOLDERS_FILE
    parents = []
    if [path.name for path in base.iterdir()] == [_CREATED_FOLDERS_FILE]:
        with contextlib.suppress(ValueError):  # the disk was full when the record was written
            parents = json.loads(record.read_text(encoding="utf-8"))
        record.unlink()
    return [base, *map(Path, parents)]


def _stop(folder: Path) -> None:
    """Stop a job's processes: terminate them, so that they stop their children, then kill the rest."""
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        deadline = time.monotonic() + _STOP_TIMEOUT_S
        processes = _processes(folder.name)
        for process in processes:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(process, signal_number)
        while processes and time.monotonic() < deadline:
            time.sleep(_POLL_S / 4)
            processes = _processes(folder.name)


def _processes(job: str) -> list[int]:
    """Return the processes of a job; child processes inherit the variable with its name."""
    processes = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if f"{_VARIABLE}={job}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                processes.append(int(folder.name))
    return [process for process in processes if process != os.getpid()]


def run(folder: Path) -> None:
    """Check the package's golden vectors, then measure; wait until the results are fetched.

    Args:
        folder: Folder of the job; this process has inherited its lock.
    """
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    lease = _enforce_lease(folder, settings["lease_s"])
    base = os.open(folder.parent, os.O_RDONLY)
    (folder / "waiting").touch()
    while not _acquire(base):  # two benchmarks at a time would disturb each other
        next(lease)
    (folder / "waiting").unlink()
    codes: dict[str, int] = {}
    for name in ("golden.json", "bench.json", "done.new"):
        (folder / name).write_bytes(b" " * _RESERVED_BYTES)
    trust = [option for option in settings["arguments"] if option == "--trust-source"]
    for step, output, arguments in (
        ("verify", "golden.json", ["package.edgeml", "--json", *trust]),
        ("bench", "bench.json", ["package.edgeml", "--json", *settings["arguments"], *_BENCH_OUTPUT_OPTIONS]),
    ):
        with (folder / output).open("r+b") as stdout, (folder / f"{step}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-P", "-B", "-m", "edgeml", step, *arguments], cwd=folder, stdin=subprocess.DEVNULL,
                stdout=stdout, stderr=log, env=_environment(folder),
            )  # fmt: skip
            while process.poll() is None:
                next(lease)
        codes[step] = process.returncode
        if codes["verify"] == 3:  # the outputs are wrong on this device: measuring is pointless
            break
    with (folder / "done.new").open("r+b") as done:
        done.write(json.dumps(codes).encode())
    (folder / "done.new").rename(folder / "done.json")
    os.close(base)
    while not (folder / "fetched").exists():
        next(lease)


def _acquire(base: int) -> bool:
    try:
        fcntl.flock(base, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _enforce_lease(folder: Path, lease_s: float) -> Iterator[None]:
    """Yield about every 0.2 s while callers contact the job; delete the job and exit when the lease expires."""
    last_contact, deadline = 0.0, time.monotonic() + lease_s
    while time.monotonic() < deadline:
        time.sleep(_POLL_S)
        yield
        contact = (folder / "contact").stat().st_mtime
        if contact != last_contact:  # the two clocks are not compared: a device's clock may jump
            last_contact, deadline = contact, time.monotonic() + lease_s
    _delete(folder)
    sys.exit()


def _environment(folder: Path) -> dict[str, str]:
    path = [str(folder / "code"), *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(folder / "tmp"),
        "XDG_CACHE_HOME": str(folder / "tmp"),  # onnxruntime stores usage records there
    }


if __name__ == "__main__":
    run(Path.cwd())
