"""The tables of a benchmark: what was measured, and what was compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.table import Table

from edgeml.cli.output import console, printable
from edgeml.core.records.benchmark_results import Comparison, Conditions, Figure, Measurement

__all__ = ["columns_of", "comparison_lines", "measurement_table", "ratio_text"]

# What goes first where the terminal is too narrow for all.
_DISPENSABLE = ("MB", "kB", "cold ms", "p99", "batch", "threads", "target")


def measurement_table(measurements: Iterable[Measurement], output: Console | None = None) -> None:
    """A row for each measurement, and one for preprocessing; then, once each, what makes figures doubtful."""
    from edgeml.measurement.baseline import case_of

    found = list(measurements)
    if not found:
        return
    output = output or console()
    columns = columns_of(found)
    for name in _DISPENSABLE:
        if sum(max(map(len, [title, *cells])) + 2 for title, cells in columns.items()) - 2 <= output.width:
            break
        columns.pop(name, None)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for title in columns:
        left = title in {"artifact", "target", "scenario"}
        table.add_column(title, justify="left" if left else "right", no_wrap=True)
    for row in zip(*columns.values(), strict=True):
        table.add_row(*map(printable, row))
    prepared = next((item.preprocessing_ms for item in found if item.preprocessing_ms is not None), None)
    if prepared is not None:  # the same for all artifacts
        cells = {"artifact": "preprocessing", "scenario": "single-stream", "median ms [95%]": _with_interval(prepared)}
        table.add_row(*(cells.get(title, "-") for title in columns))
    output.print(table)
    _doubts({str(case_of(item)): item.conditions for item in found}, output)


def comparison_lines(comparisons: Iterable[Comparison], *, doubts: bool, output: Console | None = None) -> None:
    """A line for each comparison; then what makes them doubtful, unless it was told of the measurements already."""
    found = list(comparisons)
    output = output or console()
    for item in found:
        than = "from" if item.verdict == "indistinguishable" else "than"
        output.print(
            f"{item.what} is {item.verdict} {than} {item.baseline}: {ratio_text(item.ratio)} of its time.",
            soft_wrap=True,
        )
    for file in dict.fromkeys(item.baseline_file for item in found if item.baseline_file is not None):
        output.print(
            f"{file.name}: {file.size_bytes / 1000:.1f} kB, {file.digest}; takes {file.inputs}, gives {file.outputs}. "
            "Both sides take and give floats.",
            soft_wrap=True,
        )
    if doubts:
        _doubts({item.what: item.conditions for item in found}, output)


def ratio_text(ratio: Figure) -> str:
    """A ratio with its interval."""
    if ratio.low is None or ratio.high is None:
        return f"{ratio.value:.3f} times (too few for an interval)"
    return f"{ratio.value:.3f} times [{ratio.low:.3f}, {ratio.high:.3f}]"


def columns_of(found: Sequence[Measurement]) -> dict[str, list[str]]:
    """Cells by title; a dash for what was not measured."""

    def at(item: Measurement, which: float, *, interval: bool = False) -> str:
        for quantile in item.latency:
            if quantile.at == which:
                return _with_interval(quantile.ms) if interval else _ms(quantile.ms.value)
        return "-"

    columns: dict[str, list[str]] = {
        "artifact": [item.artifact for item in found],
        "target": [item.target for item in found],
        "scenario": [item.scenario for item in found],
        "threads": ["auto" if item.threads is None else str(item.threads) for item in found],
        "batch": [str(item.batch) for item in found],
        "median ms [95%]": [at(item, 0.5, interval=True) for item in found],
        "p90": [at(item, 0.9) for item in found],
        "p99": [at(item, 0.99) for item in found],
        "samples/s": ["-" if item.throughput is None else f"{item.throughput.value:,.0f}" for item in found],
        "kB": [f"{item.size_bytes / 1000:.1f}" for item in found],
    }
    if any(item.arena_bytes is not None for item in found):
        columns["arena kB"] = ["-" if i.arena_bytes is None else f"{i.arena_bytes / 1000:.1f}" for i in found]
    if any(item.cold_start_ms is not None for item in found):
        columns["cold ms"] = ["-" if i.cold_start_ms is None else f"{i.cold_start_ms.value:.0f}" for i in found]
    if any(item.peak_mb is not None for item in found):
        columns["MB"] = ["-" if i.peak_mb is None else f"{i.peak_mb:.1f}" for i in found]
    if any(item.joules is not None for item in found):
        columns["mJ"] = ["-" if i.joules is None else f"{1000 * i.joules:.3g}" for i in found]
    return columns


def _with_interval(figure: Figure) -> str:
    """Milliseconds with their interval."""
    low, high = figure.low, figure.high
    return _ms(figure.value) + (f" [{_ms(low)}, {_ms(high)}]" if low is not None and high is not None else "")


def _ms(value: float) -> str:
    """Milliseconds to four digits, of which none stands below a nanosecond."""
    return f"{value:.{max(0, min(6, 3 - _magnitude(value)))}f}"


def _magnitude(value: float) -> int:
    return int(f"{value:e}".partition("e")[2])


def _doubts(conditions: Mapping[str, Conditions], output: Console) -> None:
    for name, found in conditions.items():
        if found.flags:
            output.print(f"{name}: {' '.join(found.flags)}", soft_wrap=True)
