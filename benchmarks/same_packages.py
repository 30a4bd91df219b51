"""Whether two versions of edgeml build the same packages of the same models.

    python benchmarks/same_packages.py make FOLDER [--mlperf MLPERF_FOLDER]     with each version, in its environment
    python benchmarks/same_packages.py compare OLD_FOLDER NEW_FOLDER

It uses nothing of edgeml but the command line and the top-level names, so that one copy of the script serves every
version. `compare` holds each pair of packages to equal artifacts and golden vectors, byte for byte, and to equal keys
and figures of the manifest and the evidence (1e-9); it lists what differs, and exits with 1 where anything but the
versions of tools does.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

TOLERANCE = 1e-9
SHOWN = 20
VERSIONS = ("manifest.json: edgeml", "manifest.json: tools.", "manifest.json: source.versions.")


def make(folder: Path, mlperf: Path | None) -> None:
    """Builds the packages of some models into a folder."""
    import edgeml

    folder.mkdir(parents=True)
    subprocess.run([sys.executable, "-m", "edgeml", "demo", "-o", folder / "demo"], check=True)
    data = np.load(folder / "demo" / "digits.npz")
    calibration = np.load(folder / "demo" / "calibration.npz")["x"]
    rows = np.load(folder / "demo" / "digits-rows.npz")
    for model, x, y in (
        ("digits-net.keras", data["x"], data["y"]),
        ("digits-pipeline.skops", rows["x"], rows["y"]),
    ):
        measured = (folder / "demo" / model).with_suffix(".edgeml")
        measured.unlink()  # by a clock
        package = edgeml.build(folder / "demo" / model, name=measured.stem, calibration=x[:200], evaluation=(x, y))
        package.save(folder / measured.name)
    opened = edgeml.open_package(folder / "digits-net.edgeml")
    for recipe, suffix in (("tflite-int8", "tflite"), ("onnx-fp32", "onnx")):
        file = folder / f"given.{suffix}"
        file.write_bytes(opened.read(opened.artifact(recipe).file))
        edgeml.build(file, name=f"given-{suffix}", evaluation=data["x"][:100], calibration=calibration).save(
            folder / f"given-{suffix}.edgeml"
        )
    for name, model, given in estimators():
        package = edgeml.build(model, name=name, **given)
        package.save(folder / f"{name}.edgeml")
    for name, file, shape in (("ad", "ad01.h5", (640,)), ("ic", "pretrainedResnet.h5", (32, 32, 3))):
        if mlperf is not None:
            x = np.random.default_rng(0).standard_normal((60, *shape), dtype=np.float32)
            package = edgeml.build(mlperf / "models" / file, name=name, calibration=x[:40], evaluation=x[20:])
            package.save(folder / f"{name}.edgeml")


def estimators() -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Fitted models of scikit-learn, each with what `edgeml.build` is to be given beside it."""
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.datasets import load_breast_cancer, load_iris, load_wine
    from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler
    from sklearn.svm import SVC

    x, y = load_iris(return_X_y=True)
    yield "iris-forest", RandomForestClassifier(20, random_state=0).fit(x, y), {"calibration": x, "evaluation": (x, y)}
    x, y = load_wine(return_X_y=True)
    svc = make_pipeline(StandardScaler(), SVC(random_state=0)).fit(x, y)
    yield "wine-svc", svc, {"calibration": x, "evaluation": (x, y)}
    x, y = load_breast_cancer(return_X_y=True)
    boosting = HistGradientBoostingRegressor(max_iter=20, random_state=0).fit(x[:, 1:], x[:, 0])
    yield "cancer-boosting", boosting, {"calibration": x[:, 1:], "evaluation": (x[:, 1:], x[:, 0])}
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"area": rng.uniform(20, 200, 120), "town": rng.choice(["a", "b", "c"], 120)})
    frame.loc[::11, "area"] = np.nan
    price = frame["area"].fillna(80).to_numpy() + 10 * (frame["town"] == "b").to_numpy() > 90
    columns = ColumnTransformer([("n", SimpleImputer(), ["area"]), ("t", OneHotEncoder(), ["town"])])
    table = make_pipeline(columns, LogisticRegression()).fit(frame, price)
    yield "houses", table, {"evaluation": (frame, price), "recipes": ["onnx-fp32"]}


def leaves(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Numbers and texts of a JSON value by their place."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{place}.{key}" if place else key)
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from leaves(item, f"{place}[{i}]")
    else:
        yield place, value


def differences(old: Path, new: Path) -> Iterator[str]:
    """What differs between two packages."""
    with zipfile.ZipFile(old) as first, zipfile.ZipFile(new) as second:
        names = set(first.namelist()) ^ set(second.namelist())
        yield from (f"{name}: is in one alone" for name in sorted(names))
        for name in sorted(set(first.namelist()) & set(second.namelist())):
            before, after = first.read(name), second.read(name)
            if before == after:
                continue
            if not name.endswith(".json"):
                yield f"{name}: other bytes"
                continue
            here, there = (dict(leaves(json.loads(data), "")) for data in (before, after))
            for place in sorted(set(here) | set(there)):
                if place.startswith("files.") or not differ(here.get(place), there.get(place)):
                    continue  # sizes and digests of entries that are compared themselves
                yield f"{name}: {place}: {here.get(place)!r} and {there.get(place)!r}"


def differ(one: Any, other: Any) -> bool:
    """Whether values differ by more than the tolerance."""
    if isinstance(one, float) and isinstance(other, float):
        return not math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return bool(one != other)


def compare(old: Path, new: Path) -> int:
    """Prints what differs between the packages of two folders; gives the exit code."""
    pairs = {path.relative_to(old) for path in old.rglob("*.edgeml")}
    alone = pairs ^ {path.relative_to(new) for path in new.rglob("*.edgeml")}
    serious = len(alone)
    for name in sorted(alone):
        print(f"{name}: is in one folder alone")
    for name in sorted(pairs - alone):
        found = list(differences(old / name, new / name))
        other = [line for line in found if not line.startswith(VERSIONS)]
        same = (old / name).read_bytes() == (new / name).read_bytes()
        print(f"{name}: {'the same bytes' if same else f'{len(found)} differences, {len(other)} beside versions'}")
        for line in found[:SHOWN]:
            print(f"  {line:.200}")
        if len(found) > SHOWN:
            print(f"  and {len(found) - SHOWN} more")
        serious += len(other)
    print(f"{len(pairs - alone)} packages, {serious} differences beside versions of tools")
    return 1 if serious or not pairs else 0


def main() -> int:
    """Run one of the commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("make")
    making.add_argument("folder", type=Path)
    making.add_argument("--mlperf", type=Path)
    comparing = commands.add_parser("compare")
    comparing.add_argument("old", type=Path)
    comparing.add_argument("new", type=Path)
    given = parser.parse_args()
    if given.command == "compare":
        return compare(given.old, given.new)
    make(given.folder, given.mlperf)
    return 0


if __name__ == "__main__":
    sys.exit(main())
