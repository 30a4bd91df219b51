"""The five MLPerf Tiny reference models, from their original files, by all nine recipes.

    python benchmarks/mlperf_tiny.py MLPERF_FOLDER [--model kws]... [--markdown]

MLPERF_FOLDER holds `models/` (benchmark/training/*/trained_models of mlcommons/tiny), `kws/calibration.npz`,
`kws/evaluation.npz` and `sww_calibration.npz`. kws is judged on labelled recordings; sww on the fifteen that it was not
calibrated with; the others on seeded inputs in the range that their documentation gives, which shows fidelity and not
accuracy. Beside kws stands what MLPerf's own int8 file gives on the same samples, run by the bare engine.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import edgeml

SAMPLES = 100


@dataclass(frozen=True)
class Data:
    """What a model is calibrated with and judged on."""

    calibration: np.ndarray
    evaluation: np.ndarray
    truth: np.ndarray | None = None


def kws(folder: Path) -> Data:
    """Recordings of spoken words, as MFCC."""
    evaluation = np.load(folder / "kws/evaluation.npz")
    return Data(np.load(folder / "kws/calibration.npz")["x"], evaluation["x"], evaluation["y"])


def sww(folder: Path) -> Data:
    """Spectrograms: every third is judged, the rest calibrate."""
    data = np.load(folder / "sww_calibration.npz")
    specs, labels = data["specs"].astype(np.float32), data["labels"].astype(np.int64)
    judged = np.arange(len(specs)) % 3 == 0
    return Data(specs[~judged], specs[judged], labels[judged])


def vww(_: Path) -> Data:
    """Pictures, 0 to 1: smooth blotches, since the mean of plain noise is the same in every picture."""
    return _halves(_pictures(96))


def ic(_: Path) -> Data:
    """Pictures, 0 to 255."""
    return _halves(np.round(255 * _pictures(32)))


def ad(_: Path) -> Data:
    """Log-mel energies in decibels: five frames of 128 bands, falling towards the high ones."""
    rng = np.random.default_rng(0)
    level = rng.uniform(-30, 10, (2 * SAMPLES, 1, 1)) - np.linspace(0, 30, 128)
    return _halves((level + rng.normal(0, 4, (2 * SAMPLES, 5, 128))).reshape(2 * SAMPLES, 640))


def _pictures(size: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    coarse = rng.random((2 * SAMPLES, size // 8, size // 8, 3))
    fine = rng.normal(0, 0.05, (2 * SAMPLES, size, size, 3))
    return np.clip(coarse.repeat(8, axis=1).repeat(8, axis=2) + fine, 0, 1)


def _halves(values: np.ndarray) -> Data:
    values = values.astype(np.float32)
    return Data(values[:SAMPLES], values[SAMPLES:])


MODELS: dict[str, tuple[str, Callable[[Path], Data]]] = {
    "kws": ("kws_ref_model", kws),
    "vww": ("vww_96.h5", vww),
    "ic": ("pretrainedResnet.h5", ic),
    "ad": ("ad01.h5", ad),
    "sww": ("str_ww_ref_model.h5", sww),
}
REFERENCE = "kws_ref_model.tflite"


def reference_row(folder: Path, package: edgeml.Package, data: Data) -> list[str]:
    """What MLPerf's own int8 file gives, by the bare interpreter; inputs rounded, and clipped to int8."""
    from ai_edge_litert.interpreter import Interpreter

    path = folder / "models" / REFERENCE
    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    (takes,), (gives,) = interpreter.get_input_details(), interpreter.get_output_details()
    scale, zero = takes["quantization"]
    quantized = np.clip(np.rint(data.evaluation / scale) + zero, -128, 127).astype(np.int8)
    scores = []
    for row in quantized:
        interpreter.set_tensor(takes["index"], row[None])
        interpreter.invoke()
        scores.append(interpreter.get_tensor(gives["index"])[0].astype(np.float32))
    scale, zero = gives["quantization"]
    found = (np.stack(scores) - zero) * scale
    # onnx-fp32 stands for the source, whose every label it gives (the table shows it).
    wanted = package.session("onnx-fp32").predict(data.evaluation)
    assert isinstance(wanted, np.ndarray)
    labels = found.argmax(axis=1)
    sqnr = 10 * np.log10(np.square(wanted).sum() / np.square(found - wanted).sum())
    return [
        f"MLPerf's {REFERENCE}",
        f"{path.stat().st_size / 1000:.1f}",
        f"{(labels == data.truth).mean():.2%}",
        f"{(labels == wanted.argmax(axis=1)).mean():.2%}",
        f"{sqnr:.1f}",
        "",
    ]


def rows(package: edgeml.Package) -> list[list[str]]:
    """A row for each recipe, refused ones too."""
    found = []
    for record in package.manifest.artifacts:
        fidelity, metrics = record.evaluation.fidelity, record.evaluation.metrics
        accuracy = metrics.accuracy if metrics else None
        found.append(
            [
                record.recipe,
                f"{package.manifest.files[record.file].size_bytes / 1000:.1f}",
                "" if accuracy is None else f"{accuracy:.2%}",
                "" if fidelity.agreement is None else f"{fidelity.agreement:.2%}",
                f"{fidelity.sqnr_db:.1f}",
                "; ".join((record.verdict.status, *record.verdict.reasons)),
            ]
        )
    return found + [[item.recipe, "", "", "", "", f"refused: {item.reason}"] for item in package.manifest.refused]


def main() -> None:
    """Builds the models and prints a table for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", choices=MODELS, action="append", help="repeatable; all by default")
    parser.add_argument("--markdown", action="store_true", help="tables as in README")
    given = parser.parse_args()
    head = ["artifact", "kB", "accuracy", "agreement", "SQNR, dB", "verdict"]
    for name in given.model or MODELS:
        file, make = MODELS[name]
        data = make(given.folder)
        evaluation = data.evaluation if data.truth is None else (data.evaluation, data.truth)
        package = edgeml.build(
            given.folder / "models" / file,
            name=name,
            calibration=data.calibration,
            evaluation=evaluation,
            task="reconstruction" if name == "ad" else None,
        )
        table = rows(package)
        if name == "kws":
            table.append(reference_row(given.folder, package, data))
        made = len(package.manifest.artifacts)
        print(
            f"\n{name}: {file}, calibrated with {len(data.calibration)} samples, judged on {len(data.evaluation)}; "
            f"{made} of {len(edgeml.RECIPES)} made\n"
        )
        if given.markdown:
            print("\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *table]), flush=True)
            continue
        widths = [max(len(row[column]) for row in [head, *table]) for column in range(len(head) - 1)]
        for row in [head, *table]:
            print("  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:-1], widths[1:]), row[-1]]), flush=True)


if __name__ == "__main__":
    main()
