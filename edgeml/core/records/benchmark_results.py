"""Results files of benchmarks: figures with their uncertainty, and the conditions of the measurement."""

from __future__ import annotations

import base64
import binascii
import zlib
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta, field

from edgeml.core.errors import InputError
from edgeml.core.records.record import Record, decode_strict
from edgeml.core.system.files import read_bytes
from edgeml.core.system.machine import Cpu
from edgeml.core.system.text import printable

__all__ = [
    "FORMAT",
    "MAX_RESULTS_BYTES",
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
MAX_RESULTS_BYTES = 2**26
"""Size of the largest results file, in bytes: about 1,500 measurements with all their times."""

_MAX_TIMES = 20_000  # per measurement, about 40 kB
_UNITS_PER_MEDIAN = 2000  # time units per median time, a resolution of 0.05%
_UINT32 = 2**32 - 1
_MEDIAN = 0.5
_WHOLE_RATES = 100  # from here on a rate is shown without decimals

Scenario = Literal["single-stream", "multi-stream", "offline", "server"]
Text = Annotated[str, Meta(max_length=10_000)]
Finite = Annotated[float, Meta(ge=-1e300, le=1e300)]
Count = Annotated[int, Meta(ge=0)]


class Machine(Record, frozen=True):
    """The machine of a measurement.

    Attributes:
        model: Processor name, as reported by the system.
        cpu: Architecture and features of the processor.
        cores: Number of cores that the process could use.
        memory_mb: Physical memory, in megabytes.
        system: Operating system and kernel.
        governor: Frequency governor; empty if unknown.
        python: Version of Python.
        versions: Versions of the distributions that affect the figures, by name.
        device: Name of the device in a lab file, or ``user@host``; empty for the local machine.
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
    """A reference to the measured package.

    Attributes:
        name: Name of the package.
        version: Version of the package.
        digest: ``sha256:`` digest of the whole file.
    """

    name: Text
    version: Text
    digest: Text


class FileRef(Record, frozen=True):
    """A reference to a model file outside of packages.

    Like for artifacts of packages, measurements include quantization and dequantization of integers.

    Attributes:
        name: Name of the file.
        size_bytes: Size of the file.
        digest: ``sha256:`` digest of the file.
        inputs: Description of the inputs: name, dtype and shape.
        outputs: Description of the outputs: name, dtype and shape.
    """

    name: Text
    size_bytes: Count
    digest: Text
    inputs: Text = field(name="takes")
    outputs: Text = field(name="gives")


class Figure(Record, frozen=True):
    """A figure with its 95% interval.

    Attributes:
        value: Estimate.
        low: Lower end of the interval; None if there are too few values for it.
        high: Upper end of the interval; None if there are too few values for it.
    """

    value: Finite
    low: Finite | None = None
    high: Finite | None = None


class Quantile(Record, frozen=True):
    """A quantile of latencies, with a distribution-free 95% interval.

    Attributes:
        at: Probability of the quantile, from 0 to 1.
        ms: Estimate of the quantile, in milliseconds.
    """

    at: Annotated[float, Meta(gt=0, lt=1)]
    ms: Figure


class Times(Record, frozen=True):
    """The times of one measurement in chronological order, in the compact form of `pack_times`.

    Attributes:
        count: Number of times. Of more than 20,000 times, only every second, third … is stored.
        unit_ns: Length of one unit, in nanoseconds.
        data: Little-endian uint32 units, compressed by zlib, in Base64.
    """

    count: Annotated[int, Meta(ge=0, le=_MAX_TIMES)]
    unit_ns: Annotated[float, Meta(gt=0, le=1e18)]
    data: str


class Conditions(Record, frozen=True):
    """Conditions of the machine during a measurement. Values that the system does not report are None.

    Attributes:
        flags: Reasons to doubt the figures, one sentence each.
        others: Fraction of the cores' time that other processes used.
        steal: Fraction of the cores' time that a hypervisor used.
        waited: Fraction of the process's time in which it was runnable without a core.
        preempted: Number of times that the process was preempted.
        mhz_low: Lowest observed frequency of the process's core.
        mhz_high: Highest observed frequency of the process's core.
        celsius: Highest observed temperature.
        throttled: Number of times that the processor throttled because of heat.
        yardstick_us: Median time of a small constant workload that runs at intervals, as a reference for the machine's
            speed.
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
    """The measurement of one artifact on one target, in one scenario.

    Attributes:
        artifact: Recipe of the artifact.
        target: Target that ran the artifact.
        engine: Engine that ran the artifact, with its version.
        scenario: Scenario, as defined by MLPerf.
        threads: Number of threads per call; None for the session's default.
        batch: Samples per query; in the offline scenario, all samples of one call. In the server scenario, whose
            queries have one sample, the largest number of queries merged into one call.
        queries: Number of timed queries.
        warm_up: Number of queries before the timed ones.
        seconds: Duration of the timed queries.
        latency: Quantiles of the latency per query, as far as the number of queries supports them.
        throughput: Samples per second, with an interval by batch means. In the server scenario, the highest rate that
            met the latency bound; None if no rate did.
        size_bytes: Size of the artifact.
        conditions: Conditions of the machine.
        times: Times of the queries.
        latency_bound_ms: Bound of the 99th percentile in the server scenario.
        arena_bytes: Arena size in TFLite Micro.
        cold_start_ms: Time from the start of a process to the first output, median of several runs.
        peak_mb: Peak resident memory above that of an idle process with the engine loaded.
        joules: Energy per sample; None if the machine does not report it.
        preprocessing_ms: Preprocessing time of one raw sample in a single stream, for packages that declare
            preprocessing.
        sizes: Numbers of the artifact's free sizes, by name; empty without free sizes.
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
    sizes: dict[Text, Count] = msgspec.field(default_factory=dict)

    def __repr__(self) -> str:
        median = _median_ms(self)
        latency = "" if median is None else f"median {median:.4g} ms"
        throughput = "" if self.throughput is None else f"{_rate_text(self.throughput.value)} samples/s"
        title = printable(f"{self.artifact} on {self.target}, {self.scenario}")
        return f"<Measurement {title}: {', '.join(filter(None, (latency, throughput))) or 'no figures'}>"

    def _repr_html_(self) -> str:
        return _measurements_html("Measurement", (self,))


class Comparison(Record, frozen=True):
    """The comparison of two candidates, measured alternately in one run or in two runs.

    Attributes:
        what: Description of the first candidate.
        baseline: Description of the second candidate.
        ratio: Time of the first candidate divided by the time of the second, with its interval.
        verdict: ``indistinguishable`` if the interval contains 1 or has an open end.
        rounds: Number of ratios behind the interval: alternating blocks of one run, or compared segments of two runs.
        conditions: Conditions of the machine.
        baseline_file: The second candidate, if it is a model file outside of packages.
    """

    what: Text
    baseline: Text = field(name="beside")
    ratio: Figure
    verdict: Literal["faster", "slower", "indistinguishable"]
    rounds: Count
    conditions: Conditions
    baseline_file: FileRef | None = field(default=None, name="beside_file")


class GoldenResult(Record, frozen=True):
    """The result of checking an artifact's golden vectors on a device.

    Attributes:
        artifact: Recipe of the artifact.
        family: Family of the engine.
        status: Result of the check.
        detail: Distance from the bound, or the reason why the check was not run.
    """

    artifact: Text
    family: Text
    status: Literal["holds", "fails", "not run"]
    detail: Text


class Results(Record, frozen=True):
    """A results file.

    Attributes:
        format: Format number of the file.
        edgeml: Version of edgeml.
        date: Start of the measurement in UTC, for instance ``2026-11-20T16:00:00Z``.
        machine: Machine of the measurement.
        package: Measured package.
        measurements: Measurements.
        comparisons: Comparisons.
        golden: Results of the package's golden vectors, on devices.
    """

    format: int
    edgeml: Text
    date: Annotated[str, Meta(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z")]
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
    """Return the JSON text of a results file."""
    return msgspec.json.format(msgspec.json.encode(results, order="deterministic"), indent=1) + b"\n"


def decode_results(data: bytes, label: str) -> Results:
    """Decode a results file strictly.

    Args:
        data: The JSON text.
        label: Name of the file in messages.

    Raises:
        InputError: The file is invalid, truncated or of another format.
    """
    return decode_strict(
        data,
        Results,
        label,
        error=InputError,
        unsound=f"{label} is not a valid results file",
        format_=FORMAT,
        fix="run edgeml bench again.",
    )


def read_results(path: Path) -> Results:
    """Read a results file strictly.

    Raises:
        InputError: The file is missing, invalid, truncated or of another format.
        StorageError: The file cannot be read.
    """
    return decode_results(read_bytes(path, limit=MAX_RESULTS_BYTES), path.name)


def pack_times(times_ns: np.ndarray) -> Times:
    """Convert times to their compact form.

    Args:
        times_ns: Non-negative nanoseconds ``[count]``, in chronological order.
    """
    sampled = times_ns[:: -(-len(times_ns) // _MAX_TIMES) or 1]
    unit = (
        max(1.0, float(np.median(sampled)) / _UNITS_PER_MEDIAN, float(sampled.max()) / _UINT32) if len(sampled) else 1.0
    )
    units = np.minimum(np.rint(sampled / unit), _UINT32).astype("<u4")
    return Times(len(sampled), unit, base64.b64encode(zlib.compress(units.tobytes(), 9)).decode())


def unpack_times(times: Times, label: str = "a measurement") -> np.ndarray:
    """Convert times from their compact form.

    Args:
        times: The compact form.
        label: Name of the measurement in messages.

    Returns:
        Nanoseconds ``[count]``, float64, in chronological order.

    Raises:
        InputError: The data are corrupt, or contain another number of times than declared.
    """
    expected, fix = 4 * times.count, "run edgeml bench again."
    try:
        unpacker = zlib.decompressobj()
        data = unpacker.decompress(base64.b64decode(times.data, validate=True), expected + 1)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise InputError(f"The times of {label} cannot be read: {error}.", fix=fix) from error
    if len(data) != expected or not unpacker.eof:
        raise InputError(f"The times of {label} are corrupt: expected {times.count} values.", fix=fix)
    return np.frombuffer(data, "<u4") * times.unit_ns
