"""What a benchmark found, as a file: figures with their uncertainty, and all that they depend on."""

from __future__ import annotations

import base64
import binascii
import zlib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta

from edgeml.core.errors import InputError
from edgeml.core.records.record import Record, decode_strict
from edgeml.core.system.files import read_bytes
from edgeml.core.system.machine import Cpu
from edgeml.core.system.text import printable

__all__ = [
    "FORMAT",
    "Comparison",
    "Conditions",
    "Figure",
    "FileRef",
    "GoldenResult",
    "Machine",
    "Measurement",
    "PackageRef",
    "Quantile",
    "Results",
    "Scenario",
    "Times",
    "decode_results",
    "encode_results",
    "pack_times",
    "read_results",
    "unpack_times",
]

FORMAT = 1
_MAX_BYTES = 2**28
_KEPT_TIMES = 20_000  # of one measurement, some 40 kB
_STEPS = 2000  # units in a median time: half a thousandth of it is kept
_UINT32 = 2**32 - 1
_MEDIAN = 0.5
_WHOLE_RATES = 100  # from here on a rate is shown without decimals

Scenario = Literal["single-stream", "multi-stream", "offline", "server"]
Text = Annotated[str, Meta(max_length=10_000)]
Finite = Annotated[float, Meta(ge=-1e300, le=1e300)]
Count = Annotated[int, Meta(ge=0)]


class Machine(Record, frozen=True):
    """The machine that measured.

    Attributes:
        model: The processor's name, as the system tells it.
        cpu: Its architecture and features.
        cores: Those that the process could use.
        memory_mb: Physical memory.
        system: Operating system and kernel.
        governor: The frequency governor; empty where the system does not tell.
        python: Version of Python.
        versions: Versions of what the figures depend on, by distribution.
        device: Name of the device in a lab's file, or ``user@host``; empty for the machine at hand.
    """

    model: Text
    cpu: Cpu
    cores: Annotated[int, Meta(ge=1)]
    memory_mb: Finite
    system: Text
    governor: Text
    python: Text
    versions: dict[str, Text]
    device: Text = ""


class PackageRef(Record, frozen=True):
    """Which package was measured: name, version, and ``sha256:`` digest of the whole file."""

    name: Text
    version: Text
    digest: Text


class FileRef(Record, frozen=True):
    """A model file that is in no package.

    Attributes:
        name: Of the file.
        size_bytes: Its size.
        digest: ``sha256:…`` of its bytes.
        takes: Its inputs: name, dtype and shape, in words. `gives`: its outputs. Where these are integers, what is
            timed quantizes and dequantizes, as of a package's artifacts.
    """

    name: Text
    size_bytes: Count
    digest: Text
    takes: Text
    gives: Text


class Figure(Record, frozen=True):
    """A figure with its 95% interval; ends are None where the count does not support them."""

    value: Finite
    low: Finite | None = None
    high: Finite | None = None


class Quantile(Record, frozen=True):
    """A quantile of latencies, with a distribution-free 95% interval.

    Attributes:
        at: Which, from 0 to 1.
        ms: Its estimate, in milliseconds.
    """

    at: Annotated[float, Meta(gt=0, lt=1)]
    ms: Figure


class Times(Record, frozen=True):
    """The times of one measurement, in the order taken, in compact form. `pack_times` makes it.

    Attributes:
        count: How many. Where there were more than 20,000 every second, third … was kept.
        unit_ns: What one unit stands for.
        data: Base64 of zlib of little-endian uint32 units.
    """

    count: Annotated[int, Meta(ge=0, le=_KEPT_TIMES)]
    unit_ns: Annotated[float, Meta(gt=0, le=1e18)]
    data: str


class Conditions(Record, frozen=True):
    """What else the machine did meanwhile. None where the system does not tell.

    Attributes:
        flags: What makes the figures doubtful, each in a sentence; empty where nothing was seen.
        others: Share of the cores' time that other processes took.
        steal: Share that a hypervisor took.
        waited: Share of the process's own time in which it could have run and had no core.
        preempted: How often the process was preempted.
        mhz_low: Lowest frequency seen of the core that ran it. `mhz_high`: the highest.
        celsius: Highest temperature seen.
        throttled: How often the processor slowed itself down for heat.
        yardstick_us: Median time of a small piece of work that is always the same, done now and then in between: it
            tells how fast the machine was.
    """

    flags: tuple[Text, ...] = ()
    others: Finite | None = None
    steal: Finite | None = None
    waited: Finite | None = None
    preempted: Count | None = None
    mhz_low: Finite | None = None
    mhz_high: Finite | None = None
    celsius: Finite | None = None
    throttled: Count | None = None
    yardstick_us: Finite | None = None


class Measurement(Record, frozen=True):
    """One artifact on one target, in one scenario.

    Attributes:
        artifact: Its recipe.
        target: Where it ran. `engine`: by what, with its version.
        scenario: With MLPerf's meaning.
        threads: Cores that a call could use; None for the session's own choice.
        batch: Samples a query. In the offline scenario all of them are given in one call. Of a server, whose queries
            are of one sample, the most that it gathered into one call.
        queries: How many were timed, after `warm_up` others.
        seconds: How long that took.
        latency: Quantiles of a query's latency, in milliseconds, those that the count supports.
        throughput: Samples a second, with an interval by batch means. In the server scenario the highest rate at
            which the bound held; None where none did.
        latency_bound_ms: Of the server scenario, for its 99th percentile.
        times: The queries' times.
        size_bytes: Of the artifact.
        arena_bytes: Of TFLite Micro.
        cold_start_ms: From the start of a process to the first answer, the median of several.
        peak_mb: Peak resident memory above that of an idle process with the engine loaded.
        joules: Energy a sample, where the machine tells.
        preprocessing_ms: From one raw sample to the model's numbers, of a single stream, where the package declares
            what raw input is.
        conditions: What else the machine did.
    """

    artifact: Text
    target: Text
    engine: Text
    scenario: Scenario
    threads: int | None
    batch: Annotated[int, Meta(ge=1)]
    queries: Count
    warm_up: Count
    seconds: Finite
    latency: tuple[Quantile, ...]
    throughput: Figure | None
    size_bytes: Count
    conditions: Conditions
    times: Times | None = None
    latency_bound_ms: Finite | None = None
    arena_bytes: Count | None = None
    cold_start_ms: Figure | None = None
    peak_mb: Finite | None = None
    joules: Finite | None = None
    preprocessing_ms: Figure | None = None

    def __repr__(self) -> str:
        median = _median_ms(self)
        latency = "" if median is None else f"median {median:.4g} ms"
        throughput = "" if self.throughput is None else f"{_rate_text(self.throughput.value)} samples/s"
        title = printable(f"{self.artifact} on {self.target}, {self.scenario}")
        return f"<Measurement {title}: {', '.join(filter(None, (latency, throughput))) or 'no figures'}>"

    def _repr_html_(self) -> str:
        return _measurements_html("Measurement", (self,))


class Comparison(Record, frozen=True):
    """Two things measured in turn, in one run.

    Attributes:
        what: Which. `beside`: and with what it is compared.
        ratio: Time of the first by time of the second, with its interval.
        verdict: ``indistinguishable`` where the interval holds 1, or lacks an end.
        rounds: Ratios that the interval is of: blocks of a run in which both were measured in turn, or of two runs
            the stretches that were compared.
        conditions: What else the machine did.
        beside_file: The second, where it is a bare model file.
    """

    what: Text
    beside: Text
    ratio: Figure
    verdict: Literal["faster", "slower", "indistinguishable"]
    rounds: Count
    conditions: Conditions
    beside_file: FileRef | None = None


class GoldenResult(Record, frozen=True):
    """Whether an artifact answered there as it did where its package was made.

    Attributes:
        artifact: Its recipe.
        family: Of the engine.
        detail: How far from the bound, or why it was not run.
    """

    artifact: Text
    family: Text
    status: Literal["holds", "fails", "not run"]
    detail: Text


class Results(Record, frozen=True):
    """A results file.

    Attributes:
        edgeml: The version that measured.
        date: When it began, UTC, as ``2026-11-20T16:00:00Z``.
        golden: Of a device: what came of the package's golden vectors there.
    """

    format: int
    edgeml: Text
    date: Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]
    machine: Machine
    package: PackageRef
    measurements: tuple[Measurement, ...]
    comparisons: tuple[Comparison, ...] = ()
    golden: tuple[GoldenResult, ...] = ()

    def __repr__(self) -> str:
        count, compared = len(self.measurements), len(self.comparisons)
        parts = [f"{count} measurement{'' if count == 1 else 's'}"] if count or not compared else []
        parts += [f"{compared} comparison{'' if compared == 1 else 's'}"] if compared else []
        machine = self.machine.device or self.machine.model
        title = printable(f"{self.package.name} {self.package.version} on {machine}")
        return f"<Results of {title}: {', '.join(parts)}>"

    def _repr_html_(self) -> str:
        machine = self.machine.device or self.machine.model
        title = f"{self.package.name} {self.package.version} on {machine}, {self.date}"
        return _measurements_html(title, self.measurements)


def _median_ms(measurement: Measurement) -> float | None:
    return next((quantile.ms.value for quantile in measurement.latency if quantile.at == _MEDIAN), None)


def _rate_text(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= _WHOLE_RATES else f"{rate:.3g}"


def _measurements_html(title: str, measurements: tuple[Measurement, ...]) -> str:
    from edgeml.core.html import html_table

    rows = []
    for item in measurements:
        median, rate = _median_ms(item), item.throughput
        rows.append(
            [
                item.artifact,
                item.target,
                item.scenario,
                "" if item.threads is None else str(item.threads),
                str(item.batch),
                "" if median is None else f"{median:.4g}",
                "" if rate is None else _rate_text(rate.value),
                f"{item.size_bytes / 1000:,.1f}",
                " ".join(item.conditions.flags),
            ]
        )
    header = ["artifact", "target", "scenario", "threads", "batch", "median ms", "samples/s", "kB", "doubts"]
    return html_table(title, header, rows)


def encode_results(results: Results) -> bytes:
    """The JSON text of a results file."""
    return msgspec.json.format(msgspec.json.encode(results, order="deterministic"), indent=1) + b"\n"


def decode_results(data: bytes, label: str) -> Results:
    """Reads a results file strictly.

    Args:
        data: The JSON text.
        label: What to call the file in messages.

    Raises:
        InputError: It is none, it is cut off, or of another format.
    """
    if len(data) > _MAX_BYTES:
        raise InputError(f"{label} has {len(data)} bytes, at most {_MAX_BYTES} are allowed.")
    return decode_strict(
        data,
        Results,
        label,
        error=InputError,
        unsound=f"{label} is no sound results file",
        format_=FORMAT,
        fix="run edgeml bench again.",
    )


def read_results(path: Path) -> Results:
    """Reads a results file strictly.

    Raises:
        InputError: It is missing, none, cut off, or of another format.
        StorageError: It cannot be read.
    """
    return decode_results(read_bytes(path), path.name)


def pack_times(times_ns: np.ndarray) -> Times:
    """The compact form of times.

    Args:
        times_ns: Nanoseconds ``[count]``, not negative, in the order taken.
    """
    kept = times_ns[:: -(-len(times_ns) // _KEPT_TIMES) or 1]
    unit = max(1.0, float(np.median(kept)) / _STEPS, float(kept.max()) / _UINT32) if len(kept) else 1.0
    units = np.minimum(np.rint(kept / unit), _UINT32).astype("<u4")
    return Times(len(kept), unit, base64.b64encode(zlib.compress(units.tobytes(), 9)).decode())


def unpack_times(times: Times, label: str = "a measurement") -> np.ndarray:
    """Nanoseconds ``[count]``, float64, in the order taken.

    Args:
        times: The compact form.
        label: What to call the measurement in messages.

    Raises:
        InputError: The text is no such data, or holds another number of times than it says.
    """
    expected, fix = 4 * times.count, "run edgeml bench again."
    try:
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(base64.b64decode(times.data, validate=True), expected + 1)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise InputError(f"The times of {label} cannot be read: {error}.", fix=fix) from error
    if len(data) != expected or not unpacker.eof:
        raise InputError(f"The times of {label} are damaged: there are not {times.count} of them.", fix=fix)
    return np.frombuffer(data, "<u4") * times.unit_ns
