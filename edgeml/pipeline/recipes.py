"""Conversion, proof and assessment of all recipes of a build."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import mkdtemp
from typing import Any, TypeVar

import msgspec
import numpy as np

from edgeml.core.artifact import Artifact, Refusal
from edgeml.core.decisions import DECIDED
from edgeml.core.errors import (
    ConversionError,
    EdgemlError,
    InputError,
    IsolationError,
    MissingDependencyError,
    ResourceError,
    TargetError,
    UnsupportedModelError,
)
from edgeml.core.finite import finite_samples
from edgeml.core.formats.artifact_check import check_artifact
from edgeml.core.free_sizes import sizes_of
from edgeml.core.recipe import Recipe, find_recipe
from edgeml.core.source import FILES, Probes, Reference
from edgeml.core.system.installation import index_command
from edgeml.core.system.worker import Worker, WorkerCrash
from edgeml.core.tensors import Signature, TensorSpec, holds_integers, source_dtype
from edgeml.pipeline.assessment import Assessor
from edgeml.pipeline.batch_dependence import batch_dependence, depends
from edgeml.pipeline.children.prove import ProofSettings
from edgeml.pipeline.golden_inputs import golden_rows, spanning_rows
from edgeml.pipeline.missing_values import has_unsupported_missing_values
from edgeml.pipeline.other_sizes import SizeProof, make_size_proofs
from edgeml.pipeline.outcome import BuildOutcome, GoldenInputs, ProofRun, ProvenArtifact
from edgeml.pipeline.probing import ProbeSet
from edgeml.pipeline.reference import ReferenceOutputs, ReferenceSet, compute_references
from edgeml.pipeline.request import BuildRequest
from edgeml.pipeline.saved_inputs import save_arrays
from edgeml.pipeline.source_model import crash_error
from edgeml.pipeline.task import with_thresholds
from edgeml.pipeline.truth import check_truth_sizes

__all__ = ["build_recipes"]

T = TypeVar("T")
_CONVERSION_TIMEOUT_S = 3600.0
_PROOF_TIMEOUT_S = 3600.0
_NO_BATCH = (
    "if the first size of an input is a length and not a batch, say so: --size NAME=N (sizes= in Python); "
    "`edgeml inspect` shows its name."
)
_LOOPS = {"Loop", "Scan", "WHILE"}  # operators with bodies that engines run again and again


def build_recipes(
    request: BuildRequest, converting: Worker, folder: Path, report_step: Callable[[str], None]
) -> BuildOutcome:
    """Convert, prove and assess every recipe.

    Args:
        request: The request of the build.
        converting: Process of an `edgeml.pipeline.children.convert.Conversion` with the source.
        folder: Folder for temporary files.
        report_step: Called with the name of each step before it starts.

    Raises:
        UnsupportedModelError: The source itself fails to run.
        MissingDependencyError: A recipe that the caller named needs an extra.
    """
    builder = _RecipeBuilder(request, converting)
    report_step("running the source model")
    inputs, info, reference = request.inputs, request.info, request.reference
    references = compute_references(
        builder.compute_reference, inputs, info, reference=reference, origin=request.data.origin
    )
    check_truth_sizes(request.data.truth, references.native.judged.outputs, info)
    info, remarks = with_thresholds(info, references.native.judged.outputs)
    if info != request.info:
        request = replace(request, info=info)
        builder = _RecipeBuilder(request, converting)
        references = compute_references(
            builder.compute_reference, inputs, info, reference=reference, origin=request.data.origin
        )
    if reference is None and not info.stateful:  # else the file is not the source, and runs in the proof alone
        builder.check_batches(references.native)
    assessor = Assessor(
        info,
        request.goal,
        request.data,
        trusted_reference=reference is not None,
        assumptions=(*request.assumptions, *remarks),
    )
    proven: list[ProvenArtifact] = []
    refusals: list[Refusal] = []
    converted: list[tuple[Recipe, Artifact | Refusal]] = []
    for recipe in request.recipes:
        report_step(f"converting {recipe.id}")
        converted.append((recipe, builder.convert(recipe)))
    golden = builder.golden(
        [item for _, item in converted if isinstance(item, Artifact)], references.native.judged, folder
    )
    probes = builder.make_probes(references.native.judged, folder)
    size_proofs = builder.make_size_proofs(folder)
    settings = ProofSettings(
        inputs.judged,
        request.measure,
        inputs.missing_values or {},
        request.limits,
        inputs.batches,
        None if info.stateful else inputs.batch_probes,
        references.native.noise,
        save_arrays(probes.inputs, folder / "probes") if probes is not None else {},
        save_arrays(golden.inputs, folder / "golden"),
        tuple(save_arrays(each.inputs, folder / f"golden {place}") for place, each in enumerate(size_proofs, 2)),
    )
    with Worker("edgeml.pipeline.children.prove:Proof", settings, folder) as proving:
        for recipe, artifact in converted:
            report_step(f"proving {recipe.id}")
            run = builder.prove(proving, artifact) if isinstance(artifact, Artifact) else artifact
            if isinstance(artifact, Artifact) and isinstance(run, ProofRun):
                assessed = assessor.assess(recipe, references.for_artifact(artifact), artifact, run)
                assessed = assessed if probes is None else probes.hold(assessed, recipe, request.goal)
                for size_proof, sized in zip(size_proofs, run.at_sizes, strict=True):
                    assessed = size_proof.hold(assessed, sized.outputs, recipe, request.goal, references.native.noise)
                proven.append(assessed)
            elif isinstance(run, Refusal):
                refusals.append(run)
    return BuildOutcome(info, tuple(proven), tuple(refusals), (golden, *(each.golden for each in size_proofs)))


@dataclass(frozen=True, slots=True)
class _RecipeBuilder:
    request: BuildRequest
    converting: Worker

    def compute_reference(self, inputs: dict[str, Path]) -> Reference:
        """Run the source on inputs from ``.npy`` files."""
        return self._run_source("reference", inputs, Reference)

    def make_probes(self, judged: ReferenceOutputs, folder: Path) -> ProbeSet | None:
        """Return rows made from the source; None where there are none.

        Args:
            judged: Outputs of the source for the judged data.
            folder: Folder for temporary files.
        """
        info, samples = self.request.info, self.request.data.inputs
        probes = self._run_source("probes", self.request.inputs.judged, Probes)
        if not probes.rows:
            return None

        def run_source(inputs: dict[str, np.ndarray]) -> Reference:
            return self.compute_reference(save_arrays(inputs, Path(mkdtemp(dir=folder)) / "moved"))

        reference = ReferenceOutputs(probes.reference, info)
        return ProbeSet(probes.inputs, reference, judged, samples, self.request.compared, run_source)

    def _run_source(self, method: str, inputs: dict[str, Path], returns: type[T]) -> T:
        try:
            return self.converting.call(method, inputs, returns=returns, timeout_s=_PROOF_TIMEOUT_S)
        except TargetError as error:  # for existing files, which run in an engine
            file, specs = self.request.file, self.request.info.signature.inputs
            may_lack_batch = file.framework == "onnx" and not file.sizes and any(len(spec.shape) < 3 for spec in specs)
            raise UnsupportedModelError(
                f"{file.path.name} does not run: {error.message}",
                fix=error.fix or (_NO_BATCH if may_lack_batch else ""),
            ) from error
        except WorkerCrash as error:
            raise crash_error(self.request.file, "run", error) from error

    def make_size_proofs(self, folder: Path) -> list[SizeProof]:
        """Return the proofs at other sizes than the judged data's; none without free sizes."""
        request = self.request

        def run_source(inputs: dict[str, np.ndarray]) -> Reference:
            return self.compute_reference(save_arrays(inputs, Path(mkdtemp(dir=folder)) / "sized"))

        return make_size_proofs(request.data.inputs, request.info, request.file.sizes, run_source)

    def golden(self, artifacts: list[Artifact], judged: ReferenceOutputs, folder: Path) -> GoldenInputs:
        """Return the golden inputs, with the source's outputs for them."""
        request = self.request
        sizes = sizes_of(request.data.inputs, request.info.signature, "the judged data")
        inputs = {name: golden_rows(array) for name, array in request.data.inputs.items()}
        outputs = {name: golden_rows(array) for name, array in judged.outputs.items()}
        rows = {}
        if request.reference is None and not request.info.stateful:  # else nobody knows the outputs for other inputs
            rows = spanning_rows(request.data.inputs, artifacts, request.calibration, request.info)
        if not rows:
            return GoldenInputs(inputs, outputs, sizes)
        reference = self.compute_reference(save_arrays(rows, folder / "spanning")).outputs
        sound = finite_samples(reference.values())
        return GoldenInputs(
            {name: np.concatenate([inputs[name], array[sound]]) for name, array in rows.items()},
            {name: np.concatenate([outputs[name], array[sound]]) for name, array in reference.items()},
            sizes,
        )

    def check_batches(self, references: ReferenceSet) -> None:
        """Refuse a source whose answer for a sample depends on the others of its batch.

        Its artifacts run other batches than the reference, and other programs again others.
        """
        inputs, request = self.request.inputs, self.request

        def run_batches(batches: list[list[int]]) -> list[dict[str, np.ndarray]]:
            return self.converting.call(
                "run_batches",
                inputs.batches,
                batches,
                returns=list[dict[str, np.ndarray]],
                timeout_s=_PROOF_TIMEOUT_S,
            )

        try:
            dependence = batch_dependence(inputs.batch_probes, run_batches, references.judged.outputs)
        except TargetError as error:
            raise UnsupportedModelError(f"{request.file.path.name} does not run: {error.message}") from error
        except WorkerCrash as error:
            raise crash_error(request.file, "run", error) from error
        if depends(dependence, inputs.batch_probes.independent_db, references.noise):
            raise UnsupportedModelError(
                f"The answer of {request.file.path.name} for a sample depends on the others of its batch: "
                f"{dependence}.",
                fix="give the model an axis of its own for the batch: where the first axis is time, make it the "
                "second, [batch, time, features]; replace statistics of a batch by constants from training.",
            )

    def convert(self, recipe: Recipe) -> Artifact | Refusal:
        """Convert the source by a recipe, without proof."""
        info = self.request.info
        # Existing files are packaged unchanged; only float32 ones can be quantized, in their own format.
        quantizes = info.framework not in FILES or info.architecture == f"{recipe.format}-fp32"
        if recipe.needs_calibration and quantizes and not self.request.inputs.calibration:
            if self.request.calibration:
                return Refusal(
                    recipe.id,
                    "All calibration samples contain missing values.",
                    "provide about 100 samples without missing values.",
                )
            return Refusal(
                recipe.id,
                "The recipe needs calibration samples.",
                "pass calibration=x; on the command line, --calibration.",
            )
        try:
            calibration = self.request.inputs.calibration
            artifact = self.converting.call(
                "convert", recipe.id, calibration, returns=Artifact, timeout_s=_CONVERSION_TIMEOUT_S
            )
            return self._with_source_metadata(artifact)
        except MissingDependencyError as error:
            if self.request.named:
                raise
            return Refusal(recipe.id, error.message, index_command(error.extra))  # the package is read elsewhere
        except UnsupportedModelError as error:
            return Refusal(recipe.id, error.message, error.fix)
        except ResourceError:  # says nothing about the recipe
            raise
        except EdgemlError as error:
            return _failure(recipe.id, error)

    def _with_source_metadata(self, artifact: Artifact) -> Artifact:
        """Copy meanings and dtypes of outputs, missing-value support and texts from the source.

        Converters do not know the task, and return integers where the source casts them to floats.

        Integer inputs cannot represent missing values.
        """
        results = {spec.name: spec for spec in self.request.info.signature.outputs}
        outputs = tuple(
            _with_meaning(spec, results[spec.source_name]) if spec.source_name in results else spec
            for spec in artifact.signature.outputs
        )
        sources = {spec.name: spec for spec in self.request.info.signature.inputs}
        inputs = tuple(
            msgspec.structs.replace(
                spec,
                missing_values=sources[spec.name].missing_values
                if spec.dtype in {"float32", "float64", "string"}
                else False,
                texts=sources[spec.name].texts,
                literal_texts=sources[spec.name].literal_texts,
            )
            if spec.name in sources
            else spec
            for spec in artifact.signature.inputs
        )
        return msgspec.structs.replace(artifact, signature=Signature(inputs, outputs))

    def prove(self, proving: Worker, artifact: Artifact) -> ProofRun | Refusal:
        """Run an artifact in the proving process."""
        if has_unsupported_missing_values(self.request.data.inputs, artifact.signature):
            return Refusal(
                artifact.recipe,
                f"The artifact does not support missing values, which the {self.request.data.origin} data contain.",
                "fill missing values before the package, or use onnx-fp32.",
            )
        try:
            self._check_bytes(artifact)
            run = proving.call("run", artifact, returns=ProofRun, timeout_s=_PROOF_TIMEOUT_S)
            self._check_signature(artifact)
        except MissingDependencyError as error:
            if self.request.named:
                raise
            return Refusal(
                artifact.recipe,
                f"The artifact cannot be proven without its engine. {error.message}",
                index_command(error.extra),  # the package is read elsewhere
            )
        except ResourceError:
            raise
        except EdgemlError as error:
            return _failure(artifact.recipe, error, artifact.needs.operators)
        return run

    def _check_bytes(self, artifact: Artifact) -> None:
        """Check an artifact's bytes as a reader of the package will."""
        format_, trust = find_recipe(artifact.recipe).format, self.request.trust
        try:
            check_artifact(artifact.data, format_, artifact.signature, name="The artifact", trust_source=trust)
        except InputError as error:
            raise ConversionError(error.message) from error

    def _check_signature(self, artifact: Artifact) -> None:
        def describe(specs: Any) -> list[Any]:
            return [(spec.name, spec.shape[1:], spec.meaning) for spec in specs if spec.meaning not in DECIDED]

        expected, actual = self.request.info.signature, artifact.signature.visible
        same_inputs = describe(expected.inputs) == describe(actual.inputs)
        if not same_inputs or describe(expected.outputs) != describe(actual.whole_outputs):
            raise ConversionError(
                f"The artifact's tensors differ from the source's: expected {expected}, got {actual}."
            )
        dtypes = {spec.name: source_dtype(spec) for spec in actual.whole_outputs}
        for spec in expected.outputs:
            if dtypes[spec.name] != source_dtype(spec):
                raise ConversionError(
                    f"The artifact returns '{spec.name}' as {dtypes[spec.name]}, expected {source_dtype(spec)}."
                )


def _with_meaning(spec: TensorSpec, source: TensorSpec) -> TensorSpec:
    """Return the spec of an artifact's output with the meaning and the dtype of the source's."""
    spec = msgspec.structs.replace(spec, meaning=source.meaning)
    is_cast = holds_integers(spec) and source_dtype(spec) != source_dtype(source)
    return msgspec.structs.replace(spec, source_dtype=source.dtype) if is_cast else spec


def _failure(recipe: str, error: EdgemlError, operators: tuple[str, ...] = ()) -> Refusal:
    """Return the refusal of a recipe that a tool or an engine failed on.

    Args:
        recipe: Id of the recipe.
        error: The failure.
        operators: Operators of the artifact that the engine ran.
    """
    reason, fix = error.message, error.fix
    loops = [name for name in operators if name in _LOOPS]
    if isinstance(error, IsolationError) and loops:
        reason += f" The likely cause is its {' and '.join(loops)}, in which recurrent layers run."
    if isinstance(error, WorkerCrash) and not fix:
        fix = "build another recipe, or this one with another batch; or replace the layer that the log ends at."
    return Refusal(recipe, reason, fix, failed=True, log=error.log)
