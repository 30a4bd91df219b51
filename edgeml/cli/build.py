"""`edgeml build`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import click
import msgspec
from msgspec import Struct

from edgeml.cli.arrays import evaluation_of, inputs_of, read_arrays, read_frame
from edgeml.cli.artifact_table import artifact_table
from edgeml.cli.options import options_as
from edgeml.cli.output import check_output, console, json_option, print_json, progress
from edgeml.core.errors import InputError
from edgeml.core.goal import Goal
from edgeml.core.recipe import RECIPES
from edgeml.core.source import Task
from edgeml.core.system.files import read_bytes
from edgeml.preprocessing.csv_table import read_csv

__all__ = ["command"]

_TASKS = get_args(Task)
_PATH = click.Path(path_type=Path)


class BuildOptions(Struct, frozen=True, kw_only=True):
    """Arguments and options of ``edgeml build``, as click gives them."""

    model: Path
    output: Path
    calibration: Path | None
    evaluation: Path | None
    target: str | None
    recipes: tuple[str, ...]
    goals: tuple[str, ...]
    name: str | None
    version: str
    labels: Path | None
    task: Task | None
    preprocessing: Path | None
    batch: int | None
    measure: bool
    licence: str
    author: str
    reference: Path | None
    trust_source: bool
    as_json: bool


@click.command("build", short_help="Convert a model, prove each artifact, write a package.")
@click.argument("model", type=_PATH)
@click.option("-o", "--output", type=_PATH, required=True, help="The package to write, PATH.edgeml.")
@click.option("--calibration", type=_PATH, help="Typical inputs, .npy, .npz (x) or .csv; int8 and int16x8 need them.")
@click.option("--evaluation", type=_PATH, help="Held-out inputs and true labels or values, .npz (x and y) or .csv.")
@click.option("--target", help="Of .csv files: the column of the true labels or values.")
@click.option(
    "--recipe", "recipes", multiple=True, type=click.Choice([r.id for r in RECIPES]), help="Repeatable; all by default."
)
@click.option("--goal", "goals", multiple=True, metavar="KEY=VALUE", help="Repeatable, for instance max_drop=0.01.")
@click.option("--name", help="The package's name; by default the model file's.")
@click.option("--version", default="0.1.0", show_default=True, help="The package's semantic version.")
@click.option("--labels", type=_PATH, help="The classes' names, one per line or a JSON list.")
@click.option("--task", type=click.Choice(_TASKS), help="Where neither the model nor the data tell.")
@click.option("--preprocessing", type=_PATH, help="What raw input becomes, a .toml file with a table per input.")
@click.option("--batch", type=click.IntRange(min=1), help="Fixed batch of the artifacts.")
@click.option("--measure", is_flag=True, help="Measure latency too.")
@click.option("--licence", default="", help="The model's licence, an SPDX expression.")
@click.option("--author", default="", help="Who made the model.")
@click.option("--reference", type=_PATH, help="For .tflite and .onnx: what the model it was made from answers, .npz.")
@click.option("--trust-source", is_flag=True, help="Load pickles, and code that MODEL holds. It can do all you can.")
@json_option
@options_as(BuildOptions)
def command(ctx: click.Context, options: BuildOptions) -> None:
    """Convert MODEL by recipes, prove each artifact against it, and write a package.

    MODEL is a .keras file; an .h5 file or a SavedModel folder of Keras 2; a .skops file; or an existing
    .tflite or .onnx file, which is packaged as the recipe that it is (.onnx in float32 by all onnx recipes).

    \b
    edgeml build net.keras -o net.edgeml --calibration cal.npz --evaluation eval.npz
    edgeml build net.keras -o net.edgeml --calibration cal.npz --recipe tflite-int8 \\
        --goal max_size_bytes=262144
    edgeml build forest.skops -o forest.edgeml --evaluation eval.npz
    edgeml build houses.skops -o houses.edgeml --evaluation held-out.csv --target price
    edgeml build net.keras -o net.edgeml --preprocessing image.toml

    A recipe that cannot be made honestly is refused; an artifact that misses a parity floor or a goal
    is kept and marked rejected. What is left of failed recipes lies in OUTPUT.failed/.

    Goals: max_drop, max_size_bytes, max_p95_ms, min_sqnr_db, min_agreement, lower_floors.

    Exit code 1: nothing was released, or a recipe that was named was not.
    """
    from edgeml.pipeline import build
    from edgeml.preprocessing import read_declarations

    recipes, output = options.recipes or None, options.output
    inputs = (options.evaluation, options.calibration, options.reference, options.labels, options.preprocessing)
    check_output(output, options.model, *inputs)
    with progress() as report:
        package = build(
            options.model,
            name=options.name or _name_of(options.model),
            version=options.version,
            calibration=_calibration(options.calibration, options.target) if options.calibration else None,
            evaluation=_evaluation(options.evaluation, options.target) if options.evaluation else None,
            labels=_labels(options.labels),
            task=options.task,
            goal=_goal(options.goals),
            recipes=recipes,
            batch=options.batch,
            measure=options.measure,
            licence=options.licence,
            author=options.author,
            preprocessing=read_declarations(options.preprocessing) if options.preprocessing else None,
            reference=inputs_of(read_arrays(options.reference)) if options.reference else None,
            trust_source=options.trust_source,
            progress=report,
        )
        package.save(output)
    manifest = package.manifest
    if options.as_json:
        print_json(manifest)
    out = console()
    artifact_table(manifest)
    if package.failures:
        out.print(f"Logs and scripts that reproduce the failures: {output}.failed/", soft_wrap=True)
    missed = [recipe for recipe in recipes or () if recipe not in package.released]
    out.print(f"{output}: {len(package.released)} of {len(recipes or RECIPES)} recipes released.", soft_wrap=True)
    ctx.exit(1 if missed or not package.released else 0)


def _calibration(path: Path, target: str | None) -> object:
    if path.suffix.lower() != ".csv":
        return inputs_of(read_arrays(path))
    table = read_csv(path)
    return table if target is None else table.without(target)


def _evaluation(path: Path, target: str | None) -> object:
    return read_frame(path, target) if path.suffix.lower() == ".csv" else evaluation_of(read_arrays(path))


def _name_of(model: Path) -> str:
    """A package name from a file's: lower case, and nothing but letters, digits, dots and dashes."""
    kept = "".join(c if (c.isascii() and c.isalnum()) or c in "._-" else "-" for c in model.stem.lower())
    return kept.strip("._-")[:64].strip("._-") or "model"


def _goal(pairs: tuple[str, ...]) -> Goal | None:
    if not pairs:
        return None
    fields: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or key in fields:
            raise InputError(f"--goal: got '{pair}', expected KEY=VALUE, each key once.")
        fields[key] = value
    try:
        return msgspec.convert(fields, type=Goal, strict=False)
    except msgspec.ValidationError as error:
        raise InputError(f"--goal: {error}.", fix=f"the keys are {', '.join(Goal.__struct_fields__)}.") from error


def _labels(path: Path | None) -> list[str] | None:
    if path is None:
        return None
    try:
        text = read_bytes(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: the labels cannot be read: {error}.") from error
    if path.suffix == ".json":
        try:
            return msgspec.convert(json.loads(text), type=list[str])
        except (ValueError, msgspec.ValidationError) as error:
            raise InputError(f"{path.name}: is no JSON list of texts: {error}.") from error
    labels = [line.strip() for line in text.splitlines()]
    return labels[:-1] if labels and not labels[-1] else labels
