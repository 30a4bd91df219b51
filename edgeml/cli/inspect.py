"""`edgeml inspect`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeml.cli.artifact_table import artifact_table
from edgeml.cli.output import console, json_option, print_json

if TYPE_CHECKING:
    from edgeml.package.manifest import Manifest

__all__ = ["command"]

_LABELS_SHOWN = 12
_MODEL_SUFFIXES = {".tflite", ".onnx", ".keras", ".h5", ".hdf5", ".skops"}


@click.command("inspect", short_help="Show what a package or a model file holds.")
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def command(file: Path, *, as_json: bool) -> None:
    """Show what FILE holds: a package, or a model file before it is built.

    \b
    edgeml inspect net.edgeml
    edgeml inspect net.edgeml --json | jq '.artifacts[].verdict'
    edgeml inspect model.tflite

    Of a package: its model, its artifacts with their figures and verdicts, and the refused recipes with the reasons.

    Of a .tflite, .onnx, .keras, .h5 or .skops file: inputs and outputs with shape, dtype and quantization, operators
    or layers with their counts, versions, metadata, and the recipes that can be made of it. Nothing of it is run.
    """
    from edgeml.cli.package_files import open_package_file
    from edgeml.core.formats.file_kind import recognize_file

    kind = recognize_file(file)
    is_model = kind is not None and kind.group == "model" and kind.format != "pickle"
    if is_model or (kind is None and file.suffix.lower() in _MODEL_SUFFIXES):
        from edgeml.cli.file_inspection import inspect_model_file
        from edgeml.cli.file_summary import print_file_report

        report = inspect_model_file(file)
        if as_json:
            print_json(report)
        else:
            print_file_report(console(), report)
        return
    manifest = open_package_file(file).manifest
    if as_json:
        print_json(manifest)
        return
    from edgeml.cli.refusals import saved_logs

    out = console()
    for line in _lines(manifest):
        out.print(line, soft_wrap=True)
    out.print()
    artifact_table(manifest, saved_logs(file))


def _lines(manifest: Manifest) -> Iterator[str]:
    """Yield a line for each property of the package and its source."""
    import numpy as np

    from edgeml.core.column_groups import describe_positions
    from edgeml.core.encoding import describe_encoding
    from edgeml.core.preprocessing import describe_declaration

    source, data = manifest.source, manifest.data
    yield f"{manifest.name} {manifest.version}, format {manifest.format}, made by edgeml {manifest.edgeml}"
    task = f", {source.task}" if source.task else ""
    yield f"source    {source.framework} {source.architecture}{task}, {source.digest[:19]}…"
    yield from _tensor_lines(manifest)
    for name, declaration in manifest.preprocessing.items():
        yield f"raw       {name}: {describe_declaration(declaration)}"
    for record in manifest.artifacts:
        for spec in record.signature.inputs:
            if spec.encoding is not None:
                yield f"encoded   {spec.name} of {record.recipe}: {describe_encoding(spec.encoding)}"
        for spec in record.signature.outputs:
            if spec.part is not None:
                positions = describe_positions(np.array(spec.part.positions), spec.part.axis, len(spec.shape))
                yield f"part      {spec.name} of {record.recipe}: {positions} of {spec.part.output}"
    if source.decision is not None:
        names = [str(label) for label in source.decision.labels]
        yield f"labels    {', '.join(names[:_LABELS_SHOWN])}{', …' if len(names) > _LABELS_SHOWN else ''}"
    for name, head in source.heads.items():
        names = [str(label) for label in head.decision.labels] if head.decision is not None else []
        listed = f": {', '.join(names[:_LABELS_SHOWN])}{', …' if len(names) > _LABELS_SHOWN else ''}" if names else ""
        yield f"task      {name}: {head.task or 'none'}{listed}"
    labelled = "with true labels or values" if data.labelled else "without labels"
    yield f"judged on {data.judged_samples} {data.judged_on} samples, {labelled}"
    for title, value in (("license", manifest.licence), ("author", manifest.author)):
        if value:
            yield f"{title:9} {value}"


def _tensor_lines(manifest: Manifest) -> Iterator[str]:
    """Yield a line for each input and output of the source, and for the free sizes that artifacts were proven at."""
    from edgeml.core.tensors import describe_input

    signature = manifest.source.signature
    for kind, specs in (("input", signature.inputs), ("output", signature.outputs)):
        for spec in specs:
            names = ["batch", *["any"] * len(spec.shape[1:])]  # where a free size does not have a name of its own
            shape = ", ".join(str(size or name) for size, name in zip(spec.named_shape, names, strict=True))
            restrictions = describe_input(spec)
            yield f"{kind:9} {spec.name} [{shape}]{' ' * bool(restrictions)}{restrictions}"
    for sizes, figures in _proofs(manifest).items():
        yield f"proven at {sizes}: {', '.join(figures)}"


def _proofs(manifest: Manifest) -> dict[str, list[str]]:
    """Return the fidelity of each artifact by the free sizes that it was proven at; empty without free sizes."""
    from edgeml.core.free_sizes import size_text
    from edgeml.core.records.evidence import SizeFidelity

    figures: dict[str, list[str]] = {}
    for record in manifest.artifacts if manifest.golden.sizes else ():
        main = SizeFidelity(manifest.golden.sizes, record.evaluation.fidelity)
        for each in (main, *record.evaluation.at_sizes):
            figure = each.fidelity.float_sqnr_db
            text = f"{each.fidelity.equal:.1%} equal" if figure is None else f"{figure:.1f} dB"
            figures.setdefault(size_text(each.sizes), []).append(f"{record.recipe} {text}")
    return figures
