"""The options of a command as one value."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click
from msgspec import Struct

__all__ = ["options_as"]

Options = TypeVar("Options", bound=Struct)


def options_as(kind: type[Options]) -> Callable[[Callable[[click.Context, Options], None]], Callable[..., None]]:
    """Give a command's function its options and arguments as one struct: a decorator below those of click.

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
