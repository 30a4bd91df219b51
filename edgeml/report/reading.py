"""What a report is made of: a package, and results files that belong to it."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
from msgspec import Struct

from edgeml.core.errors import InputError, PackageError
from edgeml.core.results import Machine, Measurement, Results, Times, decode_results
from edgeml.core.tensors import Label
from edgeml.package import Package
from edgeml.trainers.trained import TrainingCurves

__all__ = [
    "Calibration",
    "CalibrationBin",
    "ClassRecall",
    "Confusion",
    "Details",
    "Device",
    "Flip",
    "details_of",
    "durations_ms",
    "read_devices",
    "training_of",
]

T = TypeVar("T")

_UNIT_BYTES = 4
_NS_PER_MS = 1e6
_MOST_TIMES = 2**26
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


class Flip(Struct, frozen=True):
    """A sample that got another label than the source's."""

    sample: int
    source: Label
    artifact: Label | None = None


class ClassRecall(Struct, frozen=True):
    """Share of a class's samples that got its label; None without samples."""

    label: Label
    source: float | None = None
    artifact: float | None = None


class Confusion(Struct, frozen=True):
    """Which classes are taken for which.

    Attributes:
        cells: Position of the true label, of the given one (-1 for one that is not among the labels), samples.
        left_out: Samples of other cells.
    """

    cells: tuple[tuple[int, int, int], ...]
    left_out: int = 0


class CalibrationBin(Struct, frozen=True):
    """Samples with about the same top probability: how many, its mean, and the share of right ones."""

    samples: int = 0
    confidence: float | None = None
    accuracy: float | None = None


class Calibration(Struct, frozen=True):
    """How well probabilities tell how often they are right; `ece` is the expected calibration error."""

    ece: float
    bins: tuple[CalibrationBin, ...]


class Details(Struct, frozen=True):
    """What a report takes of an artifact's evidence; what else is there is passed over.

    Attributes:
        flips: Samples with another label than the source's. `recalls`: of each class.
        confusion: Of the artifact. `source_confusion`: of the source.
        calibration: Of the artifact's probabilities. `source_calibration`: of the source's.
    """

    flips: tuple[Flip, ...] = ()
    recalls: tuple[ClassRecall, ...] = ()
    confusion: Confusion | None = None
    source_confusion: Confusion | None = None
    calibration: Calibration | None = None
    source_calibration: Calibration | None = None


def read_devices(paths: Sequence[Path], package: Package) -> tuple[Device, ...]:
    """Reads results files of a package.

    Raises:
        InputError: One is missing, no sound results file, of another package, or empty.
        StorageError: One cannot be read.
    """
    digest = package.digest() if paths else ""
    found = []
    for path in paths:
        results = _read(path)
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


def _read(path: Path) -> Results:
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"There is no file {path}.") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}.") from error
    return decode_results(data, path.name)


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
        for figure in _figures(measured):
            if not _LEAST <= figure <= _MOST:
                told = f"{figure:g} of {measured.artifact}; expected {_LEAST:g} to {_MOST:g}."
                raise InputError(f"{label} has a time or rate of {told}", fix=again)
        if measured.times is not None:
            durations_ms(measured.times, label)


def _figures(measured: Measurement) -> list[float]:
    """Values, and the upper ends of intervals; a lower one may be anything where few queries were timed."""
    figures = [quantile.ms for quantile in measured.latency]
    figures += [measured.throughput] if measured.throughput is not None else []
    return [end for one in figures for end in (one.value, one.high) if end is not None]


def durations_ms(times: Times, label: str) -> np.ndarray:
    """All times of a measurement, float64 ``[count]``, in milliseconds.

    Raises:
        InputError: They are not as many as is said, or not in the compact form.
    """
    wanted = _UNIT_BYTES * times.count
    try:
        if times.count > _MOST_TIMES:
            raise ValueError("too many")
        reader = zlib.decompressobj()
        # One byte more than is due, so that a longer text is found out without being unpacked.
        data = reader.decompress(base64.b64decode(times.data, validate=True), wanted + 1)
    except (ValueError, binascii.Error, zlib.error) as error:
        raise InputError(
            f"{label}: the times of a measurement are not sound: {error}.", fix="run edgeml bench again."
        ) from error
    if len(data) != wanted:
        raise InputError(
            f"{label}: a measurement does not hold the {times.count} times that it tells of.",
            fix="run edgeml bench again.",
        )
    return np.frombuffer(data, "<u4").astype(np.float64) * (times.unit_ns / _NS_PER_MS)


def _names(found: Sequence[Results]) -> list[str]:
    """A name for each, by which readers tell them apart."""
    names = [results.machine.device or results.machine.model or "this machine" for results in found]
    dated = [f"{name}, {found[i].date}" if names.count(name) > 1 else name for i, name in enumerate(names)]
    return [f"{name} ({i + 1})" if dated.count(name) > 1 else name for i, name in enumerate(dated)]


def details_of(package: Package, recipe: str) -> Details:
    """An artifact's evidence, empty where the package has none.

    Raises:
        PackageError: It is damaged.
    """
    entry = package.artifact(recipe).evidence
    return _decoded(package, entry, Details) if entry is not None else Details()


def training_of(package: Package) -> TrainingCurves | None:
    """The epochs that the model was trained in, where the package holds them.

    Raises:
        PackageError: They are damaged.
    """
    entry = package.manifest.training
    return _decoded(package, entry, TrainingCurves) if entry is not None else None


def _decoded(package: Package, entry: str, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(package.read(entry), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise PackageError(f"{package.label}: '{entry}' is not sound: {error}.") from error
