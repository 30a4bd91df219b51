"""Inputs of a report: benchmark results and training curves of a package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from edgeml.core.errors import InputError, PackageError
from edgeml.core.free_sizes import size_text
from edgeml.core.records.benchmark_results import Figure, Machine, Results, Times, read_results, unpack_times
from edgeml.package import Package
from edgeml.trainers.result import TrainingCurves

__all__ = ["Device", "durations_ms", "read_devices", "read_training"]

_NS_PER_MS = 1e6
_RERUN = "run edgeml bench again."
# Bounds of milliseconds, samples per second, and ratios: no machine is beyond them, and no axis could show them.
_MIN, _MAX = 1e-9, 1e12
_MAX_TRAINING_BYTES = 2**23  # 80,000 epochs


@dataclass(frozen=True, slots=True)
class Device:
    """A machine that ran a benchmark, with its results.

    Attributes:
        name: Name of the device or of its processor, unique in the report.
        machine: Description of the machine.
        edgeml: Version of edgeml that measured.
        date: Start of the benchmark.
        results: Results of the benchmark.
    """

    name: str
    machine: Machine
    edgeml: str
    date: str
    results: Results


def read_devices(results: Sequence[Path | Results], package: Package) -> tuple[Device, ...]:
    """Return the devices of benchmark results; join comparisons with measurements of the same machine.

    Args:
        results: Results, or the paths of results files.
        package: The package that was measured.

    Raises:
        InputError: A file is missing, invalid, empty, or belongs to another package; or results are of several sizes.
        StorageError: A file cannot be read.
    """
    digest = package.digest() if results else ""
    runs: list[Results] = []
    for position, item in enumerate(results, 1):
        label = item.name if isinstance(item, Path) else f"results {position}"
        run = read_results(item) if isinstance(item, Path) else item
        measured = run.package
        if measured.digest != digest:
            raise InputError(
                f"{label} is of another package: {measured.name} {measured.version}, {measured.digest[:19]}…, expected "
                f"{package.manifest.name} {package.manifest.version}, {digest[:19]}….",
                fix=f"give the package that it was measured on, or run edgeml bench on {package.label}.",
            )
        _check(run, package, label)
        _merge(runs, run)
    texts = list(dict.fromkeys(size_text(item.sizes) for run in runs for item in run.measurements))
    if len(texts) > 1:
        raise InputError(
            f"The results are of different sizes: {'; '.join(text or 'fixed' for text in texts)}.",
            fix="report those of one size: edgeml bench --size NAME=N.",
        )
    return tuple(
        Device(name, run.machine, run.edgeml, run.date, run) for name, run in zip(_names(runs), runs, strict=True)
    )


def _merge(runs: list[Results], results: Results) -> None:
    """Join results with a run of the same machine unless both hold measurements; otherwise append them."""
    for index, other in enumerate(runs):
        if other.machine == results.machine and not (other.measurements and results.measurements):
            main, extra = (results, other) if results.measurements else (other, results)
            runs[index] = msgspec.structs.replace(main, comparisons=(*main.comparisons, *extra.comparisons))
            return
    runs.append(results)


def _check(results: Results, package: Package, label: str) -> None:
    if not (results.measurements or results.comparisons):
        raise InputError(f"{label} holds neither a measurement nor a comparison.", fix=_RERUN)
    recipes = {record.recipe for record in package.manifest.artifacts}
    for measurement in results.measurements:
        name = measurement.artifact
        if name not in recipes:
            raise InputError(f"{label} measures '{name}', which {package.label} does not hold.", fix=_RERUN)
        if measurement.queries == 0:
            raise InputError(f"{label}: the measurement of {name} on {measurement.target} holds 0 samples.", fix=_RERUN)
        figures = [quantile.ms for quantile in measurement.latency]
        figures += [measurement.throughput] if measurement.throughput is not None else []
        if measurement.times is not None:
            longest = float(durations_ms(measurement.times, f"{name} in {label}").max(initial=0))
            figures += [Figure(longest)] if longest else []
        _check_range(figures, f"{label}: a time or rate of {name}")
    for comparison in results.comparisons:
        _check_range([comparison.ratio], f"{label}: a ratio of {comparison.what}")


def _check_range(figures: Sequence[Figure], what: str) -> None:
    """Check values and upper ends of intervals; with few timed queries a lower end can be anything."""
    for end in (end for figure in figures for end in (figure.value, figure.high)):
        if end is not None and not _MIN <= end <= _MAX:
            raise InputError(f"{what} is {end:g}; expected {_MIN:g} to {_MAX:g}.", fix=_RERUN)


def durations_ms(times: Times, label: str = "a measurement") -> np.ndarray:
    """Return all times of a measurement in milliseconds, float64 ``[count]``.

    Raises:
        InputError: The times are not in the compact form, or their number differs from the declared one.
    """
    return unpack_times(times, label) / _NS_PER_MS


def _names(runs: Sequence[Results]) -> list[str]:
    """Return a unique name for each run."""
    names = [results.machine.device or results.machine.model or "this machine" for results in runs]
    dated = [f"{name}, {runs[index].date}" if names.count(name) > 1 else name for index, name in enumerate(names)]
    return [f"{name} ({index + 1})" if dated.count(name) > 1 else name for index, name in enumerate(dated)]


def read_training(package: Package) -> TrainingCurves | None:
    """Read the training curves of a package; None if the package does not hold any.

    Raises:
        PackageError: The training curves are corrupt.
    """
    entry = package.manifest.training
    if entry is None:
        return None
    size = package.manifest.files[entry].size_bytes
    if size > _MAX_TRAINING_BYTES:
        raise PackageError(f"{package.label}: '{entry}' has {size} bytes, expected at most {_MAX_TRAINING_BYTES}.")
    try:
        return msgspec.json.decode(package.read(entry), type=TrainingCurves)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PackageError(f"{package.label}: '{entry}' is not sound: {error}.") from error
