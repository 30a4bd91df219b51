"""Figures and names as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from edgeml.core.records.benchmark_results import Figure, Measurement
from edgeml.core.records.evidence import Drop, ErrorRise
from edgeml.core.system.text import printable

__all__ = [
    "bounded",
    "bounded_above_0",
    "configuration",
    "decibels",
    "drop_text",
    "drop_title",
    "first",
    "interval",
    "kilobytes",
    "metric_text",
    "metric_title",
    "milliseconds",
    "points",
    "quantile",
    "rate",
    "rise_text",
    "shown",
    "threads_text",
    "unit_of_drop",
]

T = TypeVar("T")
_LONGEST = 60
_LARGE = 1e9  # from here on figures have exponents, which no column is too narrow for


def shown(text: object, longest: int = _LONGEST) -> str:
    """A name or a label as text of bounded length, with all that is not seen written out."""
    seen = printable(str(text))
    return seen if len(seen) <= longest else f"{seen[: longest - 1]}…"


def first(items: Sequence[T], most: int) -> tuple[tuple[T, ...], int]:
    """The first items, and how many were left out."""
    return tuple(items[:most]), max(0, len(items) - most)


def decibels(value: float) -> str:
    """With one place."""
    return format(value, _form(value, ".1f"))


def _form(value: float, form: str) -> str:
    return form if abs(value) < _LARGE else ".3g"


def kilobytes(size_bytes: int) -> str:
    """In kB of 1000 bytes."""
    return f"{size_bytes / 1000:,.1f}"


def milliseconds(value: float) -> str:
    """With three digits that count, down to hundredths of a microsecond."""
    for least, places in ((100.0, 0), (10.0, 1), (1.0, 2), (0.1, 3), (0.01, 4)):
        if value >= least:
            return f"{value:,.{places}f}"
    return f"{value:.5f}"


def rate(value: float) -> str:
    """Samples a second."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def interval(figure: Figure, form: Callable[[float], str] = milliseconds) -> str:
    """A figure with its interval, where it has one."""
    if figure.low is None or figure.high is None:
        return form(figure.value)
    return f"{form(figure.value)} [{form(figure.low)}, {form(figure.high)}]"


def points(share: float, places: int = 1) -> str:
    """A difference of shares in percentage points, with its sign."""
    return _signed(100 * share, f".{places}f")


def _signed(value: float, form: str) -> str:
    text = f"{value:+{_form(value, form)}}"
    return text.replace("-", "+" if float(text) == 0 else "−")  # there is no −0.0


def drop_text(drop: Drop) -> str:
    """A drop with its interval, in points for accuracy."""
    factor, form = (100, ".1f") if drop.metric == "accuracy" else (1, ".4f")
    value, low, high = (_signed(factor * end, form) for end in (drop.value, drop.low, drop.high))
    return f"{value} [{low}, {high}]"


def metric_title(metric: str) -> str:
    """What a task's main metric is called."""
    return {"r2": "R²", "relative_mse": "relative squared error"}.get(metric, metric)


def drop_title(metric: str) -> str:
    """What a drop is called; of an error it is a rise."""
    return f"{'rise of' if metric == 'relative_mse' else 'drop in'} {metric_title(metric)}"


def metric_text(metric: str, value: float) -> str:
    """A task's main metric, accuracy in percent."""
    return f"{value:.1%}" if metric == "accuracy" else format(value, _form(value, ".4f"))


def rise_text(rise: ErrorRise) -> str:
    """A rise of an error with its interval, in the targets' units."""
    value, low, high = (_signed(end, ".3g") for end in (rise.value, rise.low, rise.high))
    return f"{value} [{low}, {high}]"


def unit_of_drop(metric: str) -> str:
    """What a drop of the metric is called on an axis."""
    return {"accuracy": "Accuracy lost, points", "r2": "R² lost"}.get(metric, "Relative squared error gained")


def quantile(measured: Measurement, at: float) -> Figure | None:
    """A quantile of the latency, where it was found."""
    return next((one.ms for one in measured.latency if abs(one.at - at) < 1e-9), None)  # noqa: PLR2004


def bounded(figure: Figure) -> tuple[float, float]:
    """The ends of a figure's interval, or the figure itself."""
    return (
        figure.value if figure.low is None else figure.low,
        figure.value if figure.high is None else figure.high,
    )


def bounded_above_0(figure: Figure) -> tuple[float, float]:
    """The same for a logarithmic axis, on which a lower end far below the figure stands at a hundredth of it."""
    low, high = bounded(figure)
    return max(low, figure.value / 100), high


def threads_text(count: int | None) -> str:
    """How many threads; None for the session's own choice."""
    return "default threads" if count is None else f"{count} thread{'s' * (count != 1)}"


def configuration(measured: Measurement, *, batch: bool = False) -> str:
    """Where and how an artifact was run, in short."""
    threads = threads_text(measured.threads)
    parts = [shown(measured.target, 24), threads]
    return ", ".join([*parts, f"batch {measured.batch}"] if batch else parts)
