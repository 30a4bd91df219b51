"""The largest resident size of any process while vww is built with many calibration samples.

    python benchmarks/peak_memory.py MLPERF_FOLDER [--samples 1000] [--recipe tflite-int8]...

The samples are random numbers from 0 to 1, in an .npz file; the build is `edgeml build`. The sizes are what the kernel
keeps as each process's high-water mark (VmHWM in /proc), read until the process ends.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np


def children(pid: int) -> set[int]:
    """The process and all that descend from it."""
    found, waiting = set(), [pid]
    while waiting:
        parent = waiting.pop()
        found.add(parent)
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                waiting += [int(child) for child in task.read_text().split()]
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended
    return found


def peak_mb(pid: int) -> float:
    """A process's high-water mark; 0 where it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0.0)


def role(pid: int) -> str:
    """What a process does in a build."""
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return "ended"
    return next((kind for kind in ("Conversion", "Proof", "IsolatedProcess") if f":{kind}" in command), "edgeml build")


def main() -> None:
    """Builds, watches, and prints a row for each process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=0.05, help="between two looks")
    parser.add_argument("--recipe", action="append", default=[], help="repeatable; all by default")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        calibration = Path(temporary) / "calibration.npz"
        x = np.random.default_rng(0).random((given.samples, 96, 96, 3), dtype=np.float32)
        np.savez(calibration, x=x)
        del x
        model = given.folder / "models" / "vww_96.h5"
        command = ["build", str(model), "-o", f"{temporary}/vww.edgeml", "--calibration", str(calibration)]
        command += [part for recipe in given.recipe for part in ("--recipe", recipe)]
        start = time.perf_counter()
        code = f"import sys; from edgeml.cli import main; sys.argv[1:] = {command!r}; main()"
        process = subprocess.Popen([sys.executable, "-c", code])
        peaks: dict[tuple[int, str], float] = {}
        while process.poll() is None:
            for pid in children(process.pid):
                peaks[pid, role(pid)] = max(peaks.get((pid, role(pid)), 0.0), peak_mb(pid))
            time.sleep(given.seconds)
        print(f"{given.samples} samples, {time.perf_counter() - start:.0f} s, exit code {process.returncode}")
        for (_, name), size in sorted(peaks.items(), key=lambda item: -item[1]):
            if name != "ended":
                print(f"{name:15} {size:8.0f} MB")
        print(f"largest {max(peaks.values()):.0f} MB")


if __name__ == "__main__":
    main()
