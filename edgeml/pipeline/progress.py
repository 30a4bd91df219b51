"""Progress of long work: steps, and a bar in a terminal or notebook."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from edgeml.core.system.text import printable

__all__ = ["Progress", "Step", "show_progress"]


@dataclass(frozen=True, slots=True)
class Step:
    """A step of long work.

    Attributes:
        done: Number of steps that are done.
        total: Number of all steps.
        text: Description of the step that begins.
    """

    done: int
    total: int
    text: str


Progress: TypeAlias = Callable[[Step], object] | bool | None
"""Display of progress: None or True for a bar in a terminal or notebook, False for none, or a function of a `Step`."""


@contextlib.contextmanager
def show_progress(progress: Progress) -> Iterator[Callable[[Step], Any]]:
    """Show the progress of the work in the block.

    Args:
        progress: None or True shows a bar on stderr in a terminal, or in the output of a notebook, and nothing
            elsewhere. False shows nothing. A function is called before each step.

    Yields:
        Function to call before each step. The bar disappears at the end of the block.
    """
    if callable(progress):
        yield progress
    elif progress is False:
        yield _ignore
    elif _in_notebook():
        with _notebook_bar() as update:
            yield update
    elif _is_terminal():
        with _terminal_bar() as update:
            yield update
    else:
        yield _ignore


def _ignore(step: Step) -> None:
    pass


def _is_terminal() -> bool:
    return sys.stderr is not None and sys.stderr.isatty()


def _in_notebook() -> bool:
    """Return whether the code runs in a kernel that shows HTML, as Jupyter's does."""
    ipython: Any = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


@contextlib.contextmanager
def _terminal_bar() -> Iterator[Callable[[Step], Any]]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=Console(stderr=True, highlight=False, markup=False),
        transient=True,
    ) as bar:
        task = bar.add_task("starting", total=None)

        def update(step: Step) -> None:
            bar.update(task, description=printable(step.text), completed=step.done, total=step.total)

        yield update


@contextlib.contextmanager
def _notebook_bar() -> Iterator[Callable[[Step], Any]]:
    """Show a bar by HTML alone: rich needs ipywidgets in a notebook, which not every environment has."""
    import html
    import importlib

    display: Any = importlib.import_module("IPython.display")
    handle = display.display(display.HTML("starting"), display_id=True)

    def update(step: Step) -> None:
        text = html.escape(printable(step.text))
        bar = f'<progress value="{step.done}" max="{step.total}"></progress>'
        handle.update(display.HTML(f"{bar} {step.done}/{step.total} {text}"))

    try:
        yield update
    finally:
        handle.update(display.HTML(""))
