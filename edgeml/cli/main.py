"""`edgeml`: the group of commands, and where errors become messages and exit codes."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import traceback
from types import FrameType
from typing import NoReturn

import click

from edgeml._version import __version__
from edgeml.cli.output import show_conflict, show_error
from edgeml.core.errors import ConversionError, EdgemlError, PackageError, UnsupportedModelError
from edgeml.core.system.installation import find_damage

__all__ = ["cli", "exit_code", "main"]

EXIT_REFUSED, EXIT_USAGE, EXIT_UNSOUND, EXIT_BUG, EXIT_INTERRUPTED = 1, 2, 3, 70, 130

_COMMANDS = ("demo", "train", "build", "inspect", "verify", "predict", "diff", "explain", "bench", "report", "targets")


class _Commands(click.Group):
    """Loads a command's module when it is asked for, so that `--help` and small commands start fast."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"edgeml.cli.{cmd_name}").command
        return command


def _show_version(ctx: click.Context, param: click.Parameter, value: bool) -> None:  # noqa: ARG001  # click
    if value and not ctx.resilient_parsing:
        click.echo(f"edgeml, version {__version__}")
        show_conflict()
        ctx.exit()


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--version", is_flag=True, is_eager=True, expose_value=False, callback=_show_version,
    help="Show the version and exit.",
)  # fmt: skip
def cli() -> None:
    """From a trained model to a proven package for the edge, and back to predictions.

    \b
    edgeml demo                                  see the whole way on two small models
    edgeml train digits.toml -o digits           train a model, and package it
    edgeml build net.keras -o net.edgeml \\
      --calibration cal.npz --evaluation eval.npz  convert, prove and package a model
    edgeml inspect net.edgeml                    what a package holds
    edgeml verify net.edgeml                     check it on this machine
    edgeml predict net.edgeml x.npy -o out.npz   run it
    edgeml diff net.edgeml new.edgeml            what an update would change
    edgeml bench net.edgeml                      how fast its artifacts are here
    edgeml explain net.edgeml                    why each artifact's verdict is what it is
    edgeml report net.edgeml -o report.html      all that is known of it, as a page
    edgeml targets                               what this machine can run packages on

    \b
    Exit codes: 0 done; 1 refused, or a goal missed; 2 bad usage or input, a missing extra, storage
    that fails; 3 no sound package, or a digest or golden vector that does not hold; 70 a bug;
    130 interrupted.
    """


def main() -> NoReturn:
    """Runs the command line and exits."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # of nohup
            signal.signal(number, _terminate)
    sys.exit(_run())


def _terminate(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001  # a handler's signature
    raise SystemExit(128 + number)  # unwinds, so that children end and temporary files go


def _run() -> int:
    try:
        damage = find_damage()
        if damage is not None:
            raise EdgemlError(damage.message, fix=damage.fix)
        code = cli.main(standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):  # the first is click's name for Ctrl-C
        click.echo("Interrupted.", err=True)
        code = EXIT_INTERRUPTED
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except EdgemlError as error:
        show_error(error)
        code = exit_code(error)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader has gone: nothing to flush to
        code = EXIT_INTERRUPTED
    except Exception:  # noqa: BLE001  # the last resort: told in full, with another exit code
        traceback.print_exc()
        click.echo("This is a bug in edgeml. Please report it with the lines above.", err=True)
        code = EXIT_BUG
    return int(code or 0)


def exit_code(error: EdgemlError) -> int:
    """The exit code of a command that ends with the error."""
    if isinstance(error, PackageError):
        return EXIT_UNSOUND
    if isinstance(error, UnsupportedModelError | ConversionError):
        return EXIT_REFUSED
    return EXIT_USAGE
