"""Whether edgeml's own figures can be believed on this machine.

    python benchmarks/sceptic.py demo/digits-net.edgeml [--artifact tflite-int8] [--json FILE]

- same: an artifact measured in turn with itself. The 95% interval of the ratio should hold 1.
- slower: the same with a busy wait of 5% of the median added to each call. It should be found.
- runs: two separate runs of `edgeml bench`, in processes of their own, the second against the first as its baseline.
- busy: a run while another process keeps a core busy should be flagged; told beside it are the flags of one without.
- server: at 50%, 80% and 95% of the rate back to back, whether the 99th percentile holds a bound, by edgeml and by a
  loop of this script's own, which spins by another clock and draws other arrivals.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter_ns

import numpy as np
from interleaved import table, write

import edgeml
from edgeml.core.records.benchmark_results import Comparison, decode_results
from edgeml.measurement import Case, compare, compare_with_baseline
from edgeml.measurement.conditions import ConditionMonitor
from edgeml.measurement.scenarios import run_back_to_back, serve
from edgeml.measurement.workload import make_opener

KINDS = ("same", "slower", "runs", "busy", "server")
PLANTED = 0.05
LOADS = (0.5, 0.8, 0.95)
# Bounds in times of a query: by the theory of queues the 99th percentile is 3 to 4 of them at the first load, 10 at the
# second and 40 at the third.
BOUNDS = (6, 20, 600)


@contextlib.contextmanager
def slowed(ready: Callable[[], contextlib.AbstractContextManager], wait_ns: int) -> Iterator[Callable[[], None]]:
    """A call that takes so much longer."""
    with ready() as call:

        def slow() -> None:
            call()
            end = perf_counter_ns() + wait_ns
            while perf_counter_ns() < end:
                pass

        yield slow


@contextlib.contextmanager
def busy_core() -> Iterator[None]:
    """Another process that never rests."""
    # By a shell that ends: what this process starts itself counts as its own.
    script = '"$0" -c "while True: pass" >/dev/null 2>&1 & echo $!'
    told = subprocess.run(["/bin/sh", "-c", script, sys.executable], capture_output=True, text=True, check=True).stdout
    try:
        time.sleep(0.2)
        yield
    finally:
        os.kill(int(told), signal.SIGKILL)


def two_runs(given: argparse.Namespace) -> Comparison:
    """The second run by the first."""
    with tempfile.TemporaryDirectory() as folder:
        found = []
        for name in ("first", "second"):
            file = Path(folder) / f"{name}.json"
            options = ["--artifact", given.artifact, "--scenario", "single-stream", "--seconds", str(given.seconds)]
            command = [sys.executable, "-m", "edgeml", "bench", str(given.package), *options, "--cold-starts", "0"]
            subprocess.run([*command, "-o", str(file)], check=True, capture_output=True)
            found.append(decode_results(file.read_bytes(), name))
        return compare_with_baseline(found[1], found[0])[0]


def own_loop(call: Callable[[], object], rate: float, bound_s: float, count: int, seed: int) -> bool:
    """Whether at most 1% of Poisson arrivals, served in order, miss the bound."""
    draw, missed, due = random.Random(seed), 0, time.monotonic()  # noqa: S311  # no secret
    for _ in range(count):
        due += draw.expovariate(rate)
        while time.monotonic() < due:
            pass
        call()
        missed += time.monotonic() - due > bound_s
    return missed <= 0.01 * count


def median_ns(ready: Callable[[], contextlib.AbstractContextManager]) -> float:
    """Of a call, back to back."""
    with ready() as call:
        return float(np.median(run_back_to_back(call, scenario="single-stream", seconds=1).times_ns))


def believed(kind: str, ready: Callable[[], contextlib.AbstractContextManager], given: argparse.Namespace) -> dict:
    """How often a comparison says what is true."""
    wait_ns = 0
    if kind == "slower":
        bare = median_ns(ready)
        wait_ns = max(1, round((1 + PLANTED) * bare - median_ns(lambda: slowed(ready, 0))))
    first = (lambda: slowed(ready, wait_ns)) if wait_ns else ready
    begin, right, ratios, others = time.monotonic(), 0, [], []
    for repeat in range(given.repeat):
        if kind == "runs":
            found = two_runs(given)
        else:
            found = compare("this", first, "itself", ready, seconds=given.seconds, seed=repeat)
        right += found.verdict == ("slower" if kind == "slower" else "indistinguishable")
        ratios.append((found.ratio.value, found.ratio.low or np.nan, found.ratio.high or np.nan))
        others.append(found.conditions.others or 0.0)
    values, low, high = np.array(ratios).T
    return {
        "kind": kind,
        "right": f"{right} of {given.repeat}",
        "ratio": float(np.median(values)),
        "lowest": float(values.min()),
        "highest": float(values.max()),
        "width": float(np.median(high - low)),
        "seconds each": (time.monotonic() - begin) / given.repeat,
        "others": float(np.median(others)),
        "load": os.getloadavg()[0],
    }


def watched(ready: Callable[[], contextlib.AbstractContextManager]) -> list[dict]:
    """What is flagged with one core kept busy, and without."""
    found = []
    for name, around in (("one core kept busy", busy_core), ("as it is", contextlib.nullcontext)):
        with around(), ready() as call:
            monitor = ConditionMonitor()
            run_back_to_back(call, scenario="single-stream", seconds=2)
            found.append({"kind": name, "flags": " ".join(monitor.conditions().flags) or "none"})
    return found


def served(ready: Callable[[], contextlib.AbstractContextManager]) -> list[dict]:
    """Whether two loops agree on what holds."""
    found, alone = [], median_ns(ready)
    with ready() as call:
        for load in LOADS:
            for times in BOUNDS:
                rate, bound_ms = load * 1e9 / alone, times * alone / 1e6
                ours = serve(lambda _: call(), rate=rate, bound_ms=bound_ms, seconds=2, seed=0)
                theirs = own_loop(call, rate, bound_ms / 1e3, round(2 * rate), 1)
                held = {"edgeml holds": ours.held, "own loop holds": theirs}
                found.append({"load": load, "bound ms": bound_ms, "queries": times, **held})
    return found


def main() -> None:
    """Measures and prints tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path)
    parser.add_argument("--artifact", default="tflite-int8")
    parser.add_argument("--repeat", type=int, default=20)
    parser.add_argument("--kind", action="append", choices=KINDS, default=[], help="repeatable; all by default")
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    package = edgeml.open_package(given.package)
    ready = make_opener(package, Case(given.artifact, "cpu", "single-stream", None, 1))
    rows: list[dict] = []
    for kind in given.kind or KINDS:
        if kind == "busy":
            found = watched(ready)
        elif kind == "server":
            found = served(ready)
        else:
            found = [believed(kind, ready, given)]
        print(table(found), flush=True)
        rows += found
    write(given.json, rows)


if __name__ == "__main__":
    main()
