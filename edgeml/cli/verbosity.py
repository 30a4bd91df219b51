"""Options `--verbose`, `--quiet` and `--log-file`: what a command reports of its work beside the result."""

from __future__ import annotations

import contextlib
import logging
import platform
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from edgeml._version import __version__
from edgeml.core.errors import InputError, StorageError
from edgeml.core.system.text import printable

__all__ = ["is_quiet", "logging_handlers", "verbosity_options"]

LOGGER = logging.getLogger("edgeml")

_QUIET = "edgeml.quiet"
_LINE = re.compile(rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ edgeml")
_LINE_BYTES = 80


class _StderrHandler(logging.Handler):
    """Prints records on standard error, without what could steer a terminal."""

    def emit(self, record: logging.LogRecord) -> None:
        for line in self.format(record).splitlines():
            click.echo(printable(line), err=True)


class _Formatter(logging.Formatter):
    """Lines such as ``warning: …``; of notes the message alone."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        return f"{record.levelname.lower()}: {text}" if record.levelno >= logging.WARNING else text


@contextlib.contextmanager
def logging_handlers() -> Iterator[None]:
    """Print warnings of the logger ``edgeml`` on standard error during the block, and undo all changes after it."""
    level, propagate, handlers = LOGGER.level, LOGGER.propagate, [*LOGGER.handlers]
    handler = _StderrHandler(logging.WARNING)
    handler.setFormatter(_Formatter("%(message)s"))
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.WARNING)
    LOGGER.propagate = False
    try:
        yield
    finally:
        for item in [*LOGGER.handlers]:
            if item not in handlers:
                LOGGER.removeHandler(item)
                item.close()
        LOGGER.setLevel(level)
        LOGGER.propagate = propagate


def verbosity_options() -> list[click.Parameter]:
    """Return the options that all commands share. They also work before the name of the command."""
    return [
        click.Option(
            ["-v", "--verbose"], count=True, expose_value=False, callback=_set_verbose,
            help="Report the steps on stderr; -vv reports more.",
        ),
        click.Option(
            ["-q", "--quiet"], is_flag=True, expose_value=False, callback=_set_quiet,
            help="Print only the result, and errors.",
        ),
        click.Option(
            ["--log-file"], type=click.Path(path_type=Path), metavar="FILE", expose_value=False, callback=_set_log_file,
            help="Append a log with times and details to FILE.",
        ),
    ]  # fmt: skip


def is_quiet() -> bool:
    """Return whether the current command was called with ``--quiet``."""
    context = click.get_current_context(silent=True)
    return context is not None and bool(context.meta.get(_QUIET))


def _set_verbose(context: click.Context, parameter: click.Parameter, value: int) -> None:  # noqa: ARG001
    if value:
        _set_level(logging.INFO if value == 1 else logging.DEBUG)
        for handler in LOGGER.handlers:
            if isinstance(handler, _StderrHandler):
                _log_start(handler)


def _set_quiet(context: click.Context, parameter: click.Parameter, value: bool) -> None:  # noqa: ARG001
    if value:
        context.meta[_QUIET] = True
        _set_level(logging.ERROR)


def _set_level(level: int) -> None:
    for handler in LOGGER.handlers:
        if isinstance(handler, _StderrHandler):
            handler.setLevel(level)
    LOGGER.setLevel(min(level, LOGGER.level))


def _set_log_file(context: click.Context, parameter: click.Parameter, value: Path | None) -> None:  # noqa: ARG001
    if value is None:
        return
    try:
        head = value.open("rb").read(_LINE_BYTES) if value.exists() else b""
        if head and not _LINE.match(head):
            raise InputError(f"--log-file: {value} exists and is not a log of edgeml.", fix="give another --log-file.")
        handler = logging.FileHandler(value, encoding="utf-8")
    except OSError as error:
        raise StorageError(
            f"--log-file: {value} cannot be written: {error.strerror or error}.", fix="give another --log-file."
        ) from error
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    LOGGER.addHandler(handler)
    LOGGER.setLevel(logging.DEBUG)
    _log_start(handler)


def _log_start(handler: logging.Handler) -> None:
    """Log the first line of a run."""
    if handler.level <= logging.DEBUG:
        text, values = "edgeml %s, Python %s: %s", (__version__, platform.python_version(), sys.argv[1:])
        handler.handle(LOGGER.makeRecord(LOGGER.name, logging.DEBUG, __file__, 0, text, values, None))
