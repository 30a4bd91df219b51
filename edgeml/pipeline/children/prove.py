"""The proving process: loads and runs artifacts like a device."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
from msgspec import Struct

from edgeml.core.artifact import Artifact
from edgeml.core.decisions import DECIDED
from edgeml.core.errors import ConversionError, EdgemlError
from edgeml.core.finite import finite_samples
from edgeml.core.isolation import Isolation
from edgeml.core.recipe import FLOATS, find_recipe
from edgeml.core.records.evidence import Fidelity
from edgeml.core.registry.engines import find_engine
from edgeml.core.session import Session
from edgeml.core.system.limits import Limits
from edgeml.measurement import measure_latency
from edgeml.pipeline.batch_dependence import INDEPENDENT_DB, BatchProbes, Outputs, batch_dependence, depends
from edgeml.pipeline.children.convert import load_arrays
from edgeml.pipeline.golden_inputs import golden_rows
from edgeml.pipeline.outcome import GoldenOutputs, ProofRun, SizedRun

__all__ = ["Proof", "ProofSettings"]

_ABOVE_FLOOR_DB = 10.0  # above the recipe's floor, so that the batch does not decide whether an artifact holds it
_MAX_MICRO_BYTES = 2**22  # more than any microcontroller has; the reference kernels would take minutes


class ProofSettings(Struct, frozen=True):
    """Settings of proofs that all artifacts share.

    Attributes:
        inputs: ``.npy`` files of the judged data, float32 or text ``[samples, ...]``, by input name.
        measure: Measure latency.
        missing_values: ``.npy`` files of samples with missing values, by input name; empty if the source does not
            support them.
        limits: Limits of the process that runs an artifact.
        batches: ``.npy`` files of samples that run alone and in several batches, by input name.
        batch_probes: Positions of these samples; None not to run them.
        noise: Fidelity of the source to itself on inputs moved by their last bits; None if unknown.
        probes: ``.npy`` files of rows made from the source, by input name; empty without.
        golden: ``.npy`` files of golden inputs, by input name; empty for the first of the judged data.
        at_sizes: ``.npy`` files of samples of other sizes, by input name, for artifacts with free sizes.
    """

    inputs: dict[str, Path]
    measure: bool
    missing_values: dict[str, Path] = {}
    limits: Limits = Limits()
    batches: dict[str, Path] = {}
    batch_probes: BatchProbes | None = None
    noise: Fidelity | None = None
    probes: dict[str, Path] = {}
    golden: dict[str, Path] = {}
    at_sizes: tuple[dict[str, Path], ...] = ()


class Proof:
    """Proofs of artifacts, running in a `Worker` or in a script that reproduces a failure."""

    def __init__(self, settings: ProofSettings) -> None:
        self._inputs = load_arrays(settings.inputs)
        self._missing_values = load_arrays(settings.missing_values)
        self._probes = load_arrays(settings.probes)
        self._golden = load_arrays(settings.golden)
        self._measure = settings.measure
        self._isolation = Isolation(settings.limits)
        self._settings, self._batches = settings, load_arrays(settings.batches)

    def run(self, artifact: Artifact) -> ProofRun:
        """Load an artifact and run it on all samples, in another process; latency is measured in this one.

        Raises:
            IsolationError: The artifact ends its engine, or exceeds a limit.
            TargetError: The engine cannot load or run the artifact.
            ConversionError: The artifact returns NaN or infinity, or its answer for a sample depends on the batch.
        """
        opener = find_engine(find_recipe(artifact.recipe).format)
        golden = self._golden or {name: golden_rows(array) for name, array in self._inputs.items()}
        missing_value_outputs = probe_outputs = None
        with opener(artifact.data, artifact.signature, needs=artifact.needs, isolation=self._isolation) as session:
            cpu_golden = _golden_outputs(session, golden)
            outputs = session.run(self._inputs)
            if self._missing_values and any(spec.missing_values for spec in artifact.signature.inputs):
                with contextlib.suppress(EdgemlError):
                    missing_value_outputs = session.run(self._missing_values)
            dependences = self._check_batches(session, artifact, outputs)
            if self._probes and find_recipe(artifact.recipe).precision in FLOATS:
                probe_outputs = session.run(self._probes)
            at_sizes = tuple(_run_at_size(session, load_arrays(files)) for files in self._settings.at_sizes)
        _check_finite(outputs)
        micro_golden, remarks = _run_on_micro(artifact, golden)
        remarks = (*dependences, *remarks)
        latency = None
        if self._measure:
            sample = {name: array[:1] for name, array in golden.items()}
            with opener(artifact.data, artifact.signature, needs=artifact.needs) as session:
                latency = measure_latency(lambda: session.run(sample))
        return ProofRun(
            outputs, (cpu_golden, *micro_golden), latency, missing_value_outputs, probe_outputs, remarks, at_sizes
        )

    def _check_batches(self, session: Session, artifact: Artifact, outputs: dict[str, np.ndarray]) -> tuple[str, ...]:
        """Run samples alone and in several batches; return a remark if they differ in other programs.

        Raises:
            ConversionError: They differ in the session too.
        """
        probes, recipe = self._settings.batch_probes, find_recipe(artifact.recipe)
        if probes is None:
            return ()
        probes = msgspec.structs.replace(probes, ranged=False)

        names = [spec.name for spec in artifact.signature.whole_outputs if spec.meaning not in DECIDED]

        def run_by(run: Callable[[dict[str, np.ndarray]], Outputs]) -> Callable[[list[list[int]]], list[Outputs]]:
            def run_batches(batches: list[list[int]]) -> list[Outputs]:
                runs = (run({name: array[batch] for name, array in self._batches.items()}) for batch in batches)
                return [{name: outputs[name] for name in names} for outputs in runs]

            return run_batches

        is_ranged = (recipe.format, recipe.precision) == ("onnx", "dynamic")
        least_db = INDEPENDENT_DB if is_ranged else min(INDEPENDENT_DB, recipe.floor.sqnr_db + _ABOVE_FLOOR_DB)
        dependence = batch_dependence(probes, run_by(session.run), {name: outputs[name] for name in names})
        if depends(dependence, least_db, self._settings.noise):
            raise ConversionError(
                f"The artifact's answer for a sample depends on the others of its batch: {dependence}.",
                fix="build it with a free batch, or with batch=1.",
            )
        if not is_ranged or artifact.signature.inputs[0].shape[0] is not None:
            return ()
        dependence = batch_dependence(probes, run_by(session.run_together))
        if dependence is None or dependence.sqnr_db >= INDEPENDENT_DB:
            return ()
        remark = (
            "samples run one at a time, since ranges are those of a batch: in one call of the engine with others, the "
            f"answer for a sample moves by up to {dependence.error:.3g} (SQNR {dependence.sqnr_db:.1f} dB)"
        )
        return (remark,)


def _check_finite(outputs: dict[str, np.ndarray], where: str = "") -> None:
    for name, values in outputs.items():
        rows = np.flatnonzero(~finite_samples([values]))
        if len(rows):
            raise ConversionError(
                f"The artifact returns NaN or infinity in '{name}'{where} for {len(rows)} of {len(values)} samples, "
                f"first for sample {rows[0]}."
            )


def _run_at_size(session: Session, inputs: dict[str, np.ndarray]) -> SizedRun:
    outputs = session.run(inputs)
    shapes = ", ".join(f"{name} {list(array.shape[1:])}" for name, array in inputs.items())
    _check_finite(outputs, f" at {shapes}")
    return SizedRun(outputs, _golden_outputs(session, {name: golden_rows(array) for name, array in inputs.items()}))


def _golden_outputs(session: Session, golden: dict[str, np.ndarray]) -> GoldenOutputs:
    return GoldenOutputs(session.family, session.engine_version, session.run_raw(golden))


def _run_on_micro(
    artifact: Artifact, golden: dict[str, np.ndarray]
) -> tuple[tuple[GoldenOutputs, ...], tuple[str, ...]]:
    """Run an artifact on TFLite Micro, if installed, for golden vectors that firmware can be checked with.

    Failures do not affect the artifact, except that it has no golden vectors of this family.

    Returns:
        The golden outputs, and the reason if the engine loads the artifact but fails to run it.
    """
    recipe = find_recipe(artifact.recipe)
    if recipe.format != "tflite" or len(artifact.data) > _MAX_MICRO_BYTES:
        return (), ()
    try:
        opener = find_engine(recipe.format, "micro")
        session = opener(artifact.data, artifact.signature, needs=artifact.needs, target="micro")
    except EdgemlError:
        return (), ()
    with session:
        try:
            return (_golden_outputs(session, golden),), ()
        except EdgemlError as error:
            return (), (f"no golden vectors for firmware: {error.message.rstrip('.')}",)
