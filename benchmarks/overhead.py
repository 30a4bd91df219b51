"""What a session adds to the raw engine on one sample and one thread.

    python benchmarks/overhead.py MLPERF_FOLDER [--packages FOLDER] [--package FILE] [--json FILE]

`predict` stands beside the tightest raw loop of the same contract (benchmarks/raw.py: float32 in and out, quantizing,
an array of its own), `run_quantized` and the bound hot loop beside set, invoke, get on integers; `run` beside
`predict`, `classify` and `top` beside `predict` and its argmax, a few samples at once beside the same one by one, raw
frames of 640 x 480 beside Pillow (BOX for area, an affine transform for bilinear) and the raw loop. All are timed in
turn. The bounds: 2 microseconds on ad tflite-int8, 1.05 on vww and ic, 0.5 microseconds for the hot loop,
2 microseconds for `run`, `classify` and `top`, a ratio of 1 for a few samples at once, 2 for preprocessing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import raw
from interleaved import table, timed, write
from nets import net
from PIL import Image

import edgeml.preprocessing
from edgeml.core.session import Session

BATCHES = (2, 8, 64)
COLOURS = 3
SETS = 4  # of interpreters and sessions made anew: which memory one happens to get is worth some percent of its time


def calls_of(session: Session, data: bytes, recipe: str) -> tuple[dict[str, Callable[[], object]], list[tuple]]:
    """What is timed, and which of ours is told beside which raw loops."""
    (takes,) = session.signature.inputs
    x = np.random.default_rng(0).random((1, *takes.shape[1:]), dtype=np.float32)
    named = {takes.name: x}
    hot = session.bind()
    place, made = hot.inputs[takes.name], hot.outputs[session.signature.outputs[0].name]
    as_is = np.zeros(place.shape, place.dtype)

    def hot_loop() -> np.ndarray:
        place[...] = as_is
        hot.run()
        return made

    ours = {"predict": lambda: session.predict(x), "run": lambda: session.run(named), "hot loop": hot_loop}
    beside = [("run", ["predict"])]
    if session.decision is not None:
        ours["predict, argmax"] = lambda: session.predict(x).argmax(axis=1)
        ours |= {"classify": lambda: session.classify(x), "top": lambda: session.top(x, 1)}
        beside += [(name, ["predict, argmax"]) for name in ("classify", "top")]
    if recipe.startswith("onnx"):
        run, bound = raw.onnx(data), raw.onnx_bound(data)
        raws = {"raw run": lambda: run(x), "raw bound": lambda: bound(x)}
        return ours | raws, [("predict", raws), ("hot loop", raws), *beside]
    floats, bare = raw.litert(data), raw.litert_as_is(data)
    raws = {"raw": lambda: floats(x), "raw as is": lambda: bare(as_is)}
    pairs = [("predict", ["raw"]), ("hot loop", ["raw as is"])]
    if takes.quantization is not None:
        ours["run_quantized"] = lambda: session.run_quantized({takes.name: as_is})
        pairs.append(("run_quantized", ["raw as is"]))
    return ours | raws, pairs + beside


def batches_of(session: Session, count: int) -> tuple[dict[str, Callable[[], object]], list[tuple]]:
    """A few samples at once, and one by one."""
    (takes,) = session.signature.inputs
    x = np.random.default_rng(0).random((count, *takes.shape[1:]), dtype=np.float32)
    samples = [x[i : i + 1] for i in range(count)]
    at_once, one_by_one = f"{count} samples", "one by one"

    def singles() -> None:
        for sample in samples:
            session.predict(sample)

    return {at_once: lambda: session.predict(x), one_by_one: singles}, [(at_once, [one_by_one])]


def frames_of(session: Session, data: bytes, recipe: str) -> tuple[dict[str, Callable[[], object]], list[tuple]]:
    """A camera's frame to the model's numbers, and to its answer, beside Pillow and the raw loop."""
    (takes,) = session.signature.inputs
    declared = session.preprocessing[takes.name]
    frame = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    size, scale = (declared.width, declared.height), np.float32(declared.scale)

    def by_pillow() -> np.ndarray:
        picture = Image.fromarray(frame)
        if declared.resize == "area":
            small = picture.resize(size, Image.Resampling.BOX)
        else:
            steps = (frame.shape[1] / size[0], 0, 0, 0, frame.shape[0] / size[1], 0)
            small = picture.transform(size, Image.Transform.AFFINE, steps, Image.Resampling.BILINEAR)
        return np.asarray(small, np.float32)[None] * scale

    run = raw.litert(data) if recipe.startswith("tflite") else raw.onnx_bound(data)
    ours, theirs = f"preprocessing, {declared.resize}", f"Pillow, {declared.resize}"
    calls = {
        ours: lambda: session.prepare(frame, raw=True),
        theirs: by_pillow,
        f"predict raw, {declared.resize}": lambda: session.predict(frame, raw=True),
        f"{theirs}, raw loop": lambda: run(by_pillow()),
    }
    return calls, [(ours, [theirs]), (f"predict raw, {declared.resize}", [f"{theirs}, raw loop"])]


def with_frames(package: edgeml.Package, resize: str) -> edgeml.Package:
    """The package with images of any size as its raw input."""
    (takes,) = package.manifest.source.signature.inputs
    height, width, _ = takes.shape[1:]
    declared = {takes.name: edgeml.preprocessing.Image(height=height, width=width, resize=resize, scale=1 / 255)}
    return msgspec.structs.replace(package, manifest=msgspec.structs.replace(package.manifest, preprocessing=declared))


def rows_of(name: str, package: edgeml.Package, rounds: int) -> list[dict]:
    """A row for each recipe, and for each way to run it."""
    rows = []
    for record in package.manifest.artifacts:
        data = package.read(record.file)
        many = max(20, int(8000 / package_us(package, record.recipe)))
        rows += measured(
            name, package, record.recipe, rounds, many, lambda s, r=record, d=data: calls_of(s, d, r.recipe)
        )
        for count in BATCHES:
            runs = max(2, many // count)
            rows += measured(name, package, record.recipe, rounds, runs, partial(batches_of, count=count))
        if package.manifest.source.signature.inputs[0].shape[-1] == COLOURS:
            for resize in ("area", "bilinear"):
                calls = partial(frames_of, data=data, recipe=record.recipe)
                rows += measured(name, with_frames(package, resize), record.recipe, rounds, max(2, many // 8), calls)
    return rows


def package_us(package: edgeml.Package, recipe: str) -> float:
    """About the microseconds of one sample."""
    with package.session(recipe) as session:
        (takes,) = session.signature.inputs
        x = np.zeros((1, *takes.shape[1:]), np.float32)
        return float(np.median(timed({"predict": lambda: session.predict(x)}, rounds=5, runs=20)["predict"]))


def measured(
    name: str, package: edgeml.Package, recipe: str, rounds: int, runs: int, make: Callable[[Session], tuple]
) -> list[dict]:
    """Rows of calls that are timed in turn, over several sets of sessions."""
    sets = []
    for turn in range(SETS):
        with package.session(recipe) as session:
            calls, pairs = make(session)
            ordered = dict(reversed(calls.items()) if turn % 2 else calls.items())
            timed(ordered, rounds=5, runs=2)  # sessions learn from their first batches
            sets.append(timed(ordered, rounds=rounds // SETS, runs=runs))
    found = {key: np.concatenate([one[key] for one in sets]) for key in calls}
    rows = []
    for ours, raws in pairs:
        theirs = min(raws, key=lambda key: np.median(found[key]))
        rows.append(
            {
                "net": name,
                "artifact": recipe,
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
    parser.add_argument("--package", type=Path, action="append", default=[])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    names = given.net or ([] if given.package else ["ad", "ic", "vww"])
    packages = {name: net(name, given.folder, given.packages) for name in names}
    packages |= {path.stem: edgeml.open_package(path) for path in given.package}
    rows = [row for name, package in packages.items() for row in rows_of(name, package, given.rounds)]
    print(table(rows))
    write(given.json, rows)


if __name__ == "__main__":
    main()
