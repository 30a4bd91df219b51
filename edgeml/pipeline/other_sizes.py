"""Proof of artifacts with free sizes at other sizes than those of the judged data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from edgeml.core.errors import UnsupportedModelError
from edgeml.core.finite import finite_samples
from edgeml.core.free_sizes import SizeOption, combinations, resized, size_text, sizes_of
from edgeml.core.goal import Goal
from edgeml.core.recipe import Recipe
from edgeml.core.records.evidence import Fidelity, SizeFidelity
from edgeml.core.source import Reference, SourceInfo
from edgeml.evaluation import fidelity_of, missed_floors
from edgeml.pipeline.golden_inputs import golden_rows
from edgeml.pipeline.outcome import GoldenInputs, ProvenArtifact
from edgeml.pipeline.reference import ReferenceOutputs

__all__ = ["SizeProof", "inputs_at_sizes", "make_size_proofs"]

_SAMPLES = 256  # as many as random inputs, so that an agreement means something


@dataclass(frozen=True, slots=True)
class SizeProof:
    """Samples of other free sizes, and the source's outputs for them.

    Attributes:
        sizes: A number for each free size, by name.
        inputs: Arrays ``[samples, ...]`` by input name.
        reference: Outputs of the source.
    """

    sizes: dict[str, int]
    inputs: dict[str, np.ndarray]
    reference: ReferenceOutputs

    @property
    def golden(self) -> GoldenInputs:
        """The first of the samples."""
        inputs, outputs = (
            {name: golden_rows(array) for name, array in arrays.items()}
            for arrays in (self.inputs, self.reference.outputs)
        )
        return GoldenInputs(inputs, outputs, self.sizes)

    def hold(
        self,
        proven: ProvenArtifact,
        outputs: Mapping[str, np.ndarray],
        recipe: Recipe,
        goal: Goal,
        noise: Fidelity | None,
    ) -> ProvenArtifact:
        """Return an artifact with its fidelity at these sizes, and rejected if it misses a floor there.

        Args:
            proven: The artifact.
            outputs: Its outputs for the inputs.
            recipe: Its recipe.
            goal: The caller's goal.
            noise: Fidelity of the source to itself; see `judge`.
        """
        labels = self.reference.compare_labels(outputs, proven.artifact.signature.whole_outputs)
        compared = {name: each.compared for name, each in labels.items()}
        fidelity = fidelity_of(self.reference.outputs, dict(outputs), labels=compared)
        evaluation, verdict = proven.evaluation, proven.verdict
        evaluation = msgspec.structs.replace(
            evaluation, at_sizes=(*evaluation.at_sizes, SizeFidelity(self.sizes, fidelity))
        )
        missed = missed_floors(recipe, goal, fidelity, classifies=bool(labels), noise=noise)
        if missed:
            reasons = (*verdict.reasons, *(f"at {size_text(self.sizes)}: {reason}" for reason in missed))
            verdict = msgspec.structs.replace(verdict, status="rejected", reasons=reasons)
        return replace(proven, evaluation=evaluation, verdict=verdict)


def inputs_at_sizes(
    inputs: Mapping[str, np.ndarray], info: SourceInfo, sizes: SizeOption
) -> list[tuple[dict[str, int], dict[str, np.ndarray]]]:
    """Return samples for each combination of free sizes but the judged data's, from which they are cut or repeated.

    Args:
        inputs: The judged data, arrays ``[samples, ...]`` by input name.
        info: The source.
        sizes: The caller's option.
    """
    if not info.signature.free_sizes:
        return []
    own = sizes_of(inputs, info.signature, "the judged data")
    some = {name: array[:_SAMPLES] for name, array in inputs.items()}
    return [(numbers, resized(some, info.signature, numbers)) for numbers in combinations(sizes) if numbers != own]


def make_size_proofs(
    inputs: Mapping[str, np.ndarray],
    info: SourceInfo,
    sizes: SizeOption,
    run_source: Callable[[dict[str, np.ndarray]], Reference],
) -> list[SizeProof]:
    """Return the proofs at other sizes than the judged data's.

    Args:
        inputs: The judged data, arrays ``[samples, ...]`` by input name.
        info: The source.
        sizes: The caller's option.
        run_source: A function from inputs to the source's outputs.

    Raises:
        UnsupportedModelError: The source does not run at these sizes, or returns NaN or infinity.
    """
    proofs = []
    for numbers, arrays in inputs_at_sizes(inputs, info, sizes):
        reference = run_source(arrays)
        if not finite_samples(reference.outputs.values()).all():
            raise UnsupportedModelError(
                f"The source itself returns NaN or infinity at {size_text(numbers)}.",
                fix="give other sizes, for instance those of its documentation.",
            )
        proofs.append(SizeProof(numbers, arrays, ReferenceOutputs(reference, info)))
    return proofs
