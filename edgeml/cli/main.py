"""Entry point of the command line: the group of commands, and the messages and exit codes of errors."""

from __future__ import annotations

import contextlib
import errno
import importlib
import io
import math
import os
import resource
import signal
import sys
import traceback
from difflib import get_close_matches
from types import FrameType
from typing import NoReturn

import click

from edgeml._version import __version__
from edgeml.cli.output import print_error_json, printable, replace_unencodable, show_conflict, show_error
from edgeml.cli.verbosity import LOGGER, logging_handlers, verbosity_options
from edgeml.core.errors import (
    ConversionError,
    EdgemlError,
    PackageError,
    ResourceError,
    StorageError,
    UnsupportedModelError,
)
from edgeml.core.records.error_record import ErrorRecord, error_record
from edgeml.core.system.installation import find_damage

__all__ = ["cli", "exit_code", "main"]

EXIT_REFUSED, EXIT_USAGE, EXIT_UNSOUND, EXIT_BUG, EXIT_INTERRUPTED = 1, 2, 3, 70, 130

_STORAGE_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})
_PATH_ERRORS = frozenset({errno.ENAMETOOLONG, errno.ELOOP})
_RESOURCE_ERRORS = frozenset({errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.EAGAIN})
_LEAST_MB, _PLENTY_MB = 110, 1000  # of address space: with less NumPy's OpenBLAS ends the process, or by its threads
_COMMANDS = (
    "demo", "train", "build", "inspect", "verify", "predict", "diff", "explain", "bench", "report", "targets", "help",
)  # fmt: skip
_SYNONYMS = {
    "benchmark": "bench",
    "check": "verify",
    "compare": "diff",
    "convert": "build",
    "infer": "predict",
    "info": "inspect",
    "run": "predict",
    "show": "inspect",
}
"""Names of other tools by which people look for a command."""


class _ReaderGoneError(Exception):
    """The program that reads standard output ended, as ``head`` does."""


class _Commands(click.Group):
    """A group that loads a command's module when it is used, so that ``--help`` and small commands start fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"edgeml.cli.{cmd_name}").command
        if not any(parameter.name == "log_file" for parameter in command.params):
            command.params.extend(verbosity_options())
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name in _COMMANDS or name.startswith("-") or ctx.resilient_parsing:
            return super().resolve_command(ctx, args)
        near = [_SYNONYMS[name]] if name in _SYNONYMS else get_close_matches(name, _COMMANDS)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"The commands are {', '.join(_COMMANDS)}."
        raise click.UsageError(f"No such command '{name}'. {hint}", ctx)

    def invoke(self, ctx: click.Context) -> object:
        try:
            result: object = super().invoke(ctx)
            sys.stdout.flush()  # else a failure would only show when Python ends
        except BrokenPipeError as error:  # click would exit with 1: refused
            raise _ReaderGoneError from error
        return result


def _show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:  # noqa: ARG001  # click
    if value and not ctx.resilient_parsing:
        click.echo(f"edgeml, version {__version__}")
        show_conflict()
        ctx.exit()


@click.group(
    cls=_Commands,
    params=verbosity_options(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version,
    help="Show the version and exit.",
)  # fmt: skip
def cli() -> None:
    """Turn a trained model into a proven package for the edge, and run it.

    \b
    edgeml demo                                  see all steps on two small models
    edgeml train digits.toml -o digits           train a model, and package it
    edgeml build net.keras -o net.edgeml \\
      --calibration cal.npz --evaluation eval.npz  convert, prove and package a model
    edgeml inspect net.edgeml                    show the contents of a package
    edgeml verify net.edgeml                     check it on this machine
    edgeml predict net.edgeml x.npy -o out.npz   run it
    edgeml diff net.edgeml new.edgeml            show what an update would change
    edgeml bench net.edgeml                      measure its artifacts on this machine
    edgeml explain net.edgeml                    explain each artifact's verdict
    edgeml report net.edgeml -o report.html      write a page about it
    edgeml targets                               list where this machine can run packages
    edgeml help build                            show the help of a command

    Results go to stdout, as text or with --json as JSON; progress, notes and errors go to stderr.

    \b
    Exit codes: 0 success; 1 refused, or a goal missed; 2 bad usage or input, a missing extra, or
    storage that fails; 3 a corrupt package, or a digest or golden vector that does not match;
    70 a bug; 130 interrupted.
    """


def main() -> NoReturn:
    """Run the command line and exit."""
    _open_standard_streams()
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup sets it
            signal.signal(number, _terminate)
    replace_unencodable()
    sys.exit(_run(sys.argv[1:]))


def _open_standard_streams() -> None:
    """Open standard streams that the caller closed: the next file would become one of them."""
    for descriptor, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number
        if getattr(sys, name) is None:
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115  # stays open


def _check_address_space() -> None:
    space_mb = _address_space_mb()
    if space_mb < _LEAST_MB:
        raise ResourceError(
            f"The address space of this process is limited to {space_mb:.0f} MB, expected at least {_LEAST_MB} MB.",
            fix="raise the limit: ulimit -v.",
        )
    if space_mb < _PLENTY_MB:
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def _terminate(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001  # signature of handlers
    raise SystemExit(128 + number)  # unwinds, so that children end and temporary files are removed


def _run(arguments: list[str]) -> int:
    error: ErrorRecord | None = None
    code = 0
    try:
        with logging_handlers():
            try:
                damage = find_damage()
                if damage is not None:
                    raise EdgemlError(damage.message, fix=damage.fix)
                _check_address_space()
                code = int(cli.main(standalone_mode=False) or 0)
                LOGGER.debug("exit code %d", code)
            except _ReaderGoneError:
                _discard_buffered_output()
                code = EXIT_INTERRUPTED
            except (Exception, KeyboardInterrupt) as problem:  # noqa: BLE001  # the last resort
                error = _show(problem)
                LOGGER.debug("%s: %s", error.kind, error.message, exc_info=problem)
    except KeyboardInterrupt as problem:
        error = _show(problem)
    if error is None:
        return code
    if "--json" in arguments[: arguments.index("--")] if "--" in arguments else "--json" in arguments:
        with contextlib.suppress(OSError):  # nobody reads it
            print_error_json(error)
    return error.exit_code


def _discard_buffered_output() -> None:
    """Let the rest of standard output go nowhere, which Python would try to write at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show(problem: BaseException) -> ErrorRecord:
    """Print an exception for people, and return its record."""
    if isinstance(problem, click.exceptions.Abort | KeyboardInterrupt):  # the first is click's name for Ctrl-C
        click.echo("Interrupted.", err=True)
        return ErrorRecord(kind="Interrupted", message="Interrupted.", exit_code=EXIT_INTERRUPTED)
    if isinstance(problem, click.ClickException):
        text = io.StringIO()
        problem.show(file=text)
        for line in text.getvalue().splitlines():
            click.echo(printable(line.expandtabs(2)), err=True)
        context = getattr(problem, "ctx", None)
        fix = f"see {context.command_path} --help." if context is not None else ""
        message = problem.format_message()
        return ErrorRecord(kind="UsageError", message=message, fix=fix, exit_code=problem.exit_code)
    if isinstance(problem, OSError) and problem.errno in _STORAGE_ERRORS:  # files are wrapped where they are written
        if problem.filename is None:
            _discard_buffered_output()
        problem = StorageError(
            f"{problem.filename or 'Standard output'} cannot be written: {problem.strerror}.",
            fix="free some space, or write to another place.",
        )
    if isinstance(problem, OSError) and problem.errno in _PATH_ERRORS:
        problem = StorageError(f"{problem.filename} cannot be used: {problem.strerror}.", fix="give another path.")
    if _lacks_resources(problem):
        reason = str(problem) or "out of memory"
        problem = ResourceError(
            f"The machine or a limit on this process lacks memory or file descriptors: {reason}.",
            fix="close other programs, raise the limit (ulimit -a shows all), or use smaller data.",
        )
    if isinstance(problem, EdgemlError):
        show_error(problem)
        return error_record(problem, exit_code(problem))
    traceback.print_exception(problem)
    click.echo("This is a bug in edgeml. Please report it with the lines above.", err=True)
    return ErrorRecord(
        kind="InternalError",
        message=f"{type(problem).__name__}: {problem}",
        fix="report it as a bug in edgeml, with the log.",
        log="".join(traceback.format_exception(problem)),
        exit_code=EXIT_BUG,
    )


def _lacks_resources(problem: BaseException) -> bool:
    if isinstance(problem, ImportError):  # a shared library that does not fit raises no MemoryError
        return _address_space_mb() < math.inf
    return isinstance(problem, MemoryError) or (isinstance(problem, OSError) and problem.errno in _RESOURCE_ERRORS)


def _address_space_mb() -> float:
    """Return the limit of this process's address space."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return math.inf if limit == resource.RLIM_INFINITY else limit / 2**20


def exit_code(error: EdgemlError) -> int:
    """Return the exit code of a command that ends with the error."""
    if isinstance(error, PackageError):
        return EXIT_UNSOUND
    if isinstance(error, UnsupportedModelError | ConversionError):
        return EXIT_REFUSED
    return EXIT_USAGE
