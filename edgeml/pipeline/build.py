"""build(): from a source to a package."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from edgeml._version import __version__
from edgeml.core.artifact import Artifact, Refusal
from edgeml.core.errors import (
    ConversionError,
    EdgemlError,
    InputError,
    MissingDependencyError,
    StorageError,
    TargetError,
    UnsupportedModelError,
)
from edgeml.core.evidence import Fidelity
from edgeml.core.goal import Goal
from edgeml.core.machine import cpu, installed_version
from edgeml.core.preprocessing import Declaration
from edgeml.core.recipe import RECIPES, Recipe, find_recipe
from edgeml.core.source import FILES, Reference, SourceInfo, Task
from edgeml.core.tensors import Label
from edgeml.core.worker import Worker, WorkerCrash
from edgeml.package import Package
from edgeml.package.manifest import FORMAT, DataRecord, Golden, Manifest, Name, RefusalRecord, Text, Version
from edgeml.pipeline.conversion import ConversionSettings
from edgeml.pipeline.data import (
    Judged,
    calibration_arrays,
    digest_of_arrays,
    judged_data,
    overlap,
    reference_arrays,
    save_arrays,
    with_task,
)
from edgeml.pipeline.declarations import declarations
from edgeml.pipeline.entries import Proven, artifact_entries, golden_entries
from edgeml.pipeline.failures import failure_of, shared_files
from edgeml.pipeline.judging import compared_sources, judge_run
from edgeml.pipeline.model import ModelFile, model_file
from edgeml.pipeline.proof import ProofSettings, Run
from edgeml.pipeline.scratch import scratch_folder

__all__ = ["Step", "build"]

_LOADING_TIMEOUT_S = 600.0
_CONVERSION_TIMEOUT_S = 3600.0
_PROOF_TIMEOUT_S = 3600.0
_FOLDERS = re.compile(r"(?<![\w./])/(?:[^\s/'\":;,()]+/)+")
_REASON_CHARS = 2000
_OWN_REFERENCE = (
    "the reference is the given file itself: how near it is to the model that it was made from is not known"
)
_TOOLS = ("ai-edge-litert", "onnx", "onnxruntime", "tf2onnx", "skl2onnx", "tensorflow", "numpy")


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
    trust_source: bool = False,
    progress: Callable[[Step], None] | None = None,
) -> Package:
    """Converts a model by recipes, proves each artifact against it, and puts them into a package.

    Conversion and the first run of each artifact happen in child processes. A recipe that cannot be made
    honestly is refused, an artifact that misses a floor or a goal is kept and marked rejected; both with the
    reason, in the package's manifest. Nothing is raised for them.

    Args:
        model: A Keras model or a fitted scikit-learn estimator, in memory, or a path: to a ``.keras`` file; to an
            ``.h5`` file or a SavedModel folder of Keras 2; to a ``.skops`` file; or to an existing ``.tflite`` or
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
    _check_texts(name=name, version=version, licence=licence, author=author)
    goal = goal or Goal()
    measure = measure or goal.max_p95_ms is not None
    ask = _Progress(progress, 2 * len(chosen) + 2)
    try:
        with scratch_folder() as folder:
            ask("loading the model")
            file = model_file(model, folder, trust=trust_source)
            (folder / "conversion").mkdir()
            settings = ConversionSettings(file.framework, file.path, folder / "conversion", batch, trust_source)
            with Worker("edgeml.pipeline.conversion:Conversion", settings, folder) as converting:
                info = _described(converting, file)
                info = with_task(info, task, labels, evaluation)
                declared = declarations(preprocessing, info.signature)
                given = calibration_arrays(calibration, info.signature)
                judged = judged_data(evaluation, given, info)
                if goal.max_drop is not None and judged.truth is None:
                    raise InputError(
                        "goal: max_drop needs true labels or values, and there are none.",
                        fix="give evaluation=(x, y); on the command line, arrays x and y.",
                    )
                given_reference = reference_arrays(reference, info, judged)
                build_ = _Build(
                    info,
                    chosen,
                    goal,
                    judged,
                    given,
                    given_reference,
                    file,
                    batch,
                    measure,
                    folder,
                    ask,
                    declared,
                    named=recipes is not None,
                    trust=trust_source,
                )
                return build_.package(converting, name=name, version=version, licence=licence, author=author)
    except OSError as error:
        raise StorageError(
            f"The build's temporary files cannot be written: {error.strerror or error}.",
            fix="free some space, or point TMPDIR to a larger disk.",
        ) from error


def _check_texts(**given: str) -> None:
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
        raise _killed(file, "loaded", error) from error


def _killed(file: ModelFile, what: str, error: WorkerCrash) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"{file.path.name} cannot be {what}: {error.message}",
        fix="the file is damaged, or not what it says: get a sound one, or build from the model that it was made from.",
        log=error.log,
    )


def _told(reason: str) -> str:
    """A tool's words as the manifest keeps them: no folder of this machine, and no page of text."""
    return _FOLDERS.sub("", reason)[:_REASON_CHARS]


@dataclass(frozen=True, slots=True)
class _Build:
    info: SourceInfo
    recipes: list[Recipe]
    goal: Goal
    judged: Judged
    calibration: dict[str, np.ndarray] | None
    reference: Reference | None
    file: ModelFile
    batch: int | None
    measure: bool
    folder: Path
    ask: _Progress
    preprocessing: dict[str, Declaration]
    named: bool
    trust: bool

    def package(self, converting: Worker, **about: str) -> Package:
        """Makes, proves and judges every recipe, and puts the package together."""
        inputs = save_arrays(self.judged.inputs, self.folder / "judged")
        calibration = save_arrays(self.calibration, self.folder / "calibration") if self.calibration else {}
        self.ask("asking the source for its own answers")
        reference = self.reference or self._ask(converting, inputs)
        self._check_reference(reference)
        narrowing = self._narrowing(converting, reference)
        proven: list[Proven] = []
        refusals: list[Refusal] = []
        with Worker("edgeml.pipeline.proof:Proof", ProofSettings(inputs, self.measure), self.folder) as proving:
            for recipe in self.recipes:
                self.ask(f"converting {recipe.id}")
                made = self._convert(converting, recipe, calibration)
                self.ask(f"proving {recipe.id}")
                if isinstance(made, Artifact):
                    run = self._prove(proving, made)
                    if isinstance(run, Run):
                        proven.append(self._judged(recipe, reference, made, run, narrowing))
                        continue
                    made = run
                refusals.append(made)
        return self._assembled(proven, refusals, reference, about)

    def _ask(self, converting: Worker, inputs: dict[str, Path]) -> Reference:
        try:
            return converting.call("reference", inputs, returns=Reference, timeout_s=_PROOF_TIMEOUT_S)
        except TargetError as error:  # of an existing file, whose engine is its framework
            raise UnsupportedModelError(f"{self.file.path.name} does not run: {error.message}") from error
        except WorkerCrash as error:
            raise _killed(self.file, "run", error) from error

    def _narrowing(self, converting: Worker, reference: Reference) -> Fidelity | None:
        """How near the source's answers in float32, as artifacts compute, are to its own.

        These differ where float64 was given that float32 does not hold, and where it computes in something else.
        """
        if reference.own is not None:
            return compared_sources(self.info, Reference(reference.own), reference)
        if self.judged.wide is None:
            return None
        wide = self._ask(converting, save_arrays(self.judged.wide, self.folder / "wide"))
        return compared_sources(self.info, wide, reference)

    def _check_reference(self, reference: Reference) -> None:
        for name, values in reference.outputs.items():
            if not np.isfinite(values).all():
                raise UnsupportedModelError(
                    f"The source itself gives NaN or infinity in '{name}' on the {self.judged.origin} data.",
                    fix="mend the model, or the data.",
                )

    def _convert(self, converting: Worker, recipe: Recipe, calibration: dict[str, Path]) -> Artifact | Refusal:
        # An existing file is packaged as it is; all that is quantized further is ONNX in float32.
        quantizes = self.info.framework not in FILES or (
            self.info.architecture == "onnx-fp32" and recipe.format == "onnx"
        )
        if recipe.needs_calibration and quantizes and not calibration:
            return Refusal(
                recipe.id,
                "It needs calibration samples, and none were given.",
                "give calibration=x; on the command line --calibration.",
            )
        try:
            return self._meant(
                converting.call("convert", recipe.id, calibration, returns=Artifact, timeout_s=_CONVERSION_TIMEOUT_S)
            )
        except MissingDependencyError as error:
            if self.named:
                raise
            return Refusal(recipe.id, error.message, error.fix)
        except UnsupportedModelError as error:
            return Refusal(recipe.id, error.message, error.fix)
        except EdgemlError as error:
            return Refusal(recipe.id, error.message, error.fix, failed=True, log=error.log)

    def _meant(self, artifact: Artifact) -> Artifact:
        """The artifact with its outputs' meanings as the settled task has them: the converter knows the model alone."""
        meanings = {spec.name: spec.meaning for spec in self.info.signature.outputs}
        outputs = tuple(
            msgspec.structs.replace(spec, meaning=meanings.get(spec.name, spec.meaning))
            for spec in artifact.signature.outputs
        )
        return msgspec.structs.replace(artifact, signature=msgspec.structs.replace(artifact.signature, outputs=outputs))

    def _judged(
        self, recipe: Recipe, reference: Reference, artifact: Artifact, run: Run, narrowing: Fidelity | None
    ) -> Proven:
        proven = judge_run(self.info, recipe, self.goal, self.judged, reference, artifact, run, narrowing)
        if self.info.framework not in FILES or self.reference is not None:
            return proven
        verdict = msgspec.structs.replace(proven.verdict, remarks=(*proven.verdict.remarks, _OWN_REFERENCE))
        return replace(proven, verdict=verdict)

    def _prove(self, proving: Worker, artifact: Artifact) -> Run | Refusal:
        try:
            run = proving.call("run", artifact, returns=Run, timeout_s=_PROOF_TIMEOUT_S)
            self._check_signature(artifact)
        except MissingDependencyError as error:
            if self.named:
                raise
            return Refusal(artifact.recipe, f"Without its engine it cannot be proven. {error.message}", error.fix)
        except EdgemlError as error:
            return Refusal(artifact.recipe, error.message, error.fix, failed=True, log=error.log)
        return run

    def _check_signature(self, artifact: Artifact) -> None:
        def essence(specs: Any) -> list[Any]:
            return [(spec.name, spec.shape[1:], spec.meaning) for spec in specs if spec.meaning != "label"]

        wanted, found = self.info.signature, artifact.signature
        if essence(wanted.inputs) != essence(found.inputs) or essence(wanted.outputs) != essence(found.outputs):
            raise ConversionError(f"The artifact's tensors are not the source's: {found}.")

    def _assembled(
        self, proven: list[Proven], refusals: list[Refusal], reference: Reference, about: dict[str, str]
    ) -> Package:
        contents: dict[str, bytes] = {}
        records = [artifact_entries(item, contents) for item in proven]
        golden = golden_entries(self.judged.inputs, reference, proven, contents) if proven else Golden(0, {}, {}, ())
        tools = {tool: found for tool in _TOOLS if (found := installed_version(tool))}
        manifest = Manifest(
            format=FORMAT,
            edgeml=__version__,
            source=self.info,
            data=self._data(),
            goal=self.goal,
            tools=tools | {"python": platform.python_version()},
            cpu=cpu(),
            artifacts=tuple(records),
            refused=tuple(RefusalRecord(item.recipe, _told(item.reason), item.fix) for item in refusals),
            golden=golden,
            files={},
            preprocessing=self.preprocessing,
            **about,
        )
        failed = [item for item in refusals if item.failed]
        failures = tuple(failure_of(item, self.file, self.batch, trust=self.trust) for item in failed)
        shared = shared_files(self.file, self.judged.inputs, self.calibration) if failed else {}
        return Package.of(manifest, contents, failures=failures, shared_failure_files=shared)

    def _data(self) -> DataRecord:
        given = self.calibration
        evaluated = self.judged.origin == "evaluation"
        arrays = dict(self.judged.inputs)
        if self.judged.truth is not None:
            arrays["y"] = self.judged.truth
        return DataRecord(
            judged_on=self.judged.origin,
            judged_samples=self.judged.samples,
            labelled=self.judged.truth is not None,
            calibration_samples=len(next(iter(given.values()))) if given else 0,
            overlap=overlap(given, self.judged.inputs) if given and evaluated else 0,
            calibration=digest_of_arrays(given) if given else None,
            evaluation=digest_of_arrays(arrays) if evaluated else None,
            reference=digest_of_arrays(self.reference.outputs) if self.reference is not None else None,
        )
