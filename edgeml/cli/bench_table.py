"""Tables of a benchmark: measurements and comparisons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from edgeml.cli.columns import print_columns
from edgeml.cli.output import console
from edgeml.core.free_sizes import size_text
from edgeml.core.records.benchmark_results import Comparison, Conditions, Figure, Measurement

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["columns_of", "comparison_lines", "measurement_table", "ratio_text"]


def measurement_table(measurements: Iterable[Measurement], output: Console | None = None) -> None:
    """Print a row for each measurement, and one for preprocessing; then the conditions that make figures doubtful."""
    from edgeml.measurement.baseline import case_of

    items = list(measurements)
    if not items:
        return
    output = output or console()
    columns = columns_of(items)
    prepared = next((item.preprocessing_ms for item in items if item.preprocessing_ms is not None), None)
    if prepared is not None:  # the same for all artifacts
        cells = {"artifact": "preprocessing", "scenario": "single-stream", "median ms [95%]": _with_interval(prepared)}
        columns = {title: [*column, cells.get(title, "-")] for title, column in columns.items()}
    print_columns(output, columns, keys={"artifact"}, keep={"median ms [95%]"}, left={"target", "scenario"}, gap=2)
    for text in dict.fromkeys(size_text(item.sizes) for item in items if item.sizes):
        output.print(f"measured at {text}", soft_wrap=True)
    _print_doubts({str(case_of(item)): item.conditions for item in items}, output)


def comparison_lines(comparisons: Iterable[Comparison], *, doubts: bool, output: Console | None = None) -> None:
    """Print a line for each comparison; then, with `doubts`, the conditions that make them doubtful."""
    items = list(comparisons)
    output = output or console()
    for item in items:
        than = "from" if item.verdict == "indistinguishable" else "than"
        output.print(
            f"{item.what} is {item.verdict} {than} {item.baseline}: {ratio_text(item.ratio)} of its time.",
            soft_wrap=True,
        )
    for file in dict.fromkeys(item.baseline_file for item in items if item.baseline_file is not None):
        output.print(
            f"{file.name}: {file.size_bytes / 1000:.1f} kB, {file.digest}; input {file.inputs}, output {file.outputs}. "
            "Both sides are measured with inputs and outputs in floats.",
            soft_wrap=True,
        )
    if doubts:
        _print_doubts({item.what: item.conditions for item in items}, output)


def ratio_text(ratio: Figure) -> str:
    """Format a ratio with its interval."""
    if ratio.low is None or ratio.high is None:
        return f"{ratio.value:.3f} times (too few for an interval)"
    return f"{ratio.value:.3f} times [{ratio.low:.3f}, {ratio.high:.3f}]"


def columns_of(measurements: Sequence[Measurement]) -> dict[str, list[str]]:
    """Compose the cells by title; a dash stands for a figure that was not measured."""

    def at(item: Measurement, which: float, *, interval: bool = False) -> str:
        for quantile in item.latency:
            if quantile.at == which:
                return _with_interval(quantile.ms) if interval else _ms(quantile.ms.value)
        return "-"

    columns: dict[str, list[str]] = {
        "artifact": [item.artifact for item in measurements],
        "target": [item.target for item in measurements],
        "scenario": [item.scenario for item in measurements],
        "threads": ["auto" if item.threads is None else str(item.threads) for item in measurements],
        "batch": [str(item.batch) for item in measurements],
        "median ms [95%]": [at(item, 0.5, interval=True) for item in measurements],
        "p90": [at(item, 0.9) for item in measurements],
        "p99": [at(item, 0.99) for item in measurements],
        "samples/s": ["-" if item.throughput is None else f"{item.throughput.value:,.0f}" for item in measurements],
        "kB": [f"{item.size_bytes / 1000:.1f}" for item in measurements],
    }
    if any(item.arena_bytes is not None for item in measurements):
        columns["arena kB"] = ["-" if i.arena_bytes is None else f"{i.arena_bytes / 1000:.1f}" for i in measurements]
    if any(item.cold_start_ms is not None for item in measurements):
        columns["cold ms"] = ["-" if i.cold_start_ms is None else f"{i.cold_start_ms.value:.0f}" for i in measurements]
    if any(item.peak_mb is not None for item in measurements):
        columns["MB"] = ["-" if i.peak_mb is None else f"{i.peak_mb:.1f}" for i in measurements]
    if any(item.joules is not None for item in measurements):
        columns["mJ"] = ["-" if i.joules is None else f"{1000 * i.joules:.3g}" for i in measurements]
    return columns


def _with_interval(figure: Figure) -> str:
    """Format milliseconds with their interval."""
    low, high = figure.low, figure.high
    return _ms(figure.value) + (f" [{_ms(low)}, {_ms(high)}]" if low is not None and high is not None else "")


def _ms(value: float) -> str:
    """Format milliseconds to four digits, and never below a nanosecond."""
    return f"{value:.{max(0, min(6, 3 - _magnitude(value)))}f}"


def _magnitude(value: float) -> int:
    return int(f"{value:e}".partition("e")[2])


def _print_doubts(conditions: Mapping[str, Conditions], output: Console) -> None:
    for name, item in conditions.items():
        if item.flags:
            output.print(f"{name}: {' '.join(item.flags)}", soft_wrap=True)
