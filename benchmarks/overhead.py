"""What a session adds to the raw engine on one sample and one thread.

    python benchmarks/overhead.py MLPERF_FOLDER [--packages FOLDER] [--json FILE]

`predict` stands beside the tightest raw loop of the same contract (benchmarks/raw.py: float32 in and out, quantizing,
an array of its own), `run_quantized` and the bound hot loop beside set, invoke, get on integers. All are timed in turn.
The bound: 2 microseconds on ad tflite-int8, 1.05 on vww and ic, 0.5 microseconds for the hot loop.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import raw
from interleaved import table, timed, write
from nets import net

import edgeml
from edgeml.core.session import Session

SETS = 4  # of interpreters and sessions made anew: which memory one happens to get is worth some percent of its time


def calls_of(session: Session, data: bytes, recipe: str) -> tuple[dict[str, Callable[[], object]], list[tuple]]:
    """What is timed, and which of ours is told beside which raw loops."""
    (takes,) = session.signature.inputs
    x = np.random.default_rng(0).random((1, *takes.shape[1:]), dtype=np.float32)
    hot = session.bind()
    place, made = hot.inputs[takes.name], hot.outputs[session.signature.outputs[0].name]
    as_is = np.zeros(place.shape, place.dtype)

    def hot_loop() -> np.ndarray:
        place[...] = as_is
        hot.run()
        return made

    ours = {"predict": lambda: session.predict(x), "hot loop": hot_loop}
    if recipe.startswith("onnx"):
        run, bound = raw.onnx(data), raw.onnx_bound(data)
        raws = {"raw run": lambda: run(x), "raw bound": lambda: bound(x)}
        return ours | raws, [("predict", raws), ("hot loop", raws)]
    floats, bare = raw.litert(data), raw.litert_as_is(data)
    raws = {"raw": lambda: floats(x), "raw as is": lambda: bare(as_is)}
    pairs = [("predict", ["raw"]), ("hot loop", ["raw as is"])]
    if takes.quantization is not None:
        ours["run_quantized"] = lambda: session.run_quantized({takes.name: as_is})
        pairs.append(("run_quantized", ["raw as is"]))
    return ours | raws, pairs


def rows_of(name: str, package: edgeml.Package, rounds: int) -> list[dict]:
    """A row for each recipe, and for each way to run it."""
    rows = []
    for record in package.manifest.artifacts:
        sets = []
        for turn in range(SETS):
            with package.session(record.recipe) as session:
                calls, pairs = calls_of(session, package.read(record.file), record.recipe)
                ordered = dict(reversed(calls.items()) if turn % 2 else calls.items())
                sets.append(timed(ordered, rounds=rounds // SETS, runs=500 if name == "ad" else 100))
        found = {key: np.concatenate([one[key] for one in sets]) for key in calls}
        for ours, raws in pairs:
            theirs = min(raws, key=lambda key, found=found: np.median(found[key]))
            rows.append(
                {
                    "net": name,
                    "artifact": record.recipe,
                    "call": ours,
                    "beside": theirs,
                    "raw us": float(np.median(found[theirs])),
                    "ours us": float(np.median(found[ours])),
                    "more us": float(np.median(found[ours] - found[theirs])),
                    "ratio": float(np.median(found[ours] / found[theirs])),
                }
            )
    return rows


def main() -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--packages", type=Path, default=Path("benchmarks/packages"))
    parser.add_argument("--net", action="append", choices=["ad", "kws", "ic", "vww"], default=[])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    names = given.net or ["ad", "ic", "vww"]
    rows = [row for name in names for row in rows_of(name, net(name, given.folder, given.packages), given.rounds)]
    print(table(rows))
    write(given.json, rows)


if __name__ == "__main__":
    main()
