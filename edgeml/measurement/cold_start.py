"""Cold start and memory: fresh processes that open a package, make a session and answer once."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
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
from edgeml.core.registry.engines import engines, missing_dependency
from edgeml.measurement.quantiles import median

__all__ = ["FirstAnswer", "answer", "first_answer"]

_TIMEOUT_S = 120.0
_AGAIN = 5  # further answers, for buffers that grow late
_ELSEWHERE = "micro"  # whose interpreter lives in a process of its own


class _Asked(Struct, frozen=True):
    package: str
    artifact: str
    target: str
    threads: int | None


class _Told(Struct, frozen=True):
    peak_mb: float | None


@dataclass(frozen=True, slots=True)
class FirstAnswer:
    """What it takes from nothing to an answer.

    Attributes:
        cold_start_ms: From the start of a process to its first answer, the median of some, with its interval.
        peak_mb: Peak resident memory above that of the process with the engine loaded and nothing opened; the median.
            None where the system does not tell, or where the interpreter lives in another process.
    """

    cold_start_ms: Figure
    peak_mb: float | None


def first_answer(package: Path, artifact: str, target: str, threads: int | None, *, processes: int) -> FirstAnswer:
    """Starts processes one after the other.

    Args:
        package: The package's file.
        artifact: Which artifact.
        target: Where to run it.
        threads: Of the session.
        processes: How many; one more goes ahead, so that files come from memory as they do from then on.

    Raises:
        TargetError: A process died, or gave no answer within two minutes.
    """
    asked = _Asked(str(package.absolute()), artifact, target, threads)
    found = [_process(asked) for _ in range(processes + 1)][1:]
    peaks = [told.peak_mb for _, told in found if told.peak_mb is not None]
    return FirstAnswer(median(np.array([ms for ms, _ in found])), float(np.median(peaks)) if peaks else None)


def answer(asked: str, out: int) -> None:
    """What such a process does. A line goes to the descriptor `out` with the answer, another with its memory."""
    given = msgspec.json.decode(asked, type=_Asked)
    _load_engine(given)
    idle = _resident("VmRSS")
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the high-water mark begins anew
    from edgeml.package import open_package  # its loading is a part of the start

    package = open_package(given.package)
    session = package.session(given.artifact, target=given.target, threads=given.threads)
    one = {name: array[:1] for name, array in package.golden_inputs().items()}
    session.run(one)
    os.write(out, b"answered\n")
    for _ in range(_AGAIN):
        session.run(one)
    peak = _resident("VmHWM")
    told = None if idle is None or peak is None or given.target == _ELSEWHERE else max(0.0, peak - idle)
    os.write(out, msgspec.json.encode(_Told(told)) + b"\n")
    session.close()


def _process(asked: _Asked) -> tuple[float, _Told]:
    """Milliseconds to the first answer of a new process, and what it tells of itself."""
    read, write = os.pipe()
    code = "import sys; from edgeml.measurement.cold_start import answer; answer(sys.argv[1], int(sys.argv[2]))"
    command = [sys.executable, "-P", "-c", code, msgspec.json.encode(asked).decode(), str(write)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    with tempfile.TemporaryFile() as log, os.fdopen(read, "rb", buffering=0) as answers:
        begin = perf_counter_ns()
        try:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, pass_fds=(write,)
            )
        finally:
            os.close(write)
        try:
            answered = _line(answers)
            passed_ms = (perf_counter_ns() - begin) / 1e6
            told = _line(answers) if answered else b""
            child.wait(_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            told = b""
        finally:
            child.kill()
            child.wait()
        if not told:
            log.seek(0)
            printed = log.read().decode("utf-8", errors="replace")
            raise TargetError(
                f"A fresh process gave no answer of {asked.artifact} on {asked.target}.",
                fix="measure without cold starts: --cold-starts 0.",
                log=printed,
            )
    return passed_ms, msgspec.json.decode(told, type=_Told)


def _line(stream: object) -> bytes:
    """A line, or nothing where the process died or took too long."""
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


def _load_engine(given: _Asked) -> None:
    wanted = (find_recipe(given.artifact).format, given.target)
    for engine in engines():
        if (engine.format, engine.target) == wanted and missing_dependency(engine) is None:
            for name in (engine.module, f"{engine.module}.interpreter"):
                with contextlib.suppress(ModuleNotFoundError):
                    if importlib.util.find_spec(name) is not None:
                        importlib.import_module(name)
            return


def _resident(field: str) -> float | None:
    """Megabytes, by the name that Linux gives them."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024 / 1e6
    return None
