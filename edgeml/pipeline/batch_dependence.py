"""Dependence of a sample's answer on the other samples of its batch, which comparing equal batches does not show."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from msgspec import Struct

from edgeml.core.records.evidence import Fidelity
from edgeml.core.source import SourceInfo
from edgeml.evaluation import fidelity_of
from edgeml.evaluation.fidelity import CENTERED_SLACK_DB, CONSTANT_ERROR, part_sqnr_db

__all__ = ["INDEPENDENT_DB", "BatchProbes", "Dependence", "Outputs", "batch_dependence", "depends", "make_probes"]

INDEPENDENT_DB = 60.0
"""SQNR between answers alone and beside others that shows no dependence. Float kernels choose the order of sums by the
size of the batch, which leaves some 120 dB."""

_RANGED_DB = 40.0  # likewise of quantized values, which the order of sums moves by a step now and then
_NOISE_SLACK_DB = 6.0  # below the source's own noise, which another order of sums doubles
_NOISE_PEAKS = 10.0  # times the largest difference of that noise
_SAMPLES = 8
_LARGEST, _HALVED = 4, 4  # neighbors: the samples of the largest values, and samples with half of their values
_VISIBLE = 0.01  # share of the largest difference above which a sample is named

Outputs = Mapping[str, np.ndarray]
"""Arrays ``[samples, ...]`` by output name."""


class BatchProbes(Struct, frozen=True):
    """Samples that run alone and in several batches.

    Attributes:
        samples: Positions of the samples in the judged data.
        total: Number of the samples and of their neighbors, which follow them in the arrays.
        ranged: Whether answers depend on the range of a batch by design, since the source quantizes by it. Then the
            same samples, which have one range, run in another order and repeated, instead of alone.
    """

    samples: tuple[int, ...]
    total: int
    ranged: bool = False

    @property
    def independent_db(self) -> float:
        """SQNR between a sample's answers in different batches that shows no dependence."""
        return _RANGED_DB if self.ranged else INDEPENDENT_DB


class Dependence(Struct, frozen=True):
    """The largest difference between a sample's answers in different batches.

    Attributes:
        sqnr_db: SQNR in decibels, the lowest of all outputs and their parts, over all samples.
        output: Name of the output with the largest difference.
        error: The largest difference.
        sample: Position of the first sample whose answer differs, in the judged data.
    """

    sqnr_db: float
    output: str
    error: float
    sample: int

    def __str__(self) -> str:
        return (
            f"'{self.output}' differs by up to {self.error:.3g} (SQNR {self.sqnr_db:.1f} dB) between batches, first "
            f"for sample {self.sample}"
        )


def make_probes(inputs: Mapping[str, np.ndarray], info: SourceInfo) -> tuple[BatchProbes, dict[str, np.ndarray]]:
    """Choose samples of the judged data, and neighbors for them; return their description and arrays by input name."""
    count = len(next(iter(inputs.values())))
    samples = np.unique(np.linspace(0, count - 1, min(count, _SAMPLES)).round().astype(int))
    largest = np.argsort(-_magnitudes(inputs), kind="stable")[:_LARGEST]
    arrays = {
        name: np.concatenate([array[samples], array[largest], _halve(name, array[samples[:_HALVED]], info)])
        for name, array in inputs.items()
    }
    total = len(next(iter(arrays.values())))
    return BatchProbes(tuple(samples.tolist()), total, ranged=info.architecture == "onnx-dynamic"), arrays


def batch_dependence(
    probes: BatchProbes, run_batches: Callable[[list[list[int]]], Sequence[Outputs]], judged: Outputs | None = None
) -> Dependence | None:
    """Return how much answers for samples depend on their batch; None where equal batches have different answers.

    Args:
        probes: The samples.
        run_batches: Runs batches of positions in the arrays of the samples.
        judged: Outputs for all judged data, as they were computed together.
    """
    samples, neighbors = list(range(len(probes.samples))), list(range(len(probes.samples), probes.total))
    batches = [samples + neighbors, neighbors + samples[::-1], samples[:1] * len(samples) + samples + neighbors]
    alone = [] if probes.ranged else [[i] for i in samples]
    runs = run_batches([*alone, batches[0], *batches])
    again, *together = [
        {name: values[[batch.index(i) for i in samples]] for name, values in run.items()}
        for batch, run in zip([batches[0], *batches], runs[len(alone) :], strict=True)
    ]
    if _compare(probes, again, together[0]).sqnr_db < INDEPENDENT_DB:
        return None
    if judged is not None and not probes.ranged:
        together.append({name: values[list(probes.samples)] for name, values in judged.items()})
    expected = again
    if alone:
        expected = {name: np.concatenate([run[name] for run in runs[: len(alone)]]) for name in again}
    return min((_compare(probes, expected, outputs) for outputs in together), key=lambda item: item.sqnr_db)


def depends(dependence: Dependence | None, least_db: float, noise: Fidelity | None) -> bool:
    """Return whether answers in different batches differ by more than rounding.

    Args:
        dependence: The largest difference, if known.
        least_db: SQNR that shows no dependence.
        noise: Fidelity of the source to itself on inputs moved by their last bits; None if unknown.
    """
    if dependence is None or dependence.sqnr_db >= least_db:
        return False
    if noise is None:
        return True
    is_audible = not dependence.sqnr_db >= _least_sqnr_db(noise) - _NOISE_SLACK_DB
    return is_audible or not dependence.error <= _NOISE_PEAKS * noise.max_error


def _least_sqnr_db(fidelity: Fidelity) -> float:
    """Return the lowest figure of a comparison, those about the mean and of parts with their slack."""
    figures = [fidelity.sqnr_db]
    if fidelity.centred_sqnr_db is not None:
        figures.append(fidelity.centred_sqnr_db + CENTERED_SLACK_DB)
    if fidelity.worst_part is not None:
        figures.append(part_sqnr_db(fidelity.worst_part) + CENTERED_SLACK_DB)
    return min(figures)


def _compare(probes: BatchProbes, alone: Outputs, together: Outputs) -> Dependence:
    """Compare the outputs for the samples of two batches; NaN in one of them alone differs."""
    errors = {
        name: np.abs(together[name].astype(np.float64) - values).reshape(len(values), -1).max(axis=1, initial=0.0)
        for name, values in alone.items()
    }
    output = max(errors, key=lambda name: float(np.nan_to_num(errors[name], nan=math.inf).max()))
    error = float(errors[output].max())
    first = probes.samples[int(np.argmax(~(errors[output] <= _VISIBLE * error)))]
    if not math.isfinite(error):
        return Dependence(-math.inf, output, error, first)
    fidelity = fidelity_of(alone, together)
    is_constant = fidelity.centred_sqnr_db is None and error <= CONSTANT_ERROR
    return Dependence(math.inf if is_constant else _least_sqnr_db(fidelity), output, error, first)


def _magnitudes(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the largest absolute value of each sample, relative to that of all samples, over all inputs of numbers."""
    count = len(next(iter(inputs.values())))
    magnitudes = np.zeros(count)
    for array in inputs.values():
        if array.dtype.kind in "fiu":
            values = np.nan_to_num(np.abs(array.reshape(count, -1).astype(np.float64))).max(axis=1, initial=0.0)
            magnitudes = np.maximum(magnitudes, values / (values.max(initial=0.0) or 1.0))
    return magnitudes


def _halve(name: str, array: np.ndarray, info: SourceInfo) -> np.ndarray:
    """Return samples with half of their values, which differ from others; numbers that may be codes stay."""
    is_code = array.dtype.kind != "f" or name in info.whole_inputs or info.framework == "sklearn"
    return array if is_code else array / 2
