"""Reference outputs: the source's outputs for the data that artifacts are judged on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from edgeml.core.artifact import Artifact
from edgeml.core.decisions import Decision, positions
from edgeml.core.errors import UnsupportedModelError
from edgeml.core.records.evidence import Fidelity
from edgeml.core.source import Reference, SourceInfo
from edgeml.core.tensors import TensorSpec
from edgeml.evaluation import fidelity_of, ties
from edgeml.pipeline.saved_inputs import SavedInputs

__all__ = ["Labels", "ReferenceOutputs", "ReferenceSet", "References", "compute_references"]


@dataclass(frozen=True, slots=True)
class Labels:
    """Labels of the same samples by the source and an artifact, arrays ``[samples, ...]``.

    Attributes:
        decision: Decision of the source.
        source: Positions of the source's labels.
        artifact: Positions of the artifact's labels; -1 for an unknown label.
        tied: Mask of the labels whose scores in the source are tied.
    """

    decision: Decision
    source: np.ndarray
    artifact: np.ndarray
    tied: np.ndarray

    @property
    def compared(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The three arrays, in the form that `fidelity_of` accepts."""
        return self.source, self.artifact, self.tied


@dataclass(frozen=True)
class ReferenceOutputs:
    """The source's outputs for some samples.

    Attributes:
        reference: Outputs and labels, as returned by the source.
        info: Description of the source.
    """

    reference: Reference
    info: SourceInfo

    @property
    def outputs(self) -> dict[str, np.ndarray]:
        """Arrays ``[samples, ...]`` by output name."""
        return self.reference.outputs

    @cached_property
    def label_positions(self) -> dict[str, np.ndarray]:
        """Positions of the source's labels ``[samples, ...]`` by output that decides; empty without such."""
        if self.reference.labels is not None:
            return dict.fromkeys(self._decisions, self.reference.labels)
        return self._positions(self.outputs, self.info.signature.outputs)

    @cached_property
    def tied(self) -> dict[str, np.ndarray]:
        """Masks of the labels whose scores in the source are tied ``[samples, ...]`` by output that decides."""
        return {name: ties(self.reference, decision, name) for name, decision in self._decisions.items()}

    @property
    def _decisions(self) -> dict[str, Decision]:
        return {name: head.decision for name, head in self.info.tasks.items() if head.decision is not None}

    def _positions(self, outputs: Mapping[str, np.ndarray], specs: tuple[TensorSpec, ...]) -> dict[str, np.ndarray]:
        """Return the positions of labels by output; an artifact of one output may have another for its labels."""
        if not self.info.heads:
            return {name: positions(outputs, specs, decision) for name, decision in self._decisions.items()}
        by_name = {spec.name: spec for spec in specs}
        return {name: positions(outputs, (by_name[name],), decision) for name, decision in self._decisions.items()}

    def compare_labels(self, outputs: Mapping[str, np.ndarray], specs: tuple[TensorSpec, ...]) -> dict[str, Labels]:
        """Return the labels of the source and of an artifact's outputs, by output that decides.

        Args:
            outputs: Outputs of the artifact, by name.
            specs: Specs of the artifact's outputs.
        """
        artifact = self._positions(outputs, specs)
        return {
            name: Labels(decision, self.label_positions[name], artifact[name], self.tied[name])
            for name, decision in self._decisions.items()
        }

    def fidelity_to(self, other: ReferenceOutputs) -> Fidelity:
        """Compare other outputs of the source, for the same samples in another precision, with these."""
        labels = {
            name: (own, other.label_positions[name], self.tied[name]) for name, own in self.label_positions.items()
        }
        return fidelity_of(self.outputs, other.outputs, labels=labels)


@dataclass(frozen=True, slots=True)
class ReferenceSet:
    """The source's outputs for the inputs in one precision.

    Attributes:
        judged: Outputs for the judged data.
        missing_values: Outputs for the samples with missing values; None if the source does not support them.
        float32_fidelity: Fidelity of the outputs for float32 inputs to those for the original float64 inputs, or to
            those in the source's own precision; None if there is no difference, or if inputs stay in float64.
        noise: Fidelity of the source's outputs for inputs moved by their last bits to its outputs; None where the
            inputs are not floats, or the outputs are the caller's.
    """

    judged: ReferenceOutputs
    missing_values: ReferenceOutputs | None
    float32_fidelity: Fidelity | None = None
    noise: Fidelity | None = None


@dataclass(frozen=True, slots=True)
class References:
    """The source's outputs, by the precision of an artifact's inputs.

    Attributes:
        native: Outputs for the inputs in the source's own dtypes.
        float32: Outputs for the inputs in float32, for artifacts with float32 inputs of a source with float64 inputs.
    """

    native: ReferenceSet
    float32: ReferenceSet

    def for_artifact(self, artifact: Artifact) -> ReferenceSet:
        """Return the outputs that an artifact is compared with."""
        has_float64 = any(spec.dtype == "float64" for spec in artifact.signature.inputs)
        return self.native if has_float64 else self.float32


def compute_references(
    run_source: Callable[[dict[str, Path]], Reference],
    inputs: SavedInputs,
    info: SourceInfo,
    *,
    reference: Reference | None,
    origin: str,
) -> References:
    """Compute the source's outputs for all inputs of a build.

    Args:
        run_source: A function from ``.npy`` files by input name to the source's outputs.
        inputs: The saved inputs.
        info: Description of the source.
        reference: Outputs that the caller provided instead of the source's, or None.
        origin: Origin of the judged data, for messages.

    Raises:
        UnsupportedModelError: The source returns NaN or infinity.
    """

    def compute(files: dict[str, Path]) -> ReferenceOutputs:
        return ReferenceOutputs(run_source(files), info)

    outputs = compute(inputs.judged) if reference is None else ReferenceOutputs(reference, info)
    missing_values = compute(inputs.missing_values) if inputs.missing_values else None
    _check(outputs, origin)
    precise = None
    if inputs.float64 is not None:
        precise = compute(inputs.float64)
    elif outputs.reference.own is not None:
        precise = ReferenceOutputs(Reference(outputs.reference.own), info)
    noise = None
    if inputs.moved is not None and reference is None:
        noise = compute(inputs.some).fidelity_to(compute(inputs.moved))
    native = ReferenceSet(outputs, missing_values, precise.fidelity_to(outputs) if precise is not None else None, noise)
    if inputs.float32 is None:
        return References(native, native)
    float32 = compute(inputs.float32)
    _check(float32, origin)
    float32_missing = compute(inputs.float32_missing_values) if inputs.float32_missing_values else None
    return References(native, ReferenceSet(float32, float32_missing, outputs.fidelity_to(float32), noise))


def _check(reference: ReferenceOutputs, origin: str) -> None:
    for name, values in reference.outputs.items():
        if not np.isfinite(values).all():
            raise UnsupportedModelError(
                f"The source itself returns NaN or infinity in '{name}' on the {origin} data.",
                fix="correct the model or the data.",
            )
