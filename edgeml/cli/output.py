"""What people see, on stderr, and what machines read, on stdout."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click
import msgspec

from edgeml.core.errors import EdgemlError, InputError, StorageError
from edgeml.core.system.text import printable

if TYPE_CHECKING:
    from rich.console import Console

__all__ = [
    "Step",
    "check_output",
    "console",
    "json_option",
    "print_json",
    "printable",
    "progress",
    "show_conflict",
    "show_error",
]

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout.")

_LOG_LINES = 15


class Step(Protocol):
    """Progress: `done` of `total` steps, and what is being done now. `Step` in `edgeml.pipeline` is one."""

    @property
    def done(self) -> int:
        """Steps that are done."""
        ...

    @property
    def total(self) -> int:
        """Of so many."""
        ...

    @property
    def text(self) -> str:
        """What is being done now."""
        ...


def check_output(output: Path, *inputs: Path | None) -> None:
    """Looks at where a command will write before it does its work.

    Raises:
        InputError: It would overwrite one of its own inputs.
        StorageError: The folder is missing or cannot be written, or the output is a folder itself.
    """
    for path in inputs:
        if path is None:
            continue
        if path.resolve() == output.resolve() or (path.exists() and output.exists() and path.samefile(output)):
            raise InputError(f"{output} is also an input, and would be overwritten.", fix="give another --output.")
    folder = output.absolute().parent
    if output.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        why = "it is a folder" if output.is_dir() else "its folder is missing or may not be written to"
        raise StorageError(f"{output} cannot be written: {why}.", fix="give another --output.")


def console() -> Console:
    """Where human text goes. Names and labels are text, never markup."""
    from rich.console import Console

    class Plain(Console):
        def print(self, *objects: Any, **options: Any) -> None:
            super().print(*(printable(item) if isinstance(item, str) else item for item in objects), **options)

    return Plain(stderr=True, highlight=False, markup=False, soft_wrap=False)


def print_json(value: object) -> None:
    """One JSON document on stdout."""
    click.echo(msgspec.json.format(msgspec.json.encode(value, order="deterministic"), indent=2).decode())


def show_error(error: EdgemlError) -> None:
    """The message, the fix, and the end of what native code printed."""
    click.echo(printable(f"error: {error.message}"), err=True)
    if error.fix:
        click.echo(printable(f"fix: {error.fix}"), err=True)
    lines = error.log.strip().splitlines()
    if lines:
        click.echo("the last lines of its log:", err=True)
        for line in lines[-_LOG_LINES:]:
            click.echo(printable(f"  {line[:200]}"), err=True)


def show_conflict() -> None:
    """Warn on stderr where another distribution with a package named ``edgeml`` is installed."""
    from edgeml.core.system.installation import find_conflict

    conflict = find_conflict()
    if conflict is not None:
        click.echo(printable(f"warning: {conflict.message}"), err=True)
        click.echo(printable(f"fix: {conflict.fix}"), err=True)


@contextlib.contextmanager
def progress() -> Iterator[Callable[[Step], None]]:
    """A bar on a terminal, nothing elsewhere."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    shown = console()
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=shown,
        transient=True,
        disable=not shown.is_terminal,
    ) as bar:
        task = bar.add_task("starting", total=None)

        def report(step: Step) -> None:
            bar.update(task, description=step.text, completed=step.done, total=step.total)

        yield report
