"""Cold start and memory: fresh processes that open a package, create a session and predict once."""

from __future__ import annotations

import contextlib
import os
import select
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns

import msgspec
import numpy as np
from msgspec import Struct

from edgeml.core.errors import TargetError
from edgeml.core.recipe import find_recipe
from edgeml.core.records.benchmark_results import Figure
from edgeml.core.registry.engines import engines, load_modules, missing_dependency
from edgeml.measurement.quantiles import median

__all__ = ["ColdStart", "measure_cold_start", "run_child"]

_TIMEOUT_S = 120.0
_REPEATS = 5  # further predictions, for buffers that grow late
_SEPARATE_PROCESS = "micro"  # the target whose interpreter runs in a process of its own


class _Request(Struct, frozen=True):
    package: str
    artifact: str
    target: str
    threads: int | None
    sizes: dict[str, int] | None


class _Reply(Struct, frozen=True):
    peak_mb: float | None


@dataclass(frozen=True, slots=True)
class ColdStart:
    """Cost of a first prediction in a fresh process.

    Attributes:
        cold_start_ms: Time from the start of a process to its first output; median over processes, with its interval.
        peak_mb: Median peak of resident memory above that of the process with the engine loaded and no package open.
            None if the system does not report memory, or if the interpreter runs in another process.
    """

    cold_start_ms: Figure
    peak_mb: float | None


def measure_cold_start(
    package: Path,
    artifact: str,
    target: str,
    threads: int | None,
    *,
    processes: int,
    sizes: dict[str, int] | None = None,
) -> ColdStart:
    """Measure the cold start in fresh processes, one after the other.

    Args:
        package: File of the package.
        artifact: Recipe of the artifact.
        target: Target to run on.
        threads: Threads of the session.
        processes: Number of processes; another one runs first, so that files are in the page cache.
        sizes: A number for each free size, by name; None without free sizes.

    Raises:
        TargetError: A process died, or did not reply within two minutes.
    """
    request = _Request(str(package.absolute()), artifact, target, threads, sizes)
    runs = [_run_process(request) for _ in range(processes + 1)][1:]
    peaks = [reply.peak_mb for _, reply in runs if reply.peak_mb is not None]
    return ColdStart(median(np.array([ms for ms, _ in runs])), float(np.median(peaks)) if peaks else None)


def run_child(encoded_request: str, out: int) -> None:
    """Predict once in a fresh process; write a line to the descriptor `out` then, and another with the memory.

    Args:
        encoded_request: Request of the parent, as JSON.
        out: File descriptor to write to.
    """
    request = msgspec.json.decode(encoded_request, type=_Request)
    _load_engine(request)
    idle = _resident("VmRSS")
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # resets the high-water mark
    from edgeml.package import open_package  # the import is a part of the cold start

    package = open_package(request.package)
    session = package.session(request.artifact, target=request.target, threads=request.threads, sizes=request.sizes)
    sample = {name: array[:1] for name, array in package.golden_inputs(request.sizes).items()}
    session.run(sample)
    os.write(out, b"answered\n")
    for _ in range(_REPEATS):
        session.run(sample)
    peak = _resident("VmHWM")
    peak_mb = None if idle is None or peak is None or request.target == _SEPARATE_PROCESS else max(0.0, peak - idle)
    os.write(out, msgspec.json.encode(_Reply(peak_mb)) + b"\n")
    session.close()


def _run_process(request: _Request) -> tuple[float, _Reply]:
    """Return the milliseconds to the first output of a new process, and its reply."""
    read, write = os.pipe()
    code = "import sys; from edgeml.measurement.cold_start import run_child; run_child(sys.argv[1], int(sys.argv[2]))"
    command = [sys.executable, "-P", "-c", code, msgspec.json.encode(request).decode(), str(write)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    with tempfile.TemporaryFile() as log, os.fdopen(read, "rb", buffering=0) as replies:
        begin = perf_counter_ns()
        try:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, pass_fds=(write,)
            )
        finally:
            os.close(write)
        try:
            first_line = _read_line(replies)
            passed_ms = (perf_counter_ns() - begin) / 1e6
            reply = _read_line(replies) if first_line else b""
            child.wait(_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            reply = b""
        finally:
            child.kill()
            child.wait()
        if not reply:
            log.seek(0)
            output = log.read().decode("utf-8", errors="replace")
            raise TargetError(
                f"{request.artifact} on {request.target}: a fresh process did not reply.",
                fix="measure without cold starts: --cold-starts 0.",
                log=output,
            )
    return passed_ms, msgspec.json.decode(reply, type=_Reply)


def _read_line(stream: object) -> bytes:
    """Return a line, or nothing if the process died or took too long."""
    data = bytearray()
    assert hasattr(stream, "fileno")
    while not data.endswith(b"\n"):
        if not select.select([stream], [], [], _TIMEOUT_S)[0]:
            return b""
        chunk = os.read(stream.fileno(), 1)
        if not chunk:
            return b""
        data += chunk
    return bytes(data)


def _load_engine(request: _Request) -> None:
    key = (find_recipe(request.artifact).format, request.target)
    for engine in engines():
        if (engine.format, engine.target) == key and missing_dependency(engine) is None:
            load_modules(engine.adapter)
            return


def _resident(field: str) -> float | None:
    """Return a memory figure of this process in MB, by its name in ``/proc/self/status``; None if unknown."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024 / 1e6
    return None
