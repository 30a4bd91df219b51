"""build(): from a source to a package."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from edgeml.core.errors import InputError, StorageError
from edgeml.core.free_sizes import combinations
from edgeml.core.goal import Goal
from edgeml.core.preprocessing import Declaration
from edgeml.core.source import SourceInfo, Task
from edgeml.core.system.limits import DEFAULT_TIMEOUT_S, Limits
from edgeml.core.system.log import debug_enabled, log_debug, log_info
from edgeml.core.system.paths import checked_path, is_path
from edgeml.core.system.temporary import TemporaryFolder
from edgeml.core.system.worker import Worker, WorkerCrash
from edgeml.core.tensors import Label
from edgeml.package import Package
from edgeml.package.manifest import Name, Text, Version
from edgeml.pipeline.arguments import convert_goal, select_recipes
from edgeml.pipeline.children.convert import ConversionSettings
from edgeml.pipeline.data_files import read_calibration, read_evaluation, read_inputs, read_labels
from edgeml.pipeline.evaluation_data import (
    calibration_arrays,
    csv_declarations,
    evaluation_arrays,
    reference_arrays,
)
from edgeml.pipeline.outcome import BuildOutcome
from edgeml.pipeline.packaging import assemble_package
from edgeml.pipeline.progress import Progress, Step, show_progress
from edgeml.pipeline.raw_inputs import resolve_declarations
from edgeml.pipeline.recipes import build_recipes
from edgeml.pipeline.request import BuildRequest
from edgeml.pipeline.saved_inputs import save_inputs
from edgeml.pipeline.source_model import ModelFile, crash_error, model_file
from edgeml.pipeline.task import with_task
from edgeml.preprocessing import read_declarations
from edgeml.trainers.result import TrainingCurves

__all__ = ["Step", "build", "check_texts"]

_MAX_BATCH = 65_536
_LOADING_TIMEOUT_S = 600.0


def build(
    model: object,
    *,
    name: str = "model",
    version: str = "0.1.0",
    calibration: object = None,
    evaluation: object = None,
    labels: Sequence[Label] | Mapping[str, Sequence[Label]] | str | os.PathLike[str] | None = None,
    task: Task | Mapping[str, Task] | None = None,
    boxes: str | Mapping[str, object] | None = None,
    goal: Goal | Mapping[str, Any] | None = None,
    recipes: str | Iterable[str] | None = None,
    batch: int | None = None,
    sizes: Mapping[str, int | Sequence[int]] | None = None,
    stateful: bool | Mapping[str, str] | None = None,
    measure: bool = False,
    licence: str = "",
    author: str = "",
    preprocessing: Declaration | Mapping[str, Declaration] | str | os.PathLike[str] | None = None,
    reference: object = None,
    training: TrainingCurves | None = None,
    trust_source: bool = False,
    memory_mb: float | None = None,
    timeout_s: float = DEFAULT_TIMEOUT_S,
    progress: Progress = None,
) -> Package:
    """Convert a model by recipes, prove each artifact against the model, and package the artifacts.

    Conversion and the first run of each artifact happen in child processes. A recipe that edgeml cannot make
    faithfully is refused; an artifact that misses a floor or a goal is kept and marked as rejected. Refusals and
    rejections do not raise: the package's manifest contains them, with the reasons.

    Args:
        model: A Keras model or a fitted scikit-learn estimator, in memory; or a path (str or os.PathLike): to a
            ``.keras`` or ``.h5`` file; to a SavedModel folder of Keras 2; to a ``.skops`` file; or to an
            existing ``.tflite`` or ``.onnx`` file, which is packaged as it is, and a float32 ``.onnx`` file by the
            other ``onnx-*`` recipes too.
        name: Name of the package: lower case, digits, ``.``, ``_``, ``-``.
        version: Semantic version of the package.
        calibration: Typical inputs ``[samples, ...]``, or one array per input name, or a data frame; or the path of
            a ``.npy``, ``.npz`` or ``.csv`` file. Without calibration data the recipes that need them are refused.
        evaluation: ``(x, y)`` with true labels or values, or `x` alone; or the path of an ``.npz`` file with the
            arrays ``x`` and ``y``, or of a ``.csv`` file with inputs. ``(path, column)`` names the column of a CSV
            file with the true labels or values. Must not be calibration data. By task, `y` is a label per sample; 0 or
            1 for each label ``[samples, labels]``; masks, of class numbers or one-hot; a label per step; for each
            sample boxes ``[boxes, 5]`` with the class number last; values; 1 for anomalies; or an identity per sample.
            Of several outputs `y` is a dict by output name, in a file the arrays ``y.NAME``.
        labels: Names of the classes, in the order of the scores, of several outputs a dict by output name; or the path
            of a text file with one name per line, or of a ``.json`` file with a list or such a dict. scikit-learn
            estimators have labels of their own.
        task: The task, for models and data that do not show it: ``classification``, ``multi-label``,
            ``segmentation``, ``sequence`` (a label per step), ``detection``, ``regression``, ``reconstruction``,
            ``anomaly`` or ``embedding``; of several outputs a dict by output name.
        boxes: For a detection model with decoded boxes their format, ``xyxy``, ``yxyx``, ``xywh`` or ``cxcywh``; or a
            dict with it and what the outputs' shapes do not show: ``output`` and ``scores``, the names of the outputs
            with boxes and scores, ``classes``, that with class numbers, and ``objectness``, whether a score of any
            object precedes those of the classes. Without it each output is judged by its fidelity alone.
        goal: Bounds that an artifact must keep to be released: a `Goal`, or a dict such as ``{"max_drop": 0.01}``.
        recipes: Names of the recipes to make, or a single name; all nine by default.
        batch: Fixed batch of the artifacts. By default 1 for TFLite, and free for ONNX.
        sizes: Numbers for the free sizes of a ``.tflite`` or ``.onnx`` file other than the batch, such as
            ``{"length": 16000}``, by the name that the file gives the size; of a size without a name by ``INPUT.AXIS``,
            as ``audio.1``. `edgeml inspect` shows them. A size with several numbers, ``{"length": (8000, 16000)}``,
            stays free, and the artifacts are proven at each; of several sizes the first numbers belong together, then
            the second. Random inputs have the first numbers; evaluation data are cut, or repeated, to the others.
        stateful: For a ``.tflite`` or ``.onnx`` file that keeps a state between calls, as nets on sound do: True, or a
            dict from inputs to the outputs with their next values. Samples are then consecutive steps of one sequence,
            and `Session.stateful` continues it. A file with a state is refused without it; False takes a state as an
            ordinary input.
        measure: Whether to measure latency. The package's bytes then differ from build to build.
        licence: License of the model, an SPDX expression.
        author: Author of the model.
        preprocessing: Meaning of an input's numbers: an `Image`, `Audio` or `Table` of `edgeml.preprocessing`, or a
            mapping from input names to them, or the path of a ``.toml`` file with a table per input. The package
            keeps the declaration, and `predict(raw=True)` applies it.
        reference: For an existing ``.tflite`` or ``.onnx`` file: outputs of the model that the file was made from,
            for the evaluation data (else the calibration data), one array ``[samples, ...]`` or one per output
            name; or the path of an ``.npz`` file with them. Without it, the file's own outputs are the reference,
            and the package says so.
        training: Epochs of the model's training, which reports draw.
        trust_source: Whether you trust the author of the model with your files and your machine. Only then are
            pickles and joblib files loaded, and models with code, third-party classes, or operators that access
            files.
        memory_mb: Memory in MB that the model may take in a child process, beside its framework or engine:
            ``math.inf`` for no limit; by default 1,536 for conversions and 256 for artifacts, and more for large files.
        timeout_s: Time in seconds of one call of the model, a sample or a batch: ``math.inf`` for no limit.
        progress: None shows a progress bar in a terminal or notebook, False shows nothing; or a function that is
            called with a `Step` before each step.

    Returns:
        The package, in memory; `Package.save` writes it.

    Raises:
        InputError: An argument does not fit the model, or a file does not exist.
        UnsupportedModelError: The model cannot be loaded, or the audit found something in it.
        MissingDependencyError: An extra is not installed.
        StorageError: The disk for temporary files is full, or a file cannot be read.

    Example:
        >>> package = edgeml.build(model, name="digits", version="1.0.0", calibration=x_cal, evaluation=(x, y))
        >>> package.save("digits.edgeml")

        The same from files:

        >>> edgeml.build(
        ...     "digits.keras", calibration="calibration.npz", evaluation="digits.npz", recipes="tflite-int8",
        ...     goal={"max_drop": 0.01},
        ... )
        <Package model 0.1.0: 1 of 1 recipes released (tflite-int8), 45.2 kB>
    """
    selected = select_recipes(recipes)
    if batch is not None and not 1 <= batch <= _MAX_BATCH:
        raise InputError(f"batch is {batch}, expected 1 to {_MAX_BATCH}.")
    check_texts(name=name, version=version, licence=licence, author=author)
    bounds, limits = convert_goal(goal), Limits.checked(memory_mb, timeout_s)
    source = Path(checked_path(model, "model")) if is_path(model) else model  # type: ignore[arg-type]
    calibration, evaluation = read_calibration(calibration, evaluation), read_evaluation(evaluation)
    labels, reference = read_labels(labels), read_inputs(reference, "reference")
    if is_path(preprocessing):
        preprocessing = read_declarations(Path(checked_path(preprocessing, "preprocessing")))  # type: ignore[arg-type]
    measure = measure or bounds.max_p95_ms is not None
    try:
        with show_progress(progress) as show, TemporaryFolder() as folder:
            report = _StepCounter(show, 2 * len(selected) + 2)
            report("loading the model")
            file = model_file(source, folder, trust=trust_source, sizes=sizes, stateful=stateful)
            (folder / "conversion").mkdir()
            settings = ConversionSettings(
                file.framework,
                file.path,
                folder / "conversion",
                batch,
                trust_source,
                limits,
                dict(file.sizes),
                file.stateful,
                file.saved,
            )
            with Worker("edgeml.pipeline.children.convert:Conversion", settings, folder) as converting:
                info, assumptions = with_task(_describe(converting, file), task, labels, evaluation, boxes)
                declared = resolve_declarations(preprocessing, info)  # type: ignore[arg-type]  # a path was read above
                declared = declared or csv_declarations(info, evaluation, calibration)
                samples = calibration_arrays(calibration, info, declared)
                data = evaluation_arrays(evaluation, samples, info, declared, combinations(file.sizes)[0])
                if bounds.max_drop is not None and not data.truth:
                    raise InputError(
                        "goal: max_drop requires true labels or values.",
                        fix="pass evaluation=(x, y); on the command line, arrays x and y.",
                    )
                compared = converting.call("compared_columns", returns=dict[str, tuple[int, ...]])
                request = BuildRequest(
                    info=info,
                    assumptions=assumptions,
                    file=file,
                    recipes=list(selected),
                    named=recipes is not None,
                    goal=bounds,
                    data=data,
                    calibration=samples,
                    inputs=save_inputs(data, samples, info, folder, compared),
                    compared=compared,
                    reference=reference_arrays(reference, info, data),
                    batch=batch,
                    measure=measure,
                    preprocessing=declared,
                    training=training,
                    trust=trust_source,
                    limits=limits,
                    about={"name": name, "version": version, "licence": licence, "author": author},
                )
                outcomes = build_recipes(request, converting, folder, report)
                _log_outcomes(name, outcomes, folder)
                return assemble_package(request, outcomes)
    except OSError as error:
        raise StorageError(
            f"The build's temporary files cannot be written: {error.strerror or error}.",
            fix="free some space, or point TMPDIR to a larger disk.",
        ) from error


def check_texts(**texts: str) -> None:
    """Check the package's name, version and other texts, before any work is done.

    Raises:
        InputError: A text is not valid in a manifest.
    """
    types: dict[str, tuple[Any, str]] = {
        "name": (Name, "lower case letters, digits, '.', '_', '-', at most 64"),
        "version": (Version, "a semantic version such as 1.0.0"),
    }
    for field, value in texts.items():
        kind, expected = types.get(field, (Text, "a text of at most 10,000 characters"))
        try:
            msgspec.convert(value, type=kind)
            value.encode()
        except (msgspec.ValidationError, UnicodeEncodeError) as error:
            raise InputError(f"{field}: got {value!r:.80}, expected {expected}.") from error
        if field in types and value.endswith("\n"):  # which the patterns let pass
            raise InputError(f"{field}: got {value!r:.80}, expected {expected}.")


class _StepCounter:
    """Counts the steps of a build, shows and logs them."""

    def __init__(self, show: Callable[[Step], object], total: int) -> None:
        self._show, self._total, self._done = show, total, -1

    def __call__(self, text: str) -> None:
        self._done += 1
        log_info("build, step %d of %d: %s", self._done + 1, self._total, text)
        self._show(Step(self._done, self._total, text))


def _describe(converting: Worker, file: ModelFile) -> SourceInfo:
    try:
        return converting.call("describe", returns=SourceInfo, timeout_s=_LOADING_TIMEOUT_S)
    except WorkerCrash as error:
        raise crash_error(file, "loaded", error) from error


def _log_outcomes(name: str, outcomes: BuildOutcome, folder: Path) -> None:
    """Log the verdict on each recipe at level INFO, and the output of the child processes at level DEBUG."""
    for item in outcomes.proven:
        reasons = "; ".join(item.verdict.reasons)
        log_info("%s: %s is %s%s", name, item.artifact.recipe, item.verdict.status, reasons and f": {reasons}")
    for refusal in outcomes.refusals:
        log_info("%s: %s is refused: %s", name, refusal.recipe, refusal.reason)
    for path in sorted(folder.glob("*.log")) if debug_enabled() else ():
        log_debug("%s:\n%s", path.name, path.read_text("utf-8", errors="replace"))
