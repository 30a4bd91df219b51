"""From a recipe to a proven artifact or a refusal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from edgeml.core.artifact import Artifact, Refusal
from edgeml.core.decisions import DECIDED
from edgeml.core.errors import ConversionError, EdgemlError, MissingDependencyError, TargetError, UnsupportedModelError
from edgeml.core.recipe import Recipe
from edgeml.core.source import FILES, Reference
from edgeml.core.system.worker import Worker, WorkerCrash
from edgeml.core.tensors import Signature
from edgeml.pipeline.assessment import Assessor
from edgeml.pipeline.children.prove import ProofSettings
from edgeml.pipeline.missing_values import lacks_gaps
from edgeml.pipeline.outcome import Made, Proven, Run
from edgeml.pipeline.reference import ask_source
from edgeml.pipeline.request import Request
from edgeml.pipeline.source_model import killed

__all__ = ["make"]

_CONVERSION_TIMEOUT_S = 3600.0
_PROOF_TIMEOUT_S = 3600.0


def make(request: Request, converting: Worker, folder: Path, tell: Callable[[str], None]) -> Made:
    """Make, prove and judge every recipe.

    Args:
        request: What is to be built.
        converting: The child that holds the source: an `edgeml.pipeline.children.convert.Conversion`.
        folder: For temporary files.
        tell: Called before each step with its name.

    Raises:
        UnsupportedModelError: The source itself cannot answer.
        MissingDependencyError: A recipe that was named needs an extra.
    """
    maker = _Maker(request, converting)
    tell("asking the source for its own answers")
    inputs, info, given = request.inputs, request.info, request.reference
    answers = ask_source(maker.ask, inputs, info, given=given, origin=request.data.origin)
    assessor = Assessor(info, request.goal, request.data, vouched=given is not None)
    proven: list[Proven] = []
    refusals: list[Refusal] = []
    settings = ProofSettings(inputs.judged, request.measure, inputs.gaps or {})
    with Worker("edgeml.pipeline.children.prove:Proof", settings, folder) as proving:
        for recipe in request.recipes:
            tell(f"converting {recipe.id}")
            artifact = maker.convert(recipe)
            tell(f"proving {recipe.id}")
            run = maker.prove(proving, artifact) if isinstance(artifact, Artifact) else artifact
            if isinstance(artifact, Artifact) and isinstance(run, Run):
                proven.append(assessor.assess(recipe, answers.of(artifact), artifact, run))
            elif isinstance(run, Refusal):
                refusals.append(run)
    return Made(tuple(proven), tuple(refusals), answers.plain.reference.given)


@dataclass(frozen=True, slots=True)
class _Maker:
    request: Request
    converting: Worker

    def ask(self, inputs: dict[str, Path]) -> Reference:
        """The source's own answers to the inputs in ``.npy`` files."""
        try:
            return self.converting.call("reference", inputs, returns=Reference, timeout_s=_PROOF_TIMEOUT_S)
        except TargetError as error:  # of an existing file, whose engine is its framework
            raise UnsupportedModelError(f"{self.request.file.path.name} does not run: {error.message}") from error
        except WorkerCrash as error:
            raise killed(self.request.file, "run", error) from error

    def convert(self, recipe: Recipe) -> Artifact | Refusal:
        """Makes an artifact, not proven yet."""
        info = self.request.info
        # An existing file is packaged as it is; all that is quantized further is ONNX in float32.
        quantizes = info.framework not in FILES or (info.architecture == "onnx-fp32" and recipe.format == "onnx")
        if recipe.needs_calibration and quantizes and not self.request.inputs.calibration:
            if self.request.calibration:
                return Refusal(
                    recipe.id,
                    "Each calibration sample lacks a value.",
                    "give samples that lack none, some 100 of them.",
                )
            return Refusal(
                recipe.id,
                "It needs calibration samples, and none were given.",
                "give calibration=x; on the command line --calibration.",
            )
        try:
            calibration = self.request.inputs.calibration
            artifact = self.converting.call(
                "convert", recipe.id, calibration, returns=Artifact, timeout_s=_CONVERSION_TIMEOUT_S
            )
            return self._meant(artifact)
        except MissingDependencyError as error:
            if self.request.named:
                raise
            return Refusal(recipe.id, error.message, error.fix)
        except UnsupportedModelError as error:
            return Refusal(recipe.id, error.message, error.fix)
        except EdgemlError as error:
            return Refusal(recipe.id, error.message, error.fix, failed=True, log=error.log)

    def _meant(self, artifact: Artifact) -> Artifact:
        """The artifact with its outputs' meanings as the settled task has them: the converter knows the model alone.

        What an input may lack it has from the source; integers cannot tell that anything is missing.
        """
        meanings = {spec.name: spec.meaning for spec in self.request.info.signature.outputs}
        outputs = tuple(
            msgspec.structs.replace(spec, meaning=meanings.get(spec.name, spec.meaning))
            for spec in artifact.signature.outputs
        )
        sources = {spec.name: spec for spec in self.request.info.signature.inputs}
        inputs = tuple(
            msgspec.structs.replace(
                spec,
                gaps=sources[spec.name].gaps if spec.dtype in {"float32", "float64", "string"} else False,
                texts=sources[spec.name].texts,
                literal_texts=sources[spec.name].literal_texts,
            )
            if spec.name in sources
            else spec
            for spec in artifact.signature.inputs
        )
        return msgspec.structs.replace(artifact, signature=Signature(inputs, outputs))

    def prove(self, proving: Worker, artifact: Artifact) -> Run | Refusal:
        """Runs an artifact in another child."""
        if lacks_gaps(self.request.data.inputs, artifact.signature):
            return Refusal(
                artifact.recipe,
                f"It takes no missing values, and the {self.request.data.origin} data hold some.",
                "fill them before the package, or use onnx-fp32.",
            )
        try:
            run = proving.call("run", artifact, returns=Run, timeout_s=_PROOF_TIMEOUT_S)
            self._check_signature(artifact)
        except MissingDependencyError as error:
            if self.request.named:
                raise
            return Refusal(artifact.recipe, f"Without its engine it cannot be proven. {error.message}", error.fix)
        except EdgemlError as error:
            return Refusal(artifact.recipe, error.message, error.fix, failed=True, log=error.log)
        return run

    def _check_signature(self, artifact: Artifact) -> None:
        def essence(specs: Any) -> list[Any]:
            return [(spec.name, spec.shape[1:], spec.meaning) for spec in specs if spec.meaning not in DECIDED]

        wanted, found = self.request.info.signature, artifact.signature
        if essence(wanted.inputs) != essence(found.inputs) or essence(wanted.outputs) != essence(found.outputs):
            raise ConversionError(f"The artifact's tensors are not the source's: {found}.")
