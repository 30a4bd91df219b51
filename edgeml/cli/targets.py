"""`edgeml targets`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import click

from edgeml.cli.output import console, json_option, print_json, show_conflict

if TYPE_CHECKING:
    from edgeml.core.registry.targets import Target

__all__ = ["command"]


@click.command("targets", short_help="Show what this machine can run packages on.")
@json_option
def command(*, as_json: bool) -> None:
    """Show the targets of this machine, the precisions that each supports, and how to add others.

    \b
    edgeml targets
    edgeml targets --json | jq '.[] | select(.available) | .name'

    Targets that this kind of machine cannot have are listed at the end, without advice.
    """
    from edgeml.core.registry.targets import NoSettings, Target, TargetProbe
    from edgeml.core.system.temporary import TemporaryFolder
    from edgeml.core.system.worker import Worker

    with (  # drivers and plug-ins are native code, and may print or crash
        TemporaryFolder() as folder,
        Worker(f"{TargetProbe.__module__}:TargetProbe", NoSettings(), folder) as child,
    ):
        targets = child.call("targets", returns=tuple[Target, ...])
    show_conflict()
    if as_json:
        print_json(targets)
        return
    out = console()
    for line in _lines(targets):
        out.print(line, soft_wrap=True)


def _lines(targets: Iterable[Target]) -> Iterator[str]:
    """Yield the available targets, those that can be added with the way to do it, and the others."""
    others = []
    for target in targets:
        if target.available:
            engine = f"{target.engine} {target.version or ''}".rstrip()
            kinds = ", ".join(recipe.partition("-")[2] for recipe in target.recipes)
            yield f"{target.name:9} {target.format:7} {engine}: {kinds}"
        else:
            others.append(target)
    for title, group in (
        ("can be added:", [target for target in others if target.fix]),
        ("not for this machine:", [target for target in others if not target.fix]),
    ):
        if group:
            yield ""
            yield title
        for target in group:
            yield f"{target.name:9} {target.format:7} {target.engine}: {target.reason}"
            if target.fix:
                yield f"{'':17} fix: {target.fix}"
