"""`edgeml predict`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click
from msgspec import Struct

from edgeml.cli.options import limits_of, limits_options, options_as, trust_option
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
from edgeml.core.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from edgeml.cli.predict_worker import Predicted

__all__ = ["command"]

_SHOWN = 10
_PATH = click.Path(path_type=Path)


class PredictOptions(Struct, frozen=True, kw_only=True):
    """Arguments and options of ``edgeml predict``, as click gives them."""

    package: Path
    inputs: Path
    output: Path
    recipe: str | None
    target: str
    allow_fallback: bool
    threads: int | None
    id_columns: tuple[str, ...]
    trust_source: bool
    memory_mb: float | None
    timeout_s: float
    force: bool
    as_json: bool


@click.command("predict", short_help="Run a package on arrays, an image, sound or a table.")
@click.argument("package", type=_PATH)
@click.argument("inputs", type=_PATH)
@click.option("-o", "--output", type=OutputPath(), required=True, help="The .csv or .npz file to write; - prints CSV.")
@click.option("--artifact", "recipe", help="Which to run, for instance tflite-int8; by default the best released.")
@click.option("--target", default="auto", show_default=True, help="Where to run it: see edgeml targets.")
@click.option("--allow-fallback", is_flag=True, help="Let the CPU run operators that the target does not support.")
@click.option("--threads", type=click.IntRange(1, 1024), help="Cores to run many samples on; by default all.")
@click.option(
    "--id", "id_columns", multiple=True, metavar="COLUMN", help="Column of a .csv input to copy in front. Repeatable."
)
@trust_option
@limits_options
@force_option
@json_option
@options_as(PredictOptions)
def command(ctx: click.Context, options: PredictOptions) -> None:  # noqa: ARG001  # the signature of `options_as`
    """Run PACKAGE on the arrays in INPUTS (.npy, or .npz with x or one array per input name), or on raw input.

    \b
    edgeml predict net.edgeml x.npy -o out.npz
    edgeml predict net.edgeml x.npy -o out.npz --artifact tflite-int8
    edgeml predict net.edgeml photo.png -o - | head
    edgeml predict houses.edgeml new.csv -o prices.csv --id house

    Raw input is an image (.png, .jpg, .ppm, .pgm), sound (.wav) or a table (.csv), for packages that declare
    how it is preprocessed.

    An .npz file has the outputs, as `scores` if the model has a single one, and the `labels` of a classifier. A .csv
    file has a line per sample: the --id columns, `labels`, and the score of each class under the class's name;
    other outputs have a column for each value. Columns of a table that the model does not use are left out unless
    --id names them. Text that begins like a formula (=, +, -, @, tab) gets an apostrophe in front, so that no
    spreadsheet runs it; numbers are written as they are.
    """
    from edgeml.cli.predict_worker import Predicted, running
    from edgeml.cli.prediction_files import encode_csv
    from edgeml.package.npy import encode_npz

    id_columns = _check_options(options)
    output, inputs = options.output, options.inputs.absolute()
    with running(options.package, limits_of(options.memory_mb, options.timeout_s), trust=options.trust_source) as child:
        arguments = (inputs, options.recipe, options.target, options.threads, options.allow_fallback)
        predicted = child.call("predict", *arguments, returns=Predicted)
    arrays = predicted.arrays
    _check_id_columns(id_columns, arrays)
    if output.suffix.lower() != ".npz":  # also standard output and devices
        data = encode_csv(arrays, scores=predicted.scores, classes=predicted.classes, id_columns=id_columns)
    else:
        data = encode_npz({**_as_arrays(id_columns), **arrays})
    write_output(output, data)
    if output == STDOUT:
        return
    if options.as_json:
        print_json(_record(predicted, output))
        return
    out = console()
    for line in _summary(predicted, output):
        out.print(line, soft_wrap=True)


def _check_options(options: PredictOptions) -> dict[str, Sequence[str]]:
    """Check before any work what can be checked without the package, and read the id columns.

    Raises:
        InputError: An option is wrong, the file to write is, or an id column is not in the input.
        StorageError: The folder of the output is missing or cannot be written.
    """
    from edgeml.cli.prediction_files import SUFFIXES, read_id_columns

    check_stdout(options.output, as_json=options.as_json)
    check_output(
        options.output,
        options.package,
        options.inputs,
        endings=SUFFIXES,
        same_kind=is_predictions,
        force=options.force,
    )
    if not options.id_columns:
        return {}
    if options.inputs.suffix.lower() != ".csv":
        raise InputError(f"--id: got the input {options.inputs.name}, expected a .csv file.", fix="leave --id out.")
    return read_id_columns(options.inputs, options.id_columns)


def _check_id_columns(columns: dict[str, Sequence[str]], arrays: dict[str, np.ndarray]) -> None:
    """Check that id columns fit the predictions.

    Raises:
        InputError: A column has the name of an output, or another number of rows.
    """
    samples = len(next(iter(arrays.values())))
    for name, fields in columns.items():
        if name in arrays:
            raise InputError(
                f"--id: the predictions have a column '{name}' of their own.", fix="rename the column in the input."
            )
        if len(fields) != samples:
            raise InputError(
                f"--id: column '{name}' has {len(fields)} rows, and the model was run on {samples}.",
                fix="remove blank lines from the table.",
            )


def _as_arrays(columns: dict[str, Sequence[str]]) -> dict[str, np.ndarray]:
    from edgeml.core.texts import text_array

    return {name: text_array(fields, f"--id: column '{name}'") for name, fields in columns.items()}


def _record(predicted: Predicted, output: Path) -> dict[str, object]:
    """Compose the JSON of a run."""
    shapes = {name: list(array.shape) for name, array in predicted.arrays.items()}
    return {
        "artifact": predicted.artifact,
        "target": predicted.target,
        "engine": predicted.engine,
        "output": str(output),
        "reason": predicted.reason,
        "placement": predicted.placement,
        "samples": len(next(iter(predicted.arrays.values()))),
        "outputs": shapes,
    }


def _summary(predicted: Predicted, output: Path) -> Iterator[str]:
    count = len(next(iter(predicted.arrays.values())))
    yield f"{count} samples by {predicted.artifact} on {predicted.engine} {predicted.engine_version}: {output}"
    if predicted.reason:
        yield predicted.reason
    if predicted.target != "cpu":
        yield predicted.placement
    labels = predicted.arrays.get("labels")
    if labels is not None:
        shown = ", ".join(map(str, labels[:_SHOWN].tolist()))
        yield f"labels: {shown}{', …' if count > _SHOWN else ''}"
