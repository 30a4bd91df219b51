"""The proving child's side: loads and runs artifacts as a device would."""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np
from msgspec import Struct

from edgeml.core.artifact import Artifact
from edgeml.core.errors import ConversionError, EdgemlError
from edgeml.core.recipe import find_recipe
from edgeml.core.registry.engines import find_engine
from edgeml.core.session import Session
from edgeml.measurement import measure_latency
from edgeml.pipeline.children.convert import load_arrays
from edgeml.pipeline.outcome import GoldenAnswers, Run

__all__ = ["GOLDEN_SAMPLES", "Proof", "ProofSettings", "golden_rows"]

GOLDEN_SAMPLES = 16
_MOST_MICRO_BYTES = 2**22  # no microcontroller holds more, and the reference kernels would take minutes


class ProofSettings(Struct, frozen=True):
    """What is the same for all artifacts.

    Attributes:
        inputs: ``.npy`` file of float32 or text ``[samples, ...]`` by input name: the data to judge on.
        measure: Whether to measure latency.
        gaps: The same for samples that lack values; empty where the source needs all.
    """

    inputs: dict[str, Path]
    measure: bool
    gaps: dict[str, Path] = {}


def golden_rows(array: np.ndarray) -> np.ndarray:
    """The first 16 samples, beginning again where there are fewer."""
    return array[np.arange(GOLDEN_SAMPLES) % len(array)]


class Proof:
    """Lives in a `Worker`, or in a script that reproduces a failure."""

    def __init__(self, settings: ProofSettings) -> None:
        self._inputs = load_arrays(settings.inputs)
        self._gaps = load_arrays(settings.gaps)
        self._measure = settings.measure

    def run(self, artifact: Artifact) -> Run:
        """Loads the artifact and runs it on all samples.

        Raises:
            TargetError: The engine cannot load or run it.
            ConversionError: It gives NaN or infinity.
        """
        opener = find_engine(find_recipe(artifact.recipe).format)
        session = opener(artifact.data, artifact.signature, needs=artifact.needs)
        golden = {name: golden_rows(array) for name, array in self._inputs.items()}
        more, remarks = _elsewhere(artifact, golden)
        answers = (_answers(session, golden), *more)
        outputs = session.run(self._inputs)
        for name, values in outputs.items():
            if values.dtype.kind == "f" and not np.isfinite(values).all():
                rows = np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(axis=1))
                raise ConversionError(
                    f"The artifact gives NaN or infinity in '{name}' for {len(rows)} of {len(values)} "
                    f"samples, the first of them {rows[0]}."
                )
        one = {name: array[:1] for name, array in golden.items()}
        latency = measure_latency(lambda: session.run(one)) if self._measure else None
        gap_outputs = None
        if self._gaps and any(spec.gaps for spec in artifact.signature.inputs):
            with contextlib.suppress(EdgemlError):
                gap_outputs = session.run(self._gaps)
        return Run(outputs, answers, latency, gap_outputs, remarks)


def _answers(session: Session, golden: dict[str, np.ndarray]) -> GoldenAnswers:
    return GoldenAnswers(session.family, session.engine_version, session.run_raw(golden))


def _elsewhere(artifact: Artifact, golden: dict[str, np.ndarray]) -> tuple[tuple[GoldenAnswers, ...], tuple[str, ...]]:
    """Answers of TFLite Micro, where it is installed and takes the artifact: firmware proves itself by them.

    Returns:
        The answers, and the reason where it takes the artifact and does not run it. Whatever becomes of it, the
        artifact has but no golden vectors of its family.
    """
    recipe = find_recipe(artifact.recipe)
    if recipe.format != "tflite" or len(artifact.data) > _MOST_MICRO_BYTES:
        return (), ()
    try:
        opener = find_engine(recipe.format, "micro")
        session = opener(artifact.data, artifact.signature, needs=artifact.needs, target="micro")
    except EdgemlError:
        return (), ()
    with session:
        try:
            return (_answers(session, golden),), ()
        except EdgemlError as error:
            return (), (f"no golden vectors for firmware: {error.message.rstrip('.')}",)
