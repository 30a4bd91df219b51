"""The onnx package's own test models, packaged by edgeml, beside onnxruntime.

    python benchmarks/onnx_backend.py [--only TEXT] [--every N] [--recipe onnx-fp32 ...] [--jobs 2] [-o RESULTS.csv]

Each test is a model with inputs and the outputs that ONNX defines. It is built with its own inputs as evaluation and
calibration data, and the session of each artifact runs them. ``right``: the artifact gives the test's outputs, as near
as onnxruntime alone does. ``off``: an artifact of lower precision is released or rejected by its verdict. The rest is
refused, and the table counts the reasons. An error that is not edgeml's own, or that repeats the text of an engine or
of NumPy, counts as raw.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial
from multiprocessing import Pool
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import edgeml

RECIPES = ("onnx-fp32", "onnx-fp16", "onnx-dynamic", "onnx-int8")
RAW = re.compile(r"\b\w*(Error|Exception|Fail): |\[ONNXRuntimeError\]|Traceback|INVALID_|NOT_IMPLEMENTED|FAIL :")
RELATIVE, ABSOLUTE = 1e-3, 1e-5  # about those of the onnx package's own runner
_DATA = {"simple", "pytorch-operator", "pytorch-converted", "light"}


class Outcome(NamedTuple):
    """What became of a test by a recipe."""

    test: str
    recipe: str
    state: str
    reason: str = ""


def tests(folder: Path) -> Iterator[tuple[str, Path, list[Any], list[Any]]]:
    """Name, file, inputs and outputs of each test; models that are made by code are written into the folder."""
    import onnx
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = collect_testcases(None)
    for case in cases:
        path = folder / f"{case.name}.onnx"
        path.write_bytes(case.model.SerializeToString())
        yield case.name, path, *map(list, case.data_sets[0])
    root = Path(onnx.__file__).parent / "backend" / "test" / "data"
    for place in sorted(path for kind in _DATA for path in (root / kind).iterdir()):
        model, sets = place / "model.onnx", sorted(place.glob("test_data_set_*"))
        if model.exists():
            yield place.name, model, *((_read(sets[0], kind) if sets else []) for kind in ("input", "output"))


def _read(folder: Path, kind: str) -> list[Any]:
    from onnx import TensorProto, numpy_helper

    files = sorted(folder.glob(f"{kind}_*.pb"), key=lambda path: int(path.stem.rpartition("_")[2]))
    arrays = []
    for file in files:
        try:
            arrays.append(numpy_helper.to_array(TensorProto.FromString(file.read_bytes())))
        except Exception:  # noqa: BLE001  # a sequence or an optional value, of no one type of error
            arrays.append(None)
    return arrays


def onnxruntime_outputs(path: Path, inputs: Sequence[Any]) -> list[Any] | None:
    """Outputs of onnxruntime alone; None where it does not run the model."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        names = [value.name for value in session.get_inputs()]
        actual = session.run(None, dict(zip(names, inputs, strict=False)))
    except Exception:  # noqa: BLE001  # onnxruntime's errors have no common base
        return None
    return [None if isinstance(output, list) else np.asarray(output) for output in actual]


def _equal(actual: Sequence[Any], outputs: Sequence[Any]) -> bool:
    return len(actual) == len(outputs) and all(
        first is not None and second is not None and _close(np.asarray(first), np.asarray(second))
        for first, second in zip(actual, outputs, strict=True)
    )


def _close(actual: np.ndarray, expected: np.ndarray) -> bool:
    if actual.size != expected.size:
        return False
    actual, expected = actual.reshape(-1), expected.reshape(-1)
    if expected.dtype.kind in "OUST":
        return actual.astype(str).tolist() == [x.decode() if isinstance(x, bytes) else str(x) for x in expected]
    with np.errstate(all="ignore"):
        return np.allclose(actual.astype(np.float64), expected.astype(np.float64), RELATIVE, ABSOLUTE, equal_nan=True)


def run(test: tuple[str, Path, list[Any], list[Any]], recipes: Sequence[str]) -> list[Outcome]:
    """Build one test by recipes, and run its artifacts."""
    name, path, inputs, outputs = test
    engine = onnxruntime_outputs(path, inputs)
    try:
        info = source_info(path)
        recipes = list(dict.fromkeys(info.architecture if recipe == "onnx-fp32" else recipe for recipe in recipes))
        arrays = [None if array is None else np.asarray(array) for array in inputs]
        data = {
            spec.name: array if spec.shape[1:] != array.shape else array[None]
            for spec, array in zip(info.signature.inputs, arrays, strict=False)
            if array is not None
        }
        calibration = {key: np.repeat(array, 2, axis=0) for key, array in data.items()}
        needs = any(recipe == "onnx-int8" for recipe in recipes)
        package = edgeml.build(
            path, evaluation=data, calibration=_varied(calibration) if needs else None, recipes=recipes, stateful=False
        )
    except edgeml.EdgemlError as error:
        return [Outcome(name, recipe, _refused(error.message, engine), error.message) for recipe in recipes]
    except Exception as error:  # noqa: BLE001  # a bug, which the table shows
        return [Outcome(name, recipe, "raw", f"{type(error).__name__}: {error}") for recipe in recipes]
    found = [
        Outcome(name, item.recipe, _refused(item.reason, engine), item.reason) for item in package.manifest.refused
    ]
    for record in package.manifest.artifacts:
        with package.session(record.recipe) as session:
            answers = session.run(data)
        ordered = [answers[spec.name] for spec in record.signature.whole_outputs]
        is_own = record.recipe == info.architecture
        state = "right" if _equal(ordered, outputs) else "wrong" if is_own and record.verdict.released else "off"
        if state == "wrong" and engine is not None and _equal(ordered, engine):
            state = "wrong as onnxruntime"
        found.append(Outcome(name, record.recipe, state, f"{record.verdict.status} {record.verdict.reasons}"))
    return found


def _varied(data: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The samples, the second half moved a little: equal samples show no range."""
    varied = {}
    for name, array in data.items():
        copy = array.copy()
        if copy.dtype.kind == "f":
            copy[len(copy) // 2 :] *= 0.9
        varied[name] = copy
    return varied


def source_info(path: Path) -> Any:
    """The description of the source, by the loader that `build` uses."""
    from edgeml.sources.onnx_file import open_source

    return open_source(path, stateful=False).info


def _refused(reason: str, engine: list[Any] | None) -> str:
    if RAW.search(reason):
        return "raw"
    return "refused" if engine is not None else "refused, as onnxruntime"


def main() -> None:
    """Run the tests, and print a table of states and of reasons."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default="", help="a part of the tests' names")
    parser.add_argument("--every", type=int, default=1, help="each of so many tests alone")
    parser.add_argument("--recipe", dest="recipes", action="append", choices=RECIPES)
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("-o", "--output", type=Path)
    arguments = parser.parse_args()
    recipes = arguments.recipes or ["onnx-fp32"]
    found: list[Outcome] = []
    with tempfile.TemporaryDirectory() as folder, Pool(arguments.jobs, maxtasksperchild=100) as pool:
        chosen = [test for test in tests(Path(folder)) if arguments.only in test[0]][:: arguments.every]
        for count, outcomes in enumerate(pool.imap(partial(run, recipes=recipes), chosen), 1):
            found += outcomes
            if sys.stderr.isatty() or count % 100 == 0:
                print(f"{count} of {len(chosen)}", file=sys.stderr, end="\r" if sys.stderr.isatty() else "\n")
    if arguments.output:
        with arguments.output.open("w", newline="") as file:
            csv.writer(file).writerows([Outcome._fields, *found])
    for recipe in recipes:
        own = [item for item in found if item.recipe == recipe or (recipe == "onnx-fp32" and len(recipes) == 1)]
        states = Counter(item.state for item in own)
        print(f"{recipe}: {len(own)} tests, " + ", ".join(f"{count} {state}" for state, count in states.most_common()))
        reasons = Counter(_kind(item.reason) for item in own if item.state not in {"right", "off"})
        for reason, count in reasons.most_common(40):
            print(f"  {count:5}  {reason}")


def _kind(reason: str) -> str:
    """A reason without its names and numbers."""
    return re.sub(r"\d+", "N", re.sub(r"'[^']*'", "'…'", re.sub(r"test_\w+(\.onnx)?", "FILE", reason)))[:150]


if __name__ == "__main__":
    main()
