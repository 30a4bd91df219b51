"""The nets of `keras.applications` with seeded weights, as `tflite-fp32` and `onnx-fp32`.

    python benchmarks/keras_applications.py [MODEL]... [--markdown] [-o RESULT.json]

Each has the whole architecture, its 1,000 logits included, at the smallest input that it takes. Untrained nets hardly
depend on their input, so that any output passes for theirs. Here kernels are drawn so that they keep the size of what
goes through them (He et al. 2015, arXiv:1502.01852), one forward pass gives each batch normalization the statistics of
what it sees, and what Keras starts at 0, 1 or 1e-6 (biases, gains, ConvNeXt's layer scale) is drawn too. The column
*zeros* shows that it works: it is how near the answer to an all-zero image comes to the answers to the images, in the
decibels that artifacts are judged by, and must stay below 20.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

import edgeml

SIZES = {  # the smallest that each takes
    "MobileNetV2": 32,
    "MobileNetV3Small": 32,
    "MobileNetV3Large": 32,
    "EfficientNetB0": 32,
    "EfficientNetV2B0": 32,
    "ResNet50V2": 32,
    "NASNetMobile": 32,
    "DenseNet121": 32,
    "ConvNeXtTiny": 32,
    "Xception": 71,
    "InceptionV3": 75,
    "VGG16": 32,
}
MORE = {
    "MobileNet": 32,
    "ResNet50": 32,
    "DenseNet169": 32,
    "EfficientNetB1": 32,
    "EfficientNetV2B1": 32,
    "InceptionResNetV2": 75,
    "VGG19": 32,
}
RECIPES = ("tflite-fp32", "onnx-fp32")
IMAGES = 32
LEAST_DEPENDENCE_DB = 20.0


@dataclass(frozen=True, slots=True)
class Made:
    """A net with its weights, and the images that it is judged on.

    Attributes:
        model: Its file. `images`: float32 ``[32, size, size, 3]``, as the architecture takes them.
        parameters: Their number.
        zeros_db: SQNR of the answer to an all-zero image against the answers to the images.
        finite: Whether the answers are.
    """

    model: Path
    images: np.ndarray
    parameters: int
    zeros_db: float
    finite: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one net by one recipe.

    Attributes:
        verdict: ``released``, ``rejected`` or ``refused``, with the reason.
        sqnr_db: Of the logits; None where refused. `agreement`: share of the images that get the same label.
    """

    recipe: str
    verdict: str
    sqnr_db: float | None = None
    agreement: float | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """What came of one net."""

    model: str
    size: int
    parameters: int
    zeros_db: float
    outcomes: tuple[Outcome, ...]
    seconds: float


def make(name: str, size: int, folder: Path) -> Made:
    """Builds the net, gives it seeded weights and saves it. In a process of its own: TensorFlow keeps its memory."""
    import os

    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras

    keras.utils.set_random_seed(0)
    build = getattr(keras.applications, name)
    model = build(input_shape=(size, size, 3), weights=None, classifier_activation=None)
    prepare = sys.modules[build.__module__].preprocess_input
    seen, judged = (prepare(pictures(size, seed)) for seed in (1, 2))
    give_weights(model, seen)
    path = folder / f"{name}.keras"
    model.save(path)
    wanted = np.asarray(model(judged, training=False), np.float64)
    zeros = np.asarray(model(np.zeros_like(judged[:1]), training=False), np.float64)
    zeros_db = 10 * math.log10(np.square(wanted).sum() / np.square(wanted - zeros).sum())
    return Made(path, judged, model.count_params(), zeros_db, bool(np.isfinite(wanted).all()))


def pictures(size: int, seed: int) -> np.ndarray:
    """Pictures ``[32, size, size, 3]``, 0 to 255: smooth blotches and a little noise."""
    rng = np.random.default_rng(seed)
    blotches = rng.random((IMAGES, 4, 4, 3)).repeat(-(-size // 4), axis=1).repeat(-(-size // 4), axis=2)
    noise = rng.normal(0, 0.05, (IMAGES, size, size, 3))
    return np.round(255 * np.clip(blotches[:, :size, :size] + noise, 0, 1)).astype(np.float32)


def give_weights(model: Any, images: np.ndarray) -> None:
    """Draws the weights, and sets the statistics of batch normalizations by one pass of the images."""
    rng = np.random.default_rng(3)
    momenta = {}
    for layer in model._flatten_layers(include_self=False, recursive=True):  # noqa: SLF001  # no public way
        for weight in layer.trainable_weights if not layer._layers else ():  # noqa: SLF001
            weight.assign(_drawn(weight.name, weight.shape, rng))
        if hasattr(layer, "moving_mean"):
            momenta[layer], layer.momentum = layer.momentum, 0.0  # so that one pass settles them
        elif getattr(layer, "rate", 0):
            layer.rate = 0.0  # a dropout, whose noise would be in the statistics
    model(images, training=True)
    for layer, momentum in momenta.items():
        layer.momentum = momentum


def _drawn(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    if len(shape) > 1:
        inputs = math.prod(shape[:2]) if name.startswith("depthwise") else math.prod(shape[:-1])
        return rng.normal(0, math.sqrt(2 / inputs), shape)
    if name == "gamma":
        return rng.uniform(0.5, 1.5, shape)
    if name == "beta":
        return rng.normal(0.5, 0.2, shape)
    return rng.normal(0, 0.2, shape)


def swept(name: str, folder: Path) -> Row:
    """Makes the net in a child, and packages it."""
    size = (SIZES | MORE)[name]
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as child:
        made = child.submit(make, name, size, folder).result()
    if not made.finite or made.zeros_db >= LEAST_DEPENDENCE_DB:
        raise SystemExit(f"{name}: its answers prove nothing: finite {made.finite}, zeros at {made.zeros_db:.1f} dB.")
    began = time.perf_counter()
    package = edgeml.build(
        made.model, name=name.lower(), task="classification", evaluation=made.images, recipes=RECIPES
    )
    seconds = time.perf_counter() - began
    made.model.unlink()
    outcomes = [
        Outcome(
            record.recipe,
            "; ".join((record.verdict.status, *record.verdict.reasons)),
            record.evaluation.fidelity.sqnr_db,
            record.evaluation.fidelity.agreement,
        )
        for record in package.manifest.artifacts
    ]
    outcomes += [Outcome(item.recipe, f"refused: {item.reason}") for item in package.manifest.refused]
    return Row(name, size, made.parameters, made.zeros_db, tuple(outcomes), seconds)


def cells(row: Row) -> list[str]:
    """A row of the table."""
    found = {outcome.recipe: outcome for outcome in row.outcomes}
    return [
        row.model,
        f"{row.parameters / 1e6:.1f} M",
        f"{row.size} px",
        f"{row.zeros_db:.1f}",
        *(_cell(found[recipe]) for recipe in RECIPES),
        f"{row.seconds:.0f}",
    ]


def _cell(outcome: Outcome) -> str:
    if outcome.sqnr_db is None:
        return outcome.verdict
    agreement = "" if outcome.agreement is None else f", {outcome.agreement:.0%}"
    return f"{outcome.verdict}, {outcome.sqnr_db:.1f} dB{agreement}"


def main() -> None:
    """Sweeps the nets and prints a row for each as it comes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "models", nargs="*", metavar="MODEL", help=f"of {', '.join(SIZES | MORE)}; the first {len(SIZES)} by default"
    )
    parser.add_argument("--markdown", action="store_true", help="a table as in README")
    parser.add_argument("-o", "--output", type=Path, help="write the figures as JSON")
    given = parser.parse_args()
    unknown = set(given.models) - set(SIZES | MORE)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    head = ["model", "parameters", "input", "zeros, dB", *RECIPES, "seconds"]
    widths = [18, 10, 6, 9, 28, 28, 7]
    rows: list[Row] = []

    def show(values: list[str]) -> None:
        plain = "  ".join(value.ljust(width) for value, width in zip(values, widths, strict=True)).rstrip()
        print("| " + " | ".join(values) + " |" if given.markdown else plain, flush=True)

    show(head)
    if given.markdown:
        show(["---"] * len(head))
    with tempfile.TemporaryDirectory() as folder:
        for name in given.models or SIZES:
            rows.append(swept(name, Path(folder)))
            show(cells(rows[-1]))
    whole = sum(all(outcome.verdict == "released" for outcome in row.outcomes) for row in rows)
    print(f"\n{whole} of {len(rows)} released by both recipes")
    if given.output:
        given.output.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
