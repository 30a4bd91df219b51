"""Samples a second of `predict` on many samples, beside what raw loops give by any means.

    python benchmarks/throughput.py MLPERF_FOLDER [--packages FOLDER] [--json FILE]

The raw loops are those of benchmarks/raw.py (float32 in and out, quantizing; nothing is checked): one interpreter or
session on one thread, several of them on threads of their own, the engine's own threads, each with batches of several
sizes. All are timed in turn. The bounds: 1.8 times the best raw loop on one thread (with two cores to itself), and 0.97
of the best of all. Rows of pixels for a linear pipeline and a forest of scikit-learn are held to the latter alone.
"""

from __future__ import annotations

import argparse
import os
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import raw
from interleaved import table, timed, write
from nets import net, packed

import edgeml

REST_S = 0.1
SAMPLES = {"kws": 4096, "ic": 1536, "vww": 1024, "ad": 32_768, "linear": 131_072, "forest": 32_768}
FITTED = {"linear": "logistic regression", "forest": "forest"}
WITHOUT = {"linear": ["tflite-int8"], "forest": ["tflite-fp32", "tflite-int8"]}  # which encode, or are far slower
BATCHES = (1, 4, 8, 16, 32)
ROWS = (32, 128, 512, 2048, 8192)


def loops(make: Callable[[], raw.Call], x: np.ndarray, batch: int, threads: int) -> Callable[[], object]:
    """The samples by so many raw loops on threads of their own, each with a share."""
    calls = [make() for _ in range(threads)]
    shares = np.array_split(np.arange(0, len(x), batch), threads)

    def work(call: raw.Call, begins: np.ndarray) -> list[np.ndarray]:
        return [call(x[begin : begin + batch]) for begin in begins]

    def run() -> None:
        others = [threading.Thread(target=work, args=pair) for pair in zip(calls[1:], shares[1:], strict=True)]
        for other in others:
            other.start()
        work(calls[0], shares[0])
        for other in others:
            other.join()

    return run


def raw_calls(data: bytes, recipe: str, x: np.ndarray, cores: int) -> dict[str, Callable[[], object]]:
    """Raw loops by a name that tells batch, loops and the engine's threads."""
    found = {}
    for batch in ROWS if x.ndim == 2 else BATCHES:
        for count, threads in {(1, 1), (cores, 1), (1, cores)}:
            name = f"batch {batch}, {count} loops, {threads} threads"
            if recipe.startswith("onnx"):
                found[name] = loops(lambda t=threads: raw.onnx(data, threads=t), x, batch, count)
            else:
                found[name] = loops(lambda b=batch, t=threads: raw.litert(data, batch=b, threads=t), x, batch, count)
    return found


def row_of(name: str, package: edgeml.Package, recipe: str, rounds: int, pixels: np.ndarray | None) -> dict:
    """One artifact, on random numbers or on real rows."""
    cores = len(os.sched_getaffinity(0))
    data = package.read(package.artifact(recipe).file)
    with package.session(recipe) as session:
        (takes,) = session.signature.inputs
        if pixels is None:
            x = np.random.default_rng(0).random((SAMPLES[name], *takes.shape[1:]), dtype=np.float32)
        else:
            x = np.resize(pixels, (SAMPLES[name], pixels.shape[1]))
        calls = raw_calls(data, recipe, x, cores)
        scan = timed(calls, rounds=3, runs=1, rest_s=REST_S)
        alone = [key for key in calls if "1 loops, 1 threads" in key]
        best = {min(keys, key=lambda key: np.median(scan[key])): calls for keys in (alone, list(calls))}
        single, *rest = best
        top = rest[0] if rest else single
        final = timed(
            {"ours": lambda: session.predict(x), "single": calls[single], "top": calls[top]},
            rounds=rounds,
            runs=1,
            rest_s=REST_S,
        )
    return {
        "net": name,
        "artifact": recipe,
        "ours a second": float(len(x) / np.median(final["ours"]) * 1e6),
        "best on one thread": single,
        "times that": float(np.median(final["single"] / final["ours"])),
        "best of all": top,
        "share of that": float(np.median(final["top"] / final["ours"])),
    }


def main() -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--packages", type=Path, default=Path("benchmarks/packages"))
    parser.add_argument("--net", action="append", choices=SAMPLES, default=[])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    rows = []
    for name in given.net or SAMPLES:
        if name in FITTED:
            package, _, pixels = packed(FITTED[name])
        else:
            package, pixels = net(name, given.folder, given.packages), None
        recipes = [record.recipe for record in package.manifest.artifacts]
        wanted = [recipe for recipe in recipes if recipe not in WITHOUT.get(name, ())]
        rows += [row_of(name, package, recipe, given.rounds, pixels) for recipe in wanted]
    print(table(rows))
    write(given.json, rows)


if __name__ == "__main__":
    main()
