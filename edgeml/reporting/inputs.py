"""What a report is made of: a package, and results files that belong to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from edgeml.core.errors import InputError, PackageError
from edgeml.core.records.benchmark_results import Figure, Machine, Results, Times, read_results, unpack_times
from edgeml.package import Package
from edgeml.trainers.result import TrainingCurves

__all__ = ["Device", "durations_ms", "read_devices", "training_of"]

_NS_PER_MS = 1e6
_AGAIN = "run edgeml bench again."
# Milliseconds, samples a second, and ratios: beyond these no machine is, and no axis draws them.
_LEAST, _MOST = 1e-9, 1e12


@dataclass(frozen=True, slots=True)
class Device:
    """A machine that measured, and what it found.

    Attributes:
        name: Of the device, or of its processor; unlike all others of the report.
        date: When it began.
    """

    name: str
    machine: Machine
    edgeml: str
    date: str
    results: Results


def read_devices(paths: Sequence[Path], package: Package) -> tuple[Device, ...]:
    """Reads results files of a package. Comparisons go with the measurements of the same machine in another file.

    Raises:
        InputError: One is missing, no sound results file, of another package, or empty.
        StorageError: One cannot be read.
    """
    digest = package.digest() if paths else ""
    found: list[Results] = []
    for path in paths:
        results = read_results(path)
        label, measured = path.name, results.package
        if measured.digest != digest:
            raise InputError(
                f"{label} is of another package: {measured.name} {measured.version}, {measured.digest[:19]}…, expected "
                f"{package.manifest.name} {package.manifest.version}, {digest[:19]}….",
                fix=f"give the package that it was measured on, or run edgeml bench on {package.label}.",
            )
        _check(results, package, label)
        _add(found, results)
    return tuple(
        Device(name, results.machine, results.edgeml, results.date, results)
        for name, results in zip(_names(found), found, strict=True)
    )


def _add(found: list[Results], results: Results) -> None:
    """Adds results to those of the same machine where but one of them measured, else to the list."""
    for place, other in enumerate(found):
        if other.machine == results.machine and not (other.measurements and results.measurements):
            kept, more = (results, other) if results.measurements else (other, results)
            found[place] = msgspec.structs.replace(kept, comparisons=(*kept.comparisons, *more.comparisons))
            return
    found.append(results)


def _check(results: Results, package: Package, label: str) -> None:
    if not (results.measurements or results.comparisons):
        raise InputError(f"{label} holds neither a measurement nor a comparison.", fix=_AGAIN)
    there = {record.recipe for record in package.manifest.artifacts}
    for measured in results.measurements:
        name = measured.artifact
        if name not in there:
            raise InputError(f"{label} measures '{name}', which {package.label} does not hold.", fix=_AGAIN)
        if measured.queries == 0:
            raise InputError(f"{label} has no samples of {name} on {measured.target}.", fix=_AGAIN)
        figures = [quantile.ms for quantile in measured.latency]
        figures += [measured.throughput] if measured.throughput is not None else []
        if measured.times is not None:
            longest = float(durations_ms(measured.times, f"{name} in {label}").max(initial=0))
            figures += [Figure(longest)] if longest else []
        _hold(figures, f"{label}: a time or rate of {name}")
    for compared in results.comparisons:
        _hold([compared.ratio], f"{label}: a ratio of {compared.what}")


def _hold(figures: Sequence[Figure], what: str) -> None:
    """Values, and the upper ends of intervals; a lower one may be anything where few queries were timed."""
    for end in (end for figure in figures for end in (figure.value, figure.high)):
        if end is not None and not _LEAST <= end <= _MOST:
            raise InputError(f"{what} is {end:g}; expected {_LEAST:g} to {_MOST:g}.", fix=_AGAIN)


def durations_ms(times: Times, label: str = "a measurement") -> np.ndarray:
    """All times of a measurement, float64 ``[count]``, in milliseconds.

    Raises:
        InputError: They are not as many as is said, or not in the compact form.
    """
    return unpack_times(times, label) / _NS_PER_MS


def _names(found: Sequence[Results]) -> list[str]:
    """A name for each, by which readers tell them apart."""
    names = [results.machine.device or results.machine.model or "this machine" for results in found]
    dated = [f"{name}, {found[i].date}" if names.count(name) > 1 else name for i, name in enumerate(names)]
    return [f"{name} ({i + 1})" if dated.count(name) > 1 else name for i, name in enumerate(dated)]


def training_of(package: Package) -> TrainingCurves | None:
    """The epochs that the model was trained in, where the package holds them.

    Raises:
        PackageError: They are damaged.
    """
    entry = package.manifest.training
    if entry is None:
        return None
    try:
        return msgspec.json.decode(package.read(entry), type=TrainingCurves)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PackageError(f"{package.label}: '{entry}' is not sound: {error}.") from error
