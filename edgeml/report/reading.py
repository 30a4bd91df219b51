"""What a report is made of: a package, and results files that belong to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np

from edgeml.core.errors import InputError, PackageError
from edgeml.core.results import Machine, Measurement, Results, Times, read_results, unpack_times
from edgeml.package import Package
from edgeml.trainers.trained import TrainingCurves

__all__ = ["Device", "durations_ms", "read_devices", "training_of"]

_NS_PER_MS = 1e6
# Milliseconds, and samples a second: beyond these no machine is, and no axis draws them.
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
    """Reads results files of a package.

    Raises:
        InputError: One is missing, no sound results file, of another package, or empty.
        StorageError: One cannot be read.
    """
    digest = package.digest() if paths else ""
    found = []
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
        found.append(results)
    return tuple(
        Device(name, results.machine, results.edgeml, results.date, results)
        for name, results in zip(_names(found), found, strict=True)
    )


def _check(results: Results, package: Package, label: str) -> None:
    again = "run edgeml bench again."
    if not results.measurements:
        raise InputError(f"{label} holds no measurement.", fix=again)
    there = {record.recipe for record in package.manifest.artifacts}
    for measured in results.measurements:
        if measured.artifact not in there:
            raise InputError(f"{label} measures '{measured.artifact}', which {package.label} does not hold.", fix=again)
        if measured.queries == 0:
            raise InputError(f"{label} has no samples of {measured.artifact} on {measured.target}.", fix=again)
        for figure in _figures(measured, f"{measured.artifact} in {label}"):
            if not _LEAST <= figure <= _MOST:
                told = f"{figure:g} of {measured.artifact}; expected {_LEAST:g} to {_MOST:g}."
                raise InputError(f"{label} has a time or rate of {told}", fix=again)


def _figures(measured: Measurement, label: str) -> list[float]:
    """Values, and the upper ends of intervals; a lower one may be anything where few queries were timed."""
    figures = [quantile.ms for quantile in measured.latency]
    figures += [measured.throughput] if measured.throughput is not None else []
    ends = [end for one in figures for end in (one.value, one.high) if end is not None]
    longest = durations_ms(measured.times, label).max(initial=0) if measured.times is not None else 0
    return [*ends, float(longest)] if longest else ends


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
