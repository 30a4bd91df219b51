"""`edgeml inspect`."""

from __future__ import annotations

from pathlib import Path

import click

from edgeml.cli.artifact_table import artifact_table
from edgeml.cli.output import console, json_option, print_json

__all__ = ["command"]


@click.command("inspect", short_help="Show what a package holds.")
@click.argument("package", type=click.Path(path_type=Path))
@json_option
def command(package: Path, *, as_json: bool) -> None:
    """Show what PACKAGE holds: its model, its artifacts with their figures and verdicts, what was refused.

    \b
    edgeml inspect net.edgeml
    edgeml inspect net.edgeml --json | jq '.artifacts[].verdict'
    """
    from edgeml.core.encoding import describe_encoding
    from edgeml.core.preprocessing import describe_declaration
    from edgeml.core.tensors import describe_input
    from edgeml.package import open_package

    manifest = open_package(package).manifest
    if as_json:
        print_json(manifest)
        return
    source, data, out = manifest.source, manifest.data, console()
    out.print(f"{manifest.name} {manifest.version}, format {manifest.format}, made by edgeml {manifest.edgeml}")
    out.print(f"source    {source.framework} {source.architecture}, {source.task}, {source.digest[:19]}…")
    for kind, specs in (("input", source.signature.inputs), ("output", source.signature.outputs)):
        for spec in specs:
            shape = ", ".join("batch" if size is None else str(size) for size in spec.shape)
            also = describe_input(spec)
            out.print(f"{kind:9} {spec.name} [{shape}]{' ' * bool(also)}{also}", soft_wrap=True)
    for name, declaration in manifest.preprocessing.items():
        out.print(f"raw       {name}: {describe_declaration(declaration)}", soft_wrap=True)
    for record in manifest.artifacts:
        for spec in record.signature.inputs:
            if spec.encoding is not None:
                told = describe_encoding(spec.encoding)
                out.print(f"encoded   {spec.name} of {record.recipe}: {told}", soft_wrap=True)
    if source.decision is not None:
        names = [str(label) for label in source.decision.labels]
        out.print(f"labels    {', '.join(names[:12])}{', …' if len(names) > 12 else ''}", soft_wrap=True)
    labelled = "with true labels or values" if data.labelled else "without labels"
    out.print(f"judged on {data.judged_samples} {data.judged_on} samples, {labelled}")
    for title, value in (("licence", manifest.licence), ("author", manifest.author)):
        if value:
            out.print(f"{title:9} {value}")
    out.print()
    artifact_table(manifest)
