"""Keras models, their artifacts, and the artifacts' answers through the raw engines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from ai_edge_litert.interpreter import Interpreter

import edgeml
from edgeml.core.artifact import Artifact
from edgeml.core.recipe import RECIPES
from edgeml.core.source import SourceInfo
from edgeml.core.system.worker import Worker

__all__ = ["ONNX", "TFLITE", "TOLERANCE", "Built", "Converted", "run_onnx", "run_tflite", "samples"]

TFLITE = [recipe.id for recipe in RECIPES if recipe.format == "tflite"]
ONNX = [recipe.id for recipe in RECIPES if recipe.format == "onnx"]
# What float32, float16 and 8-bit arithmetic leave of outputs of size 1, with room.
TOLERANCE = {"fp32": 1e-5, "fp16": 1e-2, "dynamic": 0.15, "int8": 0.3, "int16x8": 0.15}


def samples(info: SourceInfo, count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Normal numbers for each input."""
    rng = np.random.default_rng(seed)
    return {
        spec.name: rng.standard_normal((count, *(size or 1 for size in spec.shape[1:]))).astype(np.float32)
        for spec in info.signature.inputs
    }


def run_tflite(artifact: Artifact, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The artifact's answers through the raw interpreter's signature, one sample at a time."""
    interpreter = Interpreter(model_content=artifact.data, num_threads=1)
    runner = interpreter.get_signature_runner()

    def stored(values: np.ndarray, details: Any) -> np.ndarray:
        scale, zero = details["quantization"]
        if not scale:
            return values.astype(details["dtype"])
        limits = np.iinfo(details["dtype"])
        steps = np.rint(values.astype(np.float64) / scale) + zero
        return np.clip(steps, limits.min, limits.max).astype(details["dtype"])

    def real(values: np.ndarray, details: Any) -> np.ndarray:
        scale, zero = details["quantization"]
        return (values.astype(np.float64) - zero) * scale if scale else values

    takes, gives = runner.get_input_details(), runner.get_output_details()
    rows = []
    for row in range(len(next(iter(inputs.values())))):
        feed = {name: stored(array[row : row + 1], takes[name]) for name, array in inputs.items()}
        rows.append({name: real(values, gives[name]) for name, values in runner(**feed).items()})
    return {name: np.concatenate([row[name] for row in rows]) for name in rows[0]}


def run_onnx(artifact: Artifact, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The artifact's answers through the raw engine."""
    session = onnxruntime.InferenceSession(artifact.data, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    dtypes = {spec.name: spec.dtype for spec in artifact.signature.inputs}
    feed = {name: values.astype(dtypes[name]) for name, values in inputs.items()}
    return dict(zip(names, session.run(names, feed), strict=True))


class Converted:
    """A model, its calibration samples, and artifacts of it, those of one format made in one job.

    Args:
        worker: A `tests.support.keras_worker.KerasWorker`.
        kind: As of `KerasModels.make`.
        recipes: Those that are asked for.
    """

    def __init__(self, worker: Worker, kind: str, recipes: list[str]) -> None:
        self._worker = worker
        self._recipes = recipes
        self._made: dict[str, Artifact] = {}
        self._answers: dict[tuple[bytes, ...], list[np.ndarray]] = {}
        self.path = worker.call("make", kind, returns=Path)
        self.info = worker.call("describe", self.path, returns=SourceInfo)
        self.calibration = samples(self.info, 40, seed=1)

    def __getitem__(self, recipe: str) -> Artifact:
        if recipe not in self._made:
            together = [name for name in self._recipes if name.partition("-")[0] == recipe.partition("-")[0]]
            self._made |= zip(together, self.convert_together(together), strict=True)
        return self._made[recipe]

    def convert(self, recipe: str, batch: int = 0) -> Artifact:
        """The artifact of one recipe, made anew."""
        (artifact,) = self.convert_together([recipe], batch)
        return artifact

    def convert_together(self, recipes: list[str], batch: int = 0) -> list[Artifact]:
        """Artifacts of several recipes, made anew in one job."""
        return self._worker.call(
            "convert_together", self.path, recipes, self.calibration, batch, returns=list[Artifact]
        )

    def answers(self, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What Keras gives, by output."""
        key = tuple(array.tobytes() for array in inputs.values())
        if key not in self._answers:
            arrays = list(inputs.values())
            self._answers[key] = self._worker.call("answers", self.path, arrays, returns=list[np.ndarray])
        return dict(zip((spec.name for spec in self.info.signature.outputs), self._answers[key], strict=True))

    def check(self, recipe: str, inputs: dict[str, np.ndarray]) -> None:
        """An artifact gives all the outputs that Keras gives, and what it gives for them, up to the precision."""
        artifact = self[recipe]
        found = (run_tflite if recipe.startswith("tflite") else run_onnx)(artifact, inputs)
        wanted = self.answers(inputs)
        assert set(found) == set(wanted)
        for name, values in wanted.items():
            np.testing.assert_allclose(found[name], values, atol=TOLERANCE[recipe.partition("-")[2]])

    def check_signature(self, recipe: str) -> None:
        """An artifact declares the source's inputs and outputs, in the precision's type."""
        signature, source = self[recipe].signature, self.info.signature
        batch = 1 if recipe.startswith("tflite") else None
        for declared, wanted in ((signature.inputs, source.inputs), (signature.outputs, source.outputs)):
            assert [(spec.name, spec.shape) for spec in declared] == [(s.name, (batch, *s.shape[1:])) for s in wanted]
        dtype = {"tflite-int8": "int8", "tflite-int16x8": "int16"}.get(recipe, "float32")
        assert {spec.dtype for spec in (*signature.inputs, *signature.outputs)} == {dtype}


class Built:
    """A model, and a package of it.

    Args:
        worker: A `tests.support.keras_models.KerasModels`.
        kind: As of `KerasModels.make`.
        recipes: Those of the package.
    """

    def __init__(self, worker: Worker, kind: str, recipes: tuple[str, ...]) -> None:
        self.path = worker.call("make", kind, returns=Path)
        self.info = worker.call("describe", self.path, returns=SourceInfo)
        self.inputs = _with_hidden_ends(self.info, 1)
        self.package = edgeml.build(
            self.path,
            recipes=recipes,
            calibration=_with_hidden_ends(self.info, 2),
            evaluation=self.inputs,
            task="regression",
        )
        self.refused = {item.recipe: item for item in self.package.manifest.refused}
        self._answers = worker.call("answers", self.path, list(self.inputs.values()), returns=list[np.ndarray])

    def decibels(self, recipe: str) -> float:
        """The least SQNR of an artifact's outputs about their mean, against Keras's own, in the model's own order."""
        found = self.package.session(recipe).run(self.inputs)
        worst = np.inf
        for output, answer in zip(found.values(), self._answers, strict=True):
            assert output.shape == answer.shape
            wanted = answer.astype(np.float64)
            noise = np.square(output - wanted).sum()
            worst = min(worst, 10 * np.log10(np.square(wanted - wanted.mean(axis=0)).sum() / max(noise, 1e-30)))
        return float(worst)


def _with_hidden_ends(info: SourceInfo, seed: int) -> dict[str, np.ndarray]:
    """Numbers for each input, whole ones where it takes such, with zeros that masks hide where there are some."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for spec in info.signature.inputs:
        shape = (40, *(size or 1 for size in spec.shape[1:]))
        values = rng.integers(1, 300, shape) if spec.name in info.whole_inputs else rng.standard_normal(shape)
        values[::4, -2:] = 0
        arrays[spec.name] = values.astype(np.float32)
    return arrays
