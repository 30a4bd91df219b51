"""`edgeml help`."""

from __future__ import annotations

import click

__all__ = ["command"]


@click.command("help", short_help="Show the help of edgeml, or of a command.")
@click.argument("name", metavar="[COMMAND]", required=False)
@click.pass_context
def command(context: click.Context, /, name: str | None) -> None:
    """Show the help of edgeml, or of COMMAND, as `edgeml COMMAND --help` does.

    \b
    edgeml help
    edgeml help build
    """
    parent = context.parent
    assert parent is not None and isinstance(parent.command, click.Group)
    if name is None:
        click.echo(parent.get_help())
        return
    _, named, _ = parent.command.resolve_command(parent, [name])
    assert named is not None  # else the line before raised
    with click.Context(named, info_name=name, parent=parent) as described:
        click.echo(named.get_help(described))
