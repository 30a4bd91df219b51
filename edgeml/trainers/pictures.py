"""Plots of a training, as PNG files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgeml.core.tensors import Label
from edgeml.trainers.result import Epoch

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["draw_confusion", "draw_curves"]

_DPI = 120
# Okabe and Ito's palette: distinguishable with color blindness, and by lightness.
_TRAINING, _VALIDATION, _BEST = "#0072B2", "#D55E00", "#1A1A1A"
_MAX_ANNOTATED_CLASSES = 20  # with more, the counts do not fit into the cells
_MAX_NAME_LENGTH = 18


def draw_curves(history: Sequence[Epoch], best: int, *, standardized: bool = False) -> bytes:
    """Draw loss and metric of each epoch, and mark the epoch whose weights were kept.

    Args:
        history: The epochs, at least one.
        best: Number of the epoch that was kept.
        standardized: Whether errors are those of standardized values.

    Returns:
        A PNG file.
    """
    classifies = history[0].accuracy is not None
    unit = ", standard deviations" if standardized else ""
    loss = "Loss (cross-entropy)" if classifies else f"Loss (mean squared error{unit and ', standardized'})"
    metric = "Accuracy (%)" if classifies else f"Mean absolute error{unit}"
    name, factor = ("accuracy", 100.0) if classifies else ("mae", 1.0)
    figure = _figure(10.0, 4.2)
    left, right = figure.subplots(1, 2)
    _draw_curve(left, history, best, "loss", loss, 1.0)
    _draw_curve(right, history, best, name, metric, factor)
    left.legend(frameon=False)
    kept = history[best - 1]
    figure.suptitle(f"Best validation loss {kept.validation_loss:.4g} in epoch {best} of {len(history)}: weights kept")
    return _png(figure)


def _draw_curve(axes: Axes, history: Sequence[Epoch], best: int, name: str, label: str, factor: float) -> None:
    from matplotlib.ticker import MaxNLocator

    epochs = [epoch.number for epoch in history]
    training, validation = (
        [factor * getattr(epoch, f"{kind}{name}") for epoch in history] for kind in ("", "validation_")
    )
    marker = "o" if len(epochs) < 3 else None  # a line with a single point is invisible
    axes.plot(epochs, training, color=_TRAINING, linestyle="--", marker=marker, label="training")
    axes.plot(epochs, validation, color=_VALIDATION, marker=marker, label="validation")
    axes.axvline(best, color=_BEST, linewidth=0.8, linestyle=":")
    value = validation[best - 1]
    axes.plot([best], [value], "o", color=_BEST, zorder=3)
    # Above the axes, so that the text does not cover a curve.
    axes.text(best, 1.01, f"{value:.4g}", transform=axes.get_xaxis_transform(), ha="center", va="bottom")
    axes.set_xlabel("Epoch")
    axes.set_ylabel(label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(y=0.12)
    axes.grid(visible=True, color="#DDDDDD", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def draw_confusion(confusion: Sequence[Sequence[int]], classes: Sequence[Label]) -> bytes:
    """Draw a confusion matrix as a heat map: colors are shares of the true class, numbers are counts.

    Args:
        confusion: Samples of each true class, in rows, by predicted class.
        classes: Names of the classes.

    Returns:
        A PNG file.
    """
    counts = np.array(confusion)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    names = [
        text if len(text := str(label)) <= _MAX_NAME_LENGTH else f"{text[: _MAX_NAME_LENGTH - 1]}…" for label in classes
    ]
    size = min(16.0, 3.2 + 0.45 * len(names) + 0.07 * max(map(len, names)))
    figure = _figure(size + 1.0, size)
    axes = figure.subplots()
    image = axes.imshow(100.0 * shares, cmap="Blues", vmin=0.0, vmax=100.0)
    if len(names) <= _MAX_ANNOTATED_CLASSES:
        for (row, column), count in np.ndenumerate(counts):
            if count:
                color = "white" if shares[row, column] > 0.5 else "black"  # noqa: PLR2004  # where "Blues" is dark
                axes.text(column, row, str(count), ha="center", va="center", color=color, fontsize=9)
    upright = max(map(len, names)) <= 3
    axes.set_xticks(range(len(names)), names, rotation=0 if upright else 45, ha="center" if upright else "right",
                    rotation_mode="anchor" if not upright else "default")  # fmt: skip
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("Predicted class")
    axes.set_ylabel("True class")
    accuracy = np.trace(counts) / max(int(counts.sum()), 1)
    axes.set_title(f"{np.trace(counts)} of {counts.sum()} held-out samples right ({accuracy:.1%})", fontsize=11)
    bar = figure.colorbar(image, ax=axes, shrink=0.8)
    bar.set_label("Share of the true class (%)")
    return _png(figure)


def _figure(width: float, height: float) -> Figure:
    """Return a figure without pyplot, which would keep it and choose a window system."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=_DPI, layout="constrained")


def _png(figure: Figure) -> bytes:
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    buffer = io.BytesIO()
    FigureCanvasAgg(figure).print_figure(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return buffer.getvalue()
