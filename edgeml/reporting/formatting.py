"""Formatting of figures and names as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from edgeml.core.records.benchmark_results import Figure, Measurement
from edgeml.core.records.evidence import METRIC_NAMES, PERCENT_METRICS, SIGNIFICANCE_LEVEL, Drop, ErrorRise
from edgeml.core.system.text import printable
from edgeml.package.manifest import DataRecord

__all__ = [
    "display_text",
    "drop_axis_title",
    "drop_title",
    "format_configuration",
    "format_db",
    "format_drop",
    "format_interval",
    "format_kb",
    "format_metric",
    "format_ms",
    "format_points",
    "format_rate",
    "format_rise",
    "format_samples",
    "format_significance",
    "format_threads",
    "interval_bounds",
    "latency_quantile",
    "metric_title",
    "positive_bounds",
    "truncate",
]

T = TypeVar("T")
_MAX_LENGTH = 60
_LARGE = 1e9  # figures from here on get an exponent, so that they fit into a column


def display_text(text: object, max_length: int = _MAX_LENGTH) -> str:
    """Convert untrusted text for display: escape invisible characters and truncate it."""
    escaped = printable(str(text))
    return escaped if len(escaped) <= max_length else f"{escaped[: max_length - 1]}…"


def truncate(items: Sequence[T], max_items: int) -> tuple[tuple[T, ...], int]:
    """Return the first items, and the number of items left out."""
    return tuple(items[:max_items]), max(0, len(items) - max_items)


def format_samples(data: DataRecord) -> str:
    """Format the number and the origin of the samples that artifacts were judged on."""
    origin = {"drawn": "random"}.get(data.judged_on, data.judged_on)
    return f"{data.judged_samples:,} {display_text(origin)} samples"


def format_db(value: float) -> str:
    """Format decibels with one decimal."""
    return format(value, _bounded_spec(value, ".1f"))


def _bounded_spec(value: float, spec: str) -> str:
    return spec if abs(value) < _LARGE else ".3g"


def format_kb(size_bytes: int) -> str:
    """Format a size in kB of 1000 bytes."""
    return f"{size_bytes / 1000:,.1f}"


def format_ms(value: float) -> str:
    """Format milliseconds with three significant digits, down to hundredths of a microsecond."""
    for lower_bound, places in ((100.0, 0), (10.0, 1), (1.0, 2), (0.1, 3), (0.01, 4)):
        if value >= lower_bound:
            return f"{value:,.{places}f}"
    return f"{value:.5f}"


def format_rate(value: float) -> str:
    """Format a number of samples per second."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def format_interval(figure: Figure, format_value: Callable[[float], str] = format_ms) -> str:
    """Format a figure, followed by its interval if there is one."""
    if figure.low is None or figure.high is None:
        return format_value(figure.value)
    return f"{format_value(figure.value)} [{format_value(figure.low)}, {format_value(figure.high)}]"


def format_points(share: float) -> str:
    """Format a difference of two shares in percentage points, with its sign and without a unit."""
    return _format_signed(100 * share, ".1f")


def _format_signed(value: float, spec: str) -> str:
    text = f"{value:+{_bounded_spec(value, spec)}}"
    return text.replace("-", "+" if float(text) == 0 else "−")  # no −0.0


def format_drop(drop: Drop) -> str:
    """Format a drop with its interval; of shares in percentage points, with ``%`` as the unit of goals."""
    factor, spec, unit = (100, ".1f", "%") if drop.metric in PERCENT_METRICS else (1, ".4f", "")
    value, low, high = (_format_signed(factor * end, spec) + unit for end in (drop.value, drop.low, drop.high))
    return f"{value} [{low}, {high}]"


def metric_title(metric: str) -> str:
    """Return the name of a task's main metric."""
    return "relative squared error" if metric == "relative_mse" else METRIC_NAMES.get(metric, metric)


def drop_title(metric: str) -> str:
    """Return the name of a drop in a metric; an error metric rises instead."""
    return f"{'rise of' if metric == 'relative_mse' else 'drop in'} {metric_title(metric)}"


def format_metric(metric: str, value: float) -> str:
    """Format a task's main metric; shares in percent."""
    return f"{value:.1%}" if metric in PERCENT_METRICS else format(value, _bounded_spec(value, ".4f"))


def format_rise(rise: ErrorRise) -> str:
    """Format a rise of an error with its interval, in the targets' units."""
    value, low, high = (_format_signed(end, ".3g") for end in (rise.value, rise.low, rise.high))
    return f"{value} [{low}, {high}]"


def drop_axis_title(metric: str) -> str:
    """Return the axis title of drops in a metric."""
    if metric == "relative_mse":
        return "Relative squared error gained"
    title = metric_title(metric)
    return f"{title[0].upper()}{title[1:]} lost{', %' if metric in PERCENT_METRICS else ''}"


def latency_quantile(measurement: Measurement, at: float) -> Figure | None:
    """Return a quantile of the latency, in milliseconds; None if it was not measured."""
    return next((quantile.ms for quantile in measurement.latency if abs(quantile.at - at) < 1e-9), None)  # noqa: PLR2004


def interval_bounds(figure: Figure) -> tuple[float, float]:
    """Return the ends of a figure's interval; the figure itself stands for a missing end."""
    return (
        figure.value if figure.low is None else figure.low,
        figure.value if figure.high is None else figure.high,
    )


def positive_bounds(figure: Figure) -> tuple[float, float]:
    """Return the ends of a figure's interval for a logarithmic axis: the lower end is at least 1% of the figure."""
    low, high = interval_bounds(figure)
    return max(low, figure.value / 100), high


def format_significance(p_value: float) -> str:
    """Format the result of a significance test with its p-value."""
    return f"{'significant' if p_value < SIGNIFICANCE_LEVEL else 'not significant'} (p = {p_value:.2g})"


def format_threads(count: int | None) -> str:
    """Format a number of threads; None is the session's default."""
    return "default threads" if count is None else f"{count} thread{'s' * (count != 1)}"


def format_configuration(measurement: Measurement, *, batch: bool = False) -> str:
    """Format the target, the threads and, on request, the batch size of a measurement."""
    parts = [display_text(measurement.target, 24), format_threads(measurement.threads)]
    return ", ".join([*parts, f"batch {measurement.batch}"] if batch else parts)
