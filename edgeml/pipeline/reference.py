"""What the source itself answers to the data that artifacts are judged on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeml.core.artifact import Artifact
from edgeml.core.errors import UnsupportedModelError
from edgeml.core.records.evidence import Fidelity
from edgeml.core.source import Reference, SourceInfo
from edgeml.pipeline.assessment import compared_sources
from edgeml.pipeline.evaluation_data import Judged, save_arrays
from edgeml.pipeline.missing_values import gap_rows

__all__ = ["Answers", "SourceAnswers", "ask_source"]


@dataclass(frozen=True, slots=True)
class Answers:
    """The source's answers to the same inputs, as artifacts of one kind take them.

    Attributes:
        reference: To the inputs.
        gaps: To the samples that lack values; None where the source needs all.
        narrowing: How near the answers in float32 are to those to the float64 that was given, or to the source's own
            where it computes in something else; None where these are the same, or float32 is not what is taken.
    """

    reference: Reference
    gaps: Reference | None
    narrowing: Fidelity | None = None


@dataclass(frozen=True, slots=True)
class SourceAnswers:
    """The answers by what an artifact takes.

    Attributes:
        plain: To the inputs in the source's own dtypes.
        single: To the same in float32, for artifacts that take no more where the source takes float64.
        gap_files: ``.npy`` files of the samples that lack values, by input name.
    """

    plain: Answers
    single: Answers
    gap_files: dict[str, Path]

    def of(self, artifact: Artifact) -> Answers:
        """Those that an artifact is compared with."""
        wide = any(spec.dtype == "float64" for spec in artifact.signature.inputs)
        return self.plain if wide else self.single


def ask_source(
    ask: Callable[[dict[str, Path]], Reference],
    info: SourceInfo,
    judged: Judged,
    given: Reference | None,
    inputs: dict[str, Path],
    folder: Path,
) -> SourceAnswers:
    """Asks the source for its own answers.

    Args:
        ask: Asks it, for the inputs in ``.npy`` files.
        info: Its description.
        judged: The data.
        given: What the caller gave for its answers, or None.
        inputs: ``.npy`` files of the data.
        folder: For more of them.

    Raises:
        UnsupportedModelError: It gives NaN or infinity.
    """
    lacking = gap_rows(judged.inputs, info.signature)
    gap_files = save_arrays(lacking, folder / "gaps") if lacking else {}
    plain = Answers(given or ask(inputs), ask(gap_files) if lacking else None)
    _check(plain.reference, judged)
    more = Reference(plain.reference.own) if plain.reference.own is not None else None
    if judged.wide is not None:
        more = ask(save_arrays(judged.wide, folder / "wide"))
    if more is not None:
        plain = Answers(plain.reference, plain.gaps, compared_sources(info, more, plain.reference))
    if all(array.dtype != np.float64 for array in judged.inputs.values()):
        return SourceAnswers(plain, plain, gap_files)
    reference = ask(save_arrays(_in_float32(judged.inputs), folder / "single"))
    _check(reference, judged)
    gaps = ask(save_arrays(_in_float32(lacking), folder / "single gaps")) if lacking else None
    single = Answers(reference, gaps, compared_sources(info, plain.reference, reference))
    return SourceAnswers(plain, single, gap_files)


def _check(reference: Reference, judged: Judged) -> None:
    for name, values in reference.outputs.items():
        if not np.isfinite(values).all():
            raise UnsupportedModelError(
                f"The source itself gives NaN or infinity in '{name}' on the {judged.origin} data.",
                fix="mend the model, or the data.",
            )


def _in_float32(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    with np.errstate(over="ignore"):
        return {
            name: array.astype(np.float32) if array.dtype == np.float64 else array for name, array in arrays.items()
        }
