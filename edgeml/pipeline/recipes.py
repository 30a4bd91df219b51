"""From a recipe to a proven artifact or a refusal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
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
from edgeml.pipeline.assessment import gaps_hold, judge_run
from edgeml.pipeline.children.prove import ProofSettings
from edgeml.pipeline.evaluation_data import save_arrays
from edgeml.pipeline.missing_values import complete_rows, lacks_gaps, lacks_values
from edgeml.pipeline.outcome import Made, Proven, Run
from edgeml.pipeline.reference import Answers, ask_source
from edgeml.pipeline.request import Plan
from edgeml.pipeline.source_model import killed

__all__ = ["make"]

_CONVERSION_TIMEOUT_S = 3600.0
_PROOF_TIMEOUT_S = 3600.0
_OWN_REFERENCE = (
    "the reference is the given file itself: how near it is to the model that it was made from is not known"
)


def make(plan: Plan, converting: Worker, tell: Callable[[str], None]) -> Made:
    """Makes, proves and judges every recipe.

    Args:
        plan: What is to be built.
        converting: Holds the source: an `edgeml.pipeline.children.convert.Conversion`.
        tell: Called before each step with its name.

    Raises:
        UnsupportedModelError: The source itself cannot answer.
        MissingDependencyError: A recipe that was named needs an extra.
    """
    inputs = save_arrays(plan.judged.inputs, plan.folder / "judged")
    whole = complete_rows(plan.calibration) if plan.calibration else {}
    calibration = save_arrays(whole, plan.folder / "calibration") if any(map(len, whole.values())) else {}
    making = _Making(plan, converting, calibration)
    tell("asking the source for its own answers")
    answers = ask_source(making.ask, plan.info, plan.judged, plan.reference, inputs, plan.folder)
    proven: list[Proven] = []
    refusals: list[Refusal] = []
    settings = ProofSettings(inputs, plan.measure, answers.gap_files)
    with Worker("edgeml.pipeline.children.prove:Proof", settings, plan.folder) as proving:
        for recipe in plan.recipes:
            tell(f"converting {recipe.id}")
            made = making.convert(recipe)
            tell(f"proving {recipe.id}")
            run = making.prove(proving, made) if isinstance(made, Artifact) else made
            if isinstance(made, Artifact) and isinstance(run, Run):
                proven.append(making.judge(recipe, answers.of(made), made, run))
            elif isinstance(run, Refusal):
                refusals.append(run)
    return Made(tuple(proven), tuple(refusals), answers.plain.reference)


@dataclass(frozen=True, slots=True)
class _Making:
    plan: Plan
    converting: Worker
    calibration: dict[str, Path]

    def ask(self, inputs: dict[str, Path]) -> Reference:
        """The source's own answers to the inputs in ``.npy`` files."""
        try:
            return self.converting.call("reference", inputs, returns=Reference, timeout_s=_PROOF_TIMEOUT_S)
        except TargetError as error:  # of an existing file, whose engine is its framework
            raise UnsupportedModelError(f"{self.plan.file.path.name} does not run: {error.message}") from error
        except WorkerCrash as error:
            raise killed(self.plan.file, "run", error) from error

    def convert(self, recipe: Recipe) -> Artifact | Refusal:
        """Makes an artifact, not proven yet."""
        info = self.plan.info
        # An existing file is packaged as it is; all that is quantized further is ONNX in float32.
        quantizes = info.framework not in FILES or (info.architecture == "onnx-fp32" and recipe.format == "onnx")
        if recipe.needs_calibration and quantizes and not self.calibration:
            if self.plan.calibration:
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
            return self._meant(
                self.converting.call(
                    "convert", recipe.id, self.calibration, returns=Artifact, timeout_s=_CONVERSION_TIMEOUT_S
                )
            )
        except MissingDependencyError as error:
            if self.plan.named:
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
        meanings = {spec.name: spec.meaning for spec in self.plan.info.signature.outputs}
        outputs = tuple(
            msgspec.structs.replace(spec, meaning=meanings.get(spec.name, spec.meaning))
            for spec in artifact.signature.outputs
        )
        sources = {spec.name: spec for spec in self.plan.info.signature.inputs}
        inputs = tuple(
            msgspec.structs.replace(
                spec,
                gaps=sources[spec.name].gaps if spec.dtype in {"float32", "float64", "string"} else False,
                texts=sources[spec.name].texts,
            )
            if spec.name in sources
            else spec
            for spec in artifact.signature.inputs
        )
        return msgspec.structs.replace(artifact, signature=Signature(inputs, outputs))

    def judge(self, recipe: Recipe, answers: Answers, artifact: Artifact, run: Run) -> Proven:
        """Compares what it gave with the source's answers."""
        proven = judge_run(
            self.plan.info,
            recipe,
            self.plan.goal,
            self.plan.judged,
            answers.reference,
            artifact,
            run,
            answers.narrowing,
        )
        proven = self._gaps_judged(recipe, proven, answers.gaps)
        if self.plan.info.framework not in FILES or self.plan.reference is not None:
            return proven
        verdict = msgspec.structs.replace(proven.verdict, remarks=(*proven.verdict.remarks, _OWN_REFERENCE))
        return replace(proven, verdict=verdict)

    def _gaps_judged(self, recipe: Recipe, item: Proven, reference: Reference | None) -> Proven:
        """The same where gaps are answered as the source does; else without them, or rejected for them."""
        artifact = item.artifact
        if reference is None or not any(spec.gaps for spec in artifact.signature.inputs):
            return item
        if gaps_hold(self.plan.info, recipe, self.plan.goal, reference, artifact, item.run):
            return item
        told = "samples that lack a value get other answers than the source's"
        if lacks_values(self.plan.judged.inputs):
            reasons = (*item.verdict.reasons, told)
            return replace(item, verdict=msgspec.structs.replace(item.verdict, status="rejected", reasons=reasons))
        inputs = tuple(msgspec.structs.replace(spec, gaps=False) for spec in artifact.signature.inputs)
        signature = msgspec.structs.replace(artifact.signature, inputs=inputs)
        remarks = (*item.verdict.remarks, f"{told}, and are refused")
        return replace(
            item,
            artifact=msgspec.structs.replace(artifact, signature=signature),
            verdict=msgspec.structs.replace(item.verdict, remarks=remarks),
        )

    def prove(self, proving: Worker, artifact: Artifact) -> Run | Refusal:
        """Runs an artifact in another child."""
        if lacks_gaps(self.plan.judged.inputs, artifact.signature):
            return Refusal(
                artifact.recipe,
                f"It takes no missing values, and the {self.plan.judged.origin} data hold some.",
                "fill them before the package, or use onnx-fp32.",
            )
        try:
            run = proving.call("run", artifact, returns=Run, timeout_s=_PROOF_TIMEOUT_S)
            self._check_signature(artifact)
        except MissingDependencyError as error:
            if self.plan.named:
                raise
            return Refusal(artifact.recipe, f"Without its engine it cannot be proven. {error.message}", error.fix)
        except EdgemlError as error:
            return Refusal(artifact.recipe, error.message, error.fix, failed=True, log=error.log)
        return run

    def _check_signature(self, artifact: Artifact) -> None:
        def essence(specs: Any) -> list[Any]:
            return [(spec.name, spec.shape[1:], spec.meaning) for spec in specs if spec.meaning not in DECIDED]

        wanted, found = self.plan.info.signature, artifact.signature
        if essence(wanted.inputs) != essence(found.inputs) or essence(wanted.outputs) != essence(found.outputs):
            raise ConversionError(f"The artifact's tensors are not the source's: {found}.")
