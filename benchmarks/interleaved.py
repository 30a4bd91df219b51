"""Timing of calls in turn, so that what else the machine does falls on all of them; and the machine's description."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from time import perf_counter_ns, sleep
from typing import Any

import numpy as np

ENGINES = ("ai-edge-litert", "onnxruntime", "numpy", "scikit-learn")


def timed(
    calls: Mapping[str, Callable[[], object]], *, rounds: int, runs: int, rest_s: float = 0.0
) -> dict[str, np.ndarray]:
    """Microseconds of one call ``[rounds]``, by name: each round runs every call `runs` times, one after the other.

    Args:
        calls: What is timed.
        rounds: How often all are timed, each time in another order.
        runs: Calls at a time.
        rest_s: Seconds before each: onnxruntime's threads keep their cores busy for a while after the last call.
    """
    for call in calls.values():
        call()
    found: dict[str, list[float]] = {name: [] for name in calls}
    names = list(calls)
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            call = calls[name]
            sleep(rest_s)
            begin = perf_counter_ns()
            for _ in range(runs):
                call()
            found[name].append((perf_counter_ns() - begin) / runs / 1000)
    return {name: np.array(values) for name, values in found.items()}


def machine() -> dict[str, Any]:
    """What the figures depend on."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")
    return {
        "cpu": model,
        "cores": len(os.sched_getaffinity(0)),
        "architecture": platform.machine(),
        "load": os.getloadavg()[0],
        "python": platform.python_version(),
        "kernel": platform.release(),
        "versions": {name: version for name in ENGINES if (version := _version(name))},
    }


def write(path: Path | None, rows: list[dict[str, Any]]) -> None:
    """The rows with the machine's description, where a file is named."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"machine": machine(), "rows": rows}, indent=1) + "\n", encoding="utf-8")


def table(rows: list[dict[str, Any]]) -> str:
    """Rows under the names of their columns; numbers to three places."""
    head = list(rows[0])
    texts = [[f"{row[name]:.3f}" if isinstance(row[name], float) else str(row[name]) for name in head] for row in rows]
    widths = [max(map(len, column)) for column in zip(head, *texts, strict=True)]
    return "\n".join("  ".join(map(str.rjust, cells, widths)) for cells in [head, *texts])


def child(code: list[str], **options: Any) -> str:
    """What a command prints."""
    return subprocess.run(code, capture_output=True, text=True, check=True, **options).stdout


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
