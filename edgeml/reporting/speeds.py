"""How fast each artifact is, under conditions that compare."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from edgeml.core.records.benchmark_results import Figure, Measurement
from edgeml.package.manifest import ArtifactRecord, Manifest
from edgeml.reporting.formatting import bounded, quantile
from edgeml.reporting.inputs import Device

__all__ = ["Speed", "fastest", "single_stream", "speeds_by_machine"]

_MEDIAN = 0.5


@dataclass(frozen=True, slots=True)
class Speed:
    """The latency of one sample.

    Attributes:
        median: In milliseconds. `high`: a high percentile; `high_at`: which.
        threads: Cores that a call could use; None for the session's choice.
        throughput: The highest samples a second of the offline scenario under any setting, if it was measured.
    """

    recipe: str
    median: Figure
    high: Figure | None
    high_at: float
    target: str
    threads: int | None
    throughput: Figure | None = None


def speeds_by_machine(manifest: Manifest, devices: Sequence[Device]) -> dict[str, dict[str, Speed]]:
    """By machine that timed single samples, and recipe; without any what the package tells, of that which built it."""
    measured = {device.name: _measured(device.results.measurements) for device in devices}
    if any(measured.values()):
        return {name: speeds for name, speeds in measured.items() if speeds}
    found = {
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
    return {"the machine that built the package": found} if found else {}


def single_stream(measurements: Sequence[Measurement]) -> list[Measurement]:
    """Those that tell the latency of one sample."""
    return [
        one for one in measurements if one.batch == 1 and one.scenario == "single-stream" and quantile(one, _MEDIAN)
    ]


def _measured(measurements: Sequence[Measurement]) -> dict[str, Speed]:
    """All under one setting, that of most artifacts; of several the CPU's with the fewest threads."""
    usable = single_stream(measurements)
    counts = Counter((one.target, one.threads) for one in usable)
    if not counts:
        return {}
    chosen = min(counts, key=lambda key: (-counts[key], key[0] != "cpu", key[0], key[1] or 0))
    rates: dict[str, Figure] = {}
    for one in measurements:
        best = rates.get(one.artifact)
        if one.scenario == "offline" and one.throughput and (best is None or one.throughput.value > best.value):
            rates[one.artifact] = one.throughput
    found = {}
    for one in usable:
        if (one.target, one.threads) == chosen and one.artifact not in found:
            median = quantile(one, _MEDIAN)
            assert median is not None
            high_at = next((at for at in (0.9, 0.95, 0.99) if quantile(one, at)), 0.9)
            found[one.artifact] = Speed(
                one.artifact, median, quantile(one, high_at), high_at, *chosen, rates.get(one.artifact)
            )
    return found


def fastest(
    records: Sequence[ArtifactRecord], speeds: dict[str, Speed], sizes: dict[str, int]
) -> tuple[ArtifactRecord, str] | None:
    """The artifact to take of some, and by what: the fastest; of those that cannot be told from it the smallest.

    Args:
        records: Those to choose among.
        speeds: Of those that were measured.
        sizes: Bytes of each.

    Returns:
        None where there is none.
    """
    if not records:
        return None
    timed = [record for record in records if record.recipe in speeds]
    if not timed:
        best = min(records, key=lambda record: sizes[record.recipe])
        return best, "the smallest of those released; latency was not measured"
    first = min(timed, key=lambda record: speeds[record.recipe].median.value)
    limit = bounded(speeds[first.recipe].median)[1]
    near = [record for record in timed if bounded(speeds[record.recipe].median)[0] <= limit]
    best = min(near, key=lambda record: (sizes[record.recipe], speeds[record.recipe].median.value))
    among = f"{len(records)} released artifact{'s' * (len(records) != 1)}"
    if len(timed) < len(records):
        among = f"the {len(timed)} measured of {among}"
    if len(near) == 1:
        return first, f"the fastest of {among}"
    return best, f"the smallest of {len(near)} that are equally fast, as far as can be told, among {among}"
