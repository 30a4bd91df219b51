"""`edgeml predict`."""

from __future__ import annotations

from pathlib import Path

import click

from edgeml.cli.output import console, json_option, print_json
from edgeml.cli.output_files import (
    STDOUT,
    OutputPath,
    check_output,
    check_stdout,
    force_option,
    is_predictions,
    write_output,
)

__all__ = ["command"]

_SHOWN = 10
_ENDINGS = (".npz", ".csv")


@click.command("predict", short_help="Run a package on arrays, an image, sound or a table.")
@click.argument("package", type=click.Path(path_type=Path))
@click.argument("inputs", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=OutputPath(),
    required=True,
    help="The .npz or .csv file to write; - for CSV on stdout.",
)
@click.option("--artifact", "recipe", help="Which to run, for instance tflite-int8; by default the best released.")
@click.option("--target", default="auto", show_default=True, help="Where to run it: see edgeml targets.")
@click.option("--allow-fallback", is_flag=True, help="Let operators that the target does not take run on the CPU.")
@click.option("--threads", type=click.IntRange(min=1), help="Cores to run many samples on; by default all.")
@force_option
@json_option
def command(
    package: Path,
    inputs: Path,
    *,
    output: Path,
    recipe: str | None,
    target: str,
    allow_fallback: bool,
    threads: int | None,
    force: bool,
    as_json: bool,
) -> None:
    """Run PACKAGE on the arrays in INPUTS (.npy, or .npz with x or one array per input name), or on raw input.

    \b
    edgeml predict net.edgeml x.npy -o out.npz
    edgeml predict net.edgeml x.npy -o out.npz --artifact tflite-int8
    edgeml predict net.edgeml photo.png -o out.npz
    edgeml predict houses.edgeml new.csv -o prices.csv

    Raw input is an image (.png, .jpg, .ppm, .pgm), sound (.wav) or a table (.csv), for packages that declare
    what becomes of it.

    Writes the outputs, as `scores` where the model has one, and the `labels` of a classifier; to a .csv file with a
    column for each, or for each of its values.
    """
    from edgeml.cli.arrays import encode_csv
    from edgeml.cli.predict_worker import Predicted, running
    from edgeml.package.npy import encode_npz

    check_stdout(output, as_json=as_json)
    check_output(output, package, inputs, endings=_ENDINGS, same_kind=is_predictions, force=force)
    with running(package) as child:
        found = child.call("predict", inputs.absolute(), recipe, target, threads, allow_fallback, returns=Predicted)
    arrays, labels = found.arrays, found.arrays.get("labels")
    write_output(output, encode_npz(arrays) if output.suffix.lower() == ".npz" else encode_csv(arrays))
    if output == STDOUT:
        return
    count = len(next(iter(arrays.values())))
    if as_json:
        shapes = {name: list(array.shape) for name, array in arrays.items()}
        told = {"artifact": found.artifact, "target": found.target, "engine": found.engine, "output": str(output)}
        told |= {"reason": found.reason, "placement": found.placement}
        print_json(told | {"samples": count, "outputs": shapes})
        return
    out = console()
    engine = f"{found.engine} {found.engine_version}"
    out.print(f"{count} samples by {found.artifact} on {engine}: {output}", soft_wrap=True)
    if found.reason:
        out.print(found.reason, soft_wrap=True)
    if found.target != "cpu":
        out.print(found.placement, soft_wrap=True)
    if labels is not None:
        shown = ", ".join(map(str, labels[:_SHOWN].tolist()))
        out.print(f"labels: {shown}{', …' if count > _SHOWN else ''}", soft_wrap=True)
