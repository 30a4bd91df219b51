"""Output of the commands: results on standard output; progress, notes and errors on standard error."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

import click
import msgspec

from edgeml.cli.verbosity import LOGGER, is_quiet
from edgeml.core.errors import EdgemlError
from edgeml.core.records.error_record import ErrorDocument, ErrorRecord
from edgeml.core.system.text import as_unicode, escape_json, printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

__all__ = [
    "Step",
    "console",
    "json_option",
    "notes",
    "print_error_json",
    "print_json",
    "printable",
    "progress",
    "replace_unencodable",
    "show_conflict",
    "show_error",
]

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result, or the error, as JSON on stdout.")

_LOG_LINES = 15
_UNLIMITED_WIDTH = 10_000  # of lines that go to a file or another program


class Step(Protocol):
    """State of the progress. `Step` in `edgeml.pipeline` is an implementation."""

    @property
    def done(self) -> int:
        """Number of finished steps."""
        ...

    @property
    def total(self) -> int:
        """Number of all steps."""
        ...

    @property
    def text(self) -> str:
        """Description of the current step."""
        ...


def console() -> Console:
    """Return the console of a command's result, on standard output.

    Names and labels are printed as text, never as markup. Where the output is not a terminal, lines have no colors and
    any length, unless the variable ``COLUMNS`` limits it.
    """
    return _console(stderr=False)


def notes() -> Console:
    """Return the console of notes, warnings and progress, on standard error; with ``--quiet`` it prints nothing."""
    console = _console(stderr=True)
    console.quiet = is_quiet()
    return console


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    class Plain(Console):
        def render_str(self, text: str, **options: Any) -> Text:
            return super().render_str(printable(text), **options)  # of all text: lines, titles and cells of tables

        def on_broken_pipe(self) -> None:
            raise  # noqa: PLE0704  # rich calls it in its handler; `main` ends the command quietly

    plain = Plain(stderr=stderr, highlight=False, markup=False, soft_wrap=False)
    if not plain.is_terminal and "COLUMNS" not in os.environ:
        plain.width = _UNLIMITED_WIDTH
    return plain


def print_error_json(error: ErrorRecord) -> None:
    """Print the JSON document of an error on standard output."""
    print_json(ErrorDocument(error))


def print_json(value: object) -> None:
    """Print a JSON document on standard output."""
    try:
        data = msgspec.json.encode(value, order="deterministic")
    except UnicodeEncodeError:  # names of files need not be Unicode, as JSON is
        data = msgspec.json.encode(_as_unicode(msgspec.to_builtins(value)), order="deterministic")
    click.echo(escape_json(msgspec.json.format(data, indent=2).decode()))


def _as_unicode(value: object) -> object:
    """Escape halves of characters in the texts of a JSON value."""
    if isinstance(value, str):
        return as_unicode(value)
    if isinstance(value, dict):
        return {as_unicode(key): _as_unicode(item) for key, item in value.items()}
    return [_as_unicode(item) for item in value] if isinstance(value, list | tuple) else value


def show_error(error: EdgemlError) -> None:
    """Print the message, the fix, and the last lines that native code printed, on standard error."""
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
    """Show a progress bar on a terminal, and nothing elsewhere."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    screen = notes()
    if screen.quiet or not screen.is_terminal:
        yield _log_step
        return
    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=screen,
        transient=True,
        redirect_stdout=False,  # results are no part of the bar
    ) as bar:
        task = bar.add_task("starting", total=None)

        def report(step: Step) -> None:
            _log_step(step)
            bar.update(task, description=step.text, completed=step.done, total=step.total)

        yield report


def _log_step(step: Step) -> None:
    LOGGER.info("%d of %d: %s", step.done, step.total, step.text)


def replace_unencodable() -> None:
    """Escape the characters that standard output cannot encode, in place of failing at them."""
    with contextlib.suppress(AttributeError):  # a stream of a test
        sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
