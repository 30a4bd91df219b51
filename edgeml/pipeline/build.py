"""build(): from a source to a package."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from edgeml.core.errors import InputError, StorageError
from edgeml.core.goal import Goal, check_goal
from edgeml.core.preprocessing import Declaration
from edgeml.core.recipe import RECIPES, find_recipe
from edgeml.core.source import SourceInfo, Task
from edgeml.core.system.files import locked_folder
from edgeml.core.system.worker import Worker, WorkerCrash
from edgeml.core.tensors import Label
from edgeml.package import Package
from edgeml.package.manifest import Name, Text, Version
from edgeml.pipeline.children.convert import ConversionSettings
from edgeml.pipeline.evaluation_data import (
    calibration_arrays,
    csv_declarations,
    evaluation_arrays,
    reference_arrays,
)
from edgeml.pipeline.packaging import assemble_package
from edgeml.pipeline.raw_inputs import resolve_declarations
from edgeml.pipeline.recipes import build_recipes
from edgeml.pipeline.request import BuildRequest
from edgeml.pipeline.saved_inputs import save_inputs
from edgeml.pipeline.source_model import ModelFile, crash_error, model_file
from edgeml.pipeline.task import with_task
from edgeml.trainers.result import TrainingCurves

__all__ = ["Step", "build", "check_texts"]

_LOADING_TIMEOUT_S = 600.0
_SCRATCH = "edgeml-build-"


@dataclass(frozen=True, slots=True)
class Step:
    """Progress of a build.

    Attributes:
        done: Steps that are done. `total`: of so many.
        text: What is being done now.
    """

    done: int
    total: int
    text: str


def build(
    model: object,
    *,
    name: str = "model",
    version: str = "0.1.0",
    calibration: object = None,
    evaluation: object = None,
    labels: Sequence[Label] | None = None,
    task: Task | None = None,
    goal: Goal | None = None,
    recipes: Iterable[str] | None = None,
    batch: int | None = None,
    measure: bool = False,
    licence: str = "",
    author: str = "",
    preprocessing: Declaration | Mapping[str, Declaration] | None = None,
    reference: object = None,
    training: TrainingCurves | None = None,
    trust_source: bool = False,
    progress: Callable[[Step], None] | None = None,
) -> Package:
    """Converts a model by recipes, proves each artifact against it, and puts them into a package.

    Conversion and the first run of each artifact happen in child processes. A recipe that cannot be made
    honestly is refused, an artifact that misses a floor or a goal is kept and marked rejected; both with the
    reason, in the package's manifest. Nothing is raised for them.

    Args:
        model: A Keras model or a fitted scikit-learn estimator, in memory, or a path: to a ``.keras`` or
            ``.h5`` file; to a SavedModel folder of Keras 2; to a ``.skops`` file; or to an existing ``.tflite`` or
            ``.onnx`` file, which is packaged as it is, and a float32 ``.onnx`` file by the other ``onnx-*``
            recipes too.
        name: The package's name: lower case, digits, ``.``, ``_``, ``-``.
        version: Its semantic version.
        calibration: Typical inputs ``[samples, ...]``, or one array per input name. Without them the recipes
            that need them are refused.
        evaluation: ``(x, y)`` with true labels or values, or ``x`` alone. Must not be calibration data.
        labels: The classes' names, in the order of the scores; scikit-learn estimators have their own.
        task: What the model does, where neither it nor the data tell.
        goal: What an artifact must meet to be released.
        recipes: Ids of the recipes to make; all nine by default.
        batch: Fixed batch of the artifacts. By default 1 for TFLite, and free for ONNX.
        measure: Whether to measure latency. It makes the package's bytes differ from build to build.
        licence: The model's licence, an SPDX expression.
        author: Who made the model.
        preprocessing: What the numbers of an input mean: an `Image`, `Audio` or `Table` of `edgeml.preprocessing`,
            or a mapping from input names to them. It is kept in the package, and applied by `predict(raw=True)`.
        reference: Of an existing ``.tflite`` or ``.onnx`` file: what the model that it was made from gives for the
            evaluation (else the calibration) inputs, one array ``[samples, ...]`` or one per output name. Without
            it, the file's own answers are the reference, and the package says so.
        training: The epochs of the model's training, which reports draw.
        trust_source: Whether you trust whoever made the model with your files and your machine. Only then are
            pickles and joblib files loaded, and what the audit finds: code, other people's classes, operators
            that reach for files.
        progress: Called before each step.

    Returns:
        The package, in memory.

    Raises:
        InputError: What was given does not fit the model.
        UnsupportedModelError: The model cannot be loaded, or the audit found something in it.
        MissingDependencyError: An extra is not installed.
        StorageError: The disk for temporary files is full.

    Example:
        >>> package = edgeml.build(model, name="digits", version="1.0.0", calibration=x_cal, evaluation=(x, y))
        >>> package.save("digits.edgeml")
    """
    chosen = [find_recipe(recipe) for recipe in recipes] if recipes is not None else list(RECIPES)
    if not chosen or len({recipe.id for recipe in chosen}) != len(chosen):
        raise InputError("recipes: there is none, or one is named twice.")
    if batch is not None and batch < 1:
        raise InputError(f"batch is {batch}, expected at least 1.")
    check_texts(name=name, version=version, licence=licence, author=author)
    goal = goal or Goal()
    check_goal(goal)
    measure = measure or goal.max_p95_ms is not None
    ask = _Progress(progress, 2 * len(chosen) + 2)
    try:
        with locked_folder(_SCRATCH) as folder:
            ask("loading the model")
            file = model_file(model, folder, trust=trust_source)
            (folder / "conversion").mkdir()
            settings = ConversionSettings(file.framework, file.path, folder / "conversion", batch, trust_source)
            with Worker("edgeml.pipeline.children.convert:Conversion", settings, folder) as converting:
                info = with_task(_described(converting, file), task, labels, evaluation)
                declared = resolve_declarations(preprocessing, info) or csv_declarations(info, evaluation, calibration)
                given = calibration_arrays(calibration, info, declared)
                data = evaluation_arrays(evaluation, given, info, declared)
                if goal.max_drop is not None and data.truth is None:
                    raise InputError(
                        "goal: max_drop needs true labels or values, and there are none.",
                        fix="give evaluation=(x, y); on the command line, arrays x and y.",
                    )
                request = BuildRequest(
                    info=info,
                    file=file,
                    recipes=chosen,
                    named=recipes is not None,
                    goal=goal,
                    data=data,
                    calibration=given,
                    inputs=save_inputs(data, given, info, folder),
                    reference=reference_arrays(reference, info, data),
                    batch=batch,
                    measure=measure,
                    preprocessing=declared,
                    training=training,
                    trust=trust_source,
                    about={"name": name, "version": version, "licence": licence, "author": author},
                )
                made = build_recipes(request, converting, folder, ask)
                return assemble_package(request, made)
    except OSError as error:
        raise StorageError(
            f"The build's temporary files cannot be written: {error.strerror or error}.",
            fix="free some space, or point TMPDIR to a larger disk.",
        ) from error


def check_texts(**given: str) -> None:
    """Holds the texts to what the manifest takes, before any work is done."""
    kinds: dict[str, tuple[Any, str]] = {
        "name": (Name, "lower case, digits, '.', '_', '-', at most 64"),
        "version": (Version, "a semantic version such as 1.0.0"),
    }
    for what, value in given.items():
        kind, expected = kinds.get(what, (Text, "a text of at most 10,000 characters"))
        try:
            msgspec.convert(value, type=kind)
        except msgspec.ValidationError as error:
            raise InputError(f"{what}: got {value!r:.80}, expected {expected}.") from error


class _Progress:
    def __init__(self, report: Callable[[Step], None] | None, total: int) -> None:
        self._report, self._total, self._done = report, total, -1

    def __call__(self, text: str) -> None:
        self._done += 1
        if self._report is not None:
            self._report(Step(self._done, self._total, text))


def _described(converting: Worker, file: ModelFile) -> SourceInfo:
    try:
        return converting.call("describe", returns=SourceInfo, timeout_s=_LOADING_TIMEOUT_S)
    except WorkerCrash as error:
        raise crash_error(file, "loaded", error) from error
