"""`edgeml targets`."""

from __future__ import annotations

import click

from edgeml.cli.output import console, json_option, print_json, show_conflict

__all__ = ["command"]


@click.command("targets", short_help="Show what this machine can run packages on.")
@json_option
def command(*, as_json: bool) -> None:
    """Show the targets of this machine, what each can run, and how to get those that are missing.

    \b
    edgeml targets
    edgeml targets --json | jq '.[] | select(.available) | .name'
    """
    import tempfile
    from pathlib import Path

    from edgeml.core.registry.targets import NoSettings, Target, TargetProbe
    from edgeml.core.system.worker import Worker

    with (  # drivers and plug-ins are native code, and may print or crash
        tempfile.TemporaryDirectory(prefix="edgeml-") as folder,
        Worker(f"{TargetProbe.__module__}:TargetProbe", NoSettings(), Path(folder)) as child,
    ):
        found = child.call("targets", returns=tuple[Target, ...])
    show_conflict()
    if as_json:
        print_json(found)
        return
    out = console()
    for target in found:
        if target.available:
            engine = f"{target.engine} {target.version or ''}".rstrip()
            kinds = ", ".join(recipe.partition("-")[2] for recipe in target.recipes)
            out.print(f"{target.name:9} {target.format:7} {engine}: {kinds}", soft_wrap=True)
    out.print()
    out.print("not available:")
    for target in found:
        if not target.available:
            out.print(f"{target.name:9} {target.format:7} {target.engine}: {target.reason}", soft_wrap=True)
            if target.fix:
                out.print(f"{'':17} fix: {target.fix}", soft_wrap=True)
