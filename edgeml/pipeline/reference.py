"""What the source itself answers to the data that artifacts are judged on."""

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

__all__ = ["Answers", "Labels", "ReferenceOutputs", "SourceAnswers", "ask_source"]


@dataclass(frozen=True, slots=True)
class Labels:
    """A classifier's labels of the same samples, ``[samples]`` each.

    Attributes:
        decision: The source's decision.
        source: Positions of the source's labels.
        artifact: Positions of the artifact's labels; -1 for one that is not among them.
        tied: Where the source's scores leave its label open.
    """

    decision: Decision
    source: np.ndarray
    artifact: np.ndarray
    tied: np.ndarray

    @property
    def compared(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The three arrays, as `fidelity_of` takes them."""
        return self.source, self.artifact, self.tied


@dataclass(frozen=True)
class ReferenceOutputs:
    """The source's own answers to some samples.

    Attributes:
        given: The answers, as the source gave them.
        info: The source's description.
    """

    given: Reference
    info: SourceInfo

    @property
    def outputs(self) -> dict[str, np.ndarray]:
        """Arrays ``[samples, ...]`` by output name."""
        return self.given.outputs

    @cached_property
    def label_positions(self) -> np.ndarray:
        """Positions of the source's labels, ``[samples]``, of a source that classifies."""
        assert self.info.decision is not None
        if self.given.labels is not None:
            return self.given.labels
        return positions(self.outputs, self.info.signature.outputs, self.info.decision)

    @cached_property
    def tied(self) -> np.ndarray:
        """Where the source's scores leave its label open, ``[samples]``, of a source that classifies."""
        assert self.info.decision is not None
        (output,) = self.info.signature.outputs
        return ties(self.outputs[output.name], self.info.decision)

    def labels_beside(self, outputs: Mapping[str, np.ndarray], specs: tuple[TensorSpec, ...]) -> Labels | None:
        """The labels of the source and of an artifact's outputs; None where the source does not classify.

        Args:
            outputs: The artifact's, by name.
            specs: Their specs.
        """
        decision = self.info.decision
        if decision is None:
            return None
        return Labels(decision, self.label_positions, positions(outputs, specs, decision), self.tied)

    def fidelity_to(self, other: ReferenceOutputs) -> Fidelity:
        """How near the source's other answers, to the same samples given otherwise, are to these."""
        labels = None
        if self.info.decision is not None:
            labels = self.label_positions, other.label_positions, self.tied
        return fidelity_of(self.outputs, other.outputs, labels=labels)


@dataclass(frozen=True, slots=True)
class Answers:
    """The source's answers to the same inputs, as artifacts of one kind take them.

    Attributes:
        reference: The answers to the inputs.
        gaps: The answers to the samples that lack values; None where the source needs all.
        narrowing: How near the answers in float32 are to those to the float64 that was given, or to the source's own
            where it computes in something else; None where these are the same, or float32 is not what is taken.
    """

    reference: ReferenceOutputs
    gaps: ReferenceOutputs | None
    narrowing: Fidelity | None = None


@dataclass(frozen=True, slots=True)
class SourceAnswers:
    """The answers by what an artifact takes.

    Attributes:
        plain: The answers to the inputs in the source's own dtypes.
        single: The answers to the same in float32, for artifacts that take no more where the source takes float64.
    """

    plain: Answers
    single: Answers

    def of(self, artifact: Artifact) -> Answers:
        """The answers that an artifact is compared with."""
        wide = any(spec.dtype == "float64" for spec in artifact.signature.inputs)
        return self.plain if wide else self.single


def ask_source(
    ask: Callable[[dict[str, Path]], Reference],
    inputs: SavedInputs,
    info: SourceInfo,
    *,
    given: Reference | None,
    origin: str,
) -> SourceAnswers:
    """Ask the source for its own answers.

    Args:
        ask: A function from ``.npy`` files by input name to the source's answers.
        inputs: The files.
        info: The source's description.
        given: The answers that the caller gave in place of the source's, or None.
        origin: Where the judged data are from, for messages.

    Raises:
        UnsupportedModelError: The source gives NaN or infinity.
    """

    def answers(files: dict[str, Path]) -> ReferenceOutputs:
        return ReferenceOutputs(ask(files), info)

    reference = answers(inputs.judged) if given is None else ReferenceOutputs(given, info)
    gaps = answers(inputs.gaps) if inputs.gaps else None
    _check(reference, origin)
    more = None
    if inputs.wide is not None:
        more = answers(inputs.wide)
    elif reference.given.own is not None:
        more = ReferenceOutputs(Reference(reference.given.own), info)
    plain = Answers(reference, gaps, more.fidelity_to(reference) if more is not None else None)
    if inputs.single is None:
        return SourceAnswers(plain, plain)
    narrow = answers(inputs.single)
    _check(narrow, origin)
    narrow_gaps = answers(inputs.single_gaps) if inputs.single_gaps else None
    return SourceAnswers(plain, Answers(narrow, narrow_gaps, reference.fidelity_to(narrow)))


def _check(reference: ReferenceOutputs, origin: str) -> None:
    for name, values in reference.outputs.items():
        if not np.isfinite(values).all():
            raise UnsupportedModelError(
                f"The source itself gives NaN or infinity in '{name}' on the {origin} data.",
                fix="mend the model, or the data.",
            )
