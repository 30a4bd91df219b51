"""Options of a command: as one value, under their former names, and those that several commands share."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import click
from msgspec import Struct

from edgeml.cli.verbosity import LOGGER
from edgeml.core.errors import EdgemlError, InputError
from edgeml.core.system.limits import DEFAULT_TIMEOUT_S, Limits

__all__ = [
    "NumberRange",
    "RenamedOptions",
    "limits_of",
    "limits_options",
    "options_as",
    "sizes_of_words",
    "trust_option",
]

_WARNINGS = "edgeml.renamed"

Command = TypeVar("Command", bound=Callable[..., Any])
Options = TypeVar("Options", bound=Struct)


def options_as(kind: type[Options]) -> Callable[[Callable[[click.Context, Options], None]], Callable[..., None]]:
    """Pass options and arguments to a command's function as one struct: a decorator below those of click.

    Args:
        kind: The struct, with a field for each of them.
    """

    def decorate(command: Callable[[click.Context, Options], None]) -> Callable[..., None]:
        @click.pass_context
        @functools.wraps(command)  # the help is its docstring
        def call(ctx: click.Context, /, **values: Any) -> None:
            command(ctx, kind(**values))

        return call

    return decorate


class NumberRange(click.FloatRange):
    """A range of numbers; NaN, which `click.FloatRange` lets through, is outside of each."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the number."""
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"{value} is not a number.", param, ctx)
        return number


def sizes_of_words(words: Iterable[str]) -> dict[str, int | tuple[int, ...]]:
    """Return the numbers of --size NAME=N or NAME=N,M, by name; `build` checks them.

    Raises:
        InputError: A word is not of that form, or a name is listed twice.
    """
    sizes: dict[str, int | tuple[int, ...]] = {}
    for word in words:
        name, _, listed = word.rpartition("=")
        texts = listed.split(",")
        if not name or not all(text.isascii() and text.isdigit() for text in texts):
            raise InputError(
                f"--size: got '{word}', expected NAME=N, or NAME=N,M for a size that stays free.",
                fix="write for instance --size length=16000.",
            )
        if name in sizes:
            raise InputError(f"--size: '{name}' is listed twice.")
        numbers = tuple(int(text[:20]) for text in texts)
        sizes[name] = numbers if len(numbers) > 1 else numbers[0]
    return sizes


trust_option = click.option(
    "--trust-source", is_flag=True, help="Run packages that were built with --trust-source: you trust their author."
)
"""The option of commands that run packages."""


def limits_options(command: Command) -> Command:
    """Add the options --memory and --timeout, which a command passes to `limits_of`."""
    memory = click.option(
        "--memory",
        "memory_mb",
        type=NumberRange(min=0),
        metavar="MB",
        help="Memory for a model, beside its engine and file; default: 256, more for large files; 0: no limit.",
    )
    timeout = click.option(
        "--timeout",
        "timeout_s",
        type=NumberRange(min=0),
        default=DEFAULT_TIMEOUT_S,
        show_default=True,
        metavar="SECONDS",
        help="Time for one call of a model, a sample or a batch; 0: no limit.",
    )
    return memory(timeout(command))


def limits_of(memory_mb: float | None, timeout_s: float) -> Limits:
    """Return the limits that the options --memory and --timeout set."""
    return Limits.checked(math.inf if memory_mb == 0 else memory_mb, timeout_s or math.inf)


class RenamedOptions(click.Command):
    """A command that still accepts the former names of its options, with a warning.

    Args:
        renamed: Current name by former name, as ``{"--target": "--truth"}``.
    """

    def __init__(self, *args: Any, renamed: Mapping[str, str], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self._renamed = renamed

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments, with former names replaced by current ones."""
        warnings = []
        end = args.index("--") if "--" in args else len(args)
        for i, word in enumerate(args[:end]):
            name, equals, value = word.partition("=")
            if name in self._renamed:
                args[i] = f"{self._renamed[name]}{equals}{value}"
                warnings.append(f"{name} is now called {self._renamed[name]}.")
        ctx.meta[_WARNINGS] = warnings
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> object:
        """Run the command, and warn of former names at its end; of an error, its message is enough."""
        warnings: list[str] = ctx.meta[_WARNINGS]
        try:
            return super().invoke(ctx)
        except EdgemlError:
            warnings.clear()
            raise
        finally:
            for warning in warnings:
                LOGGER.warning(warning)
