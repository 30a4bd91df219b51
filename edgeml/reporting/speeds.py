"""Speed of each artifact, under comparable conditions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from edgeml.core.records.benchmark_results import Figure, Measurement
from edgeml.package.manifest import ArtifactRecord, Manifest
from edgeml.reporting.formatting import interval_bounds, latency_quantile
from edgeml.reporting.inputs import Device

__all__ = ["Speed", "select_fastest", "select_single_stream", "speeds_by_machine"]

_MEDIAN = 0.5


@dataclass(frozen=True, slots=True)
class Speed:
    """The latency of one sample.

    Attributes:
        recipe: Recipe of the artifact.
        median: Median, in milliseconds.
        high: High quantile, in milliseconds; None if the number of queries does not support one.
        high_at: Level of the high quantile, between 0 and 1.
        target: Target that the artifact ran on.
        threads: Cores that a call could use; None for the session's default.
        throughput: Highest rate of the offline scenario under any setting, in samples per second; None if it was not
            measured.
    """

    recipe: str
    median: Figure
    high: Figure | None
    high_at: float
    target: str
    threads: int | None
    throughput: Figure | None = None


def speeds_by_machine(manifest: Manifest, devices: Sequence[Device]) -> dict[str, dict[str, Speed]]:
    """Return speeds by machine and recipe, of the machines that timed single samples.

    Without such machines, the speeds are those that the package holds of the machine that built it.
    """
    measured = {device.name: _measured_speeds(device.results.measurements) for device in devices}
    if any(measured.values()):
        return {name: speeds for name, speeds in measured.items() if speeds}
    packaged = {
        record.recipe: Speed(
            record.recipe,
            Figure(record.measurement.median_ms),
            Figure(record.measurement.p95_ms),
            0.95,
            "cpu",
            1,
        )
        for record in manifest.artifacts
        if record.measurement is not None
    }
    return {"the machine that built the package": packaged} if packaged else {}


def select_single_stream(measurements: Sequence[Measurement]) -> list[Measurement]:
    """Return the measurements of the latency of single samples."""
    return [
        item
        for item in measurements
        if item.batch == 1 and item.scenario == "single-stream" and latency_quantile(item, _MEDIAN)
    ]


def _measured_speeds(measurements: Sequence[Measurement]) -> dict[str, Speed]:
    """Return speeds under the setting with the most artifacts; among equals, the CPU with the fewest threads."""
    usable = select_single_stream(measurements)
    counts = Counter((item.target, item.threads) for item in usable)
    if not counts:
        return {}
    setting = min(counts, key=lambda key: (-counts[key], key[0] != "cpu", key[0], key[1] or 0))
    rates: dict[str, Figure] = {}
    for item in measurements:
        best = rates.get(item.artifact)
        if item.scenario == "offline" and item.throughput and (best is None or item.throughput.value > best.value):
            rates[item.artifact] = item.throughput
    speeds = {}
    for item in usable:
        if (item.target, item.threads) == setting and item.artifact not in speeds:
            median = latency_quantile(item, _MEDIAN)
            assert median is not None
            high_at = next((at for at in (0.9, 0.95, 0.99) if latency_quantile(item, at)), 0.9)
            speeds[item.artifact] = Speed(
                item.artifact, median, latency_quantile(item, high_at), high_at, *setting, rates.get(item.artifact)
            )
    return speeds


def select_fastest(
    records: Sequence[ArtifactRecord], speeds: dict[str, Speed], sizes: dict[str, int]
) -> tuple[ArtifactRecord, str] | None:
    """Select the fastest artifact; among artifacts that are statistically as fast, the smallest.

    Args:
        records: Artifacts to choose from.
        speeds: Speeds of the measured artifacts, by recipe.
        sizes: Sizes in bytes, by recipe.

    Returns:
        The artifact and the reason for the choice; None without artifacts.
    """
    if not records:
        return None
    measured = [record for record in records if record.recipe in speeds]
    if not measured:
        best = min(records, key=lambda record: sizes[record.recipe])
        return best, "the smallest of those released; latency was not measured"
    fastest = min(measured, key=lambda record: speeds[record.recipe].median.value)
    limit = interval_bounds(speeds[fastest.recipe].median)[1]
    equals = [record for record in measured if interval_bounds(speeds[record.recipe].median)[0] <= limit]
    best = min(equals, key=lambda record: (sizes[record.recipe], speeds[record.recipe].median.value))
    scope = f"{len(records)} released artifact{'s' * (len(records) != 1)}"
    if len(measured) < len(records):
        scope = f"the {len(measured)} measured of {scope}"
    if len(equals) == 1:
        return fastest, f"the fastest of {scope}"
    return best, f"the smallest of {len(equals)} that are equally fast within their intervals, among {scope}"
