"""`edgeml build`."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import click
import msgspec
from msgspec import Struct

from edgeml.cli.artifact_table import artifact_table
from edgeml.cli.options import RenamedOptions, limits_of, limits_options, options_as, sizes_of_words
from edgeml.cli.output import console, json_option, notes, print_json, progress
from edgeml.cli.output_files import STDOUT, OutputPath, check_failures, check_output, force_option, is_package
from edgeml.cli.refusals import logs_of_failures
from edgeml.core.errors import InputError
from edgeml.core.goal import Goal, check_goal, parse_share
from edgeml.core.recipe import RECIPES
from edgeml.core.source import Task

__all__ = ["command"]

_PATH = click.Path(path_type=Path)
_RENAMED = {"--target": "--truth", "--version": "--package-version"}
_SHARES = frozenset({"max_drop", "min_agreement"})
"""Goals that may be given as a percentage."""


class BuildOptions(Struct, frozen=True, kw_only=True):
    """Arguments and options of ``edgeml build``, as click returns them."""

    model: Path
    output: Path
    calibration: Path | None
    evaluation: Path | None
    truth: str | None
    recipes: tuple[str, ...]
    goals: tuple[str, ...]
    name: str | None
    package_version: str
    labels: Path | None
    tasks: tuple[str, ...]
    boxes: str | None
    preprocessing: Path | None
    batch: int | None
    sizes: tuple[str, ...]
    stateful: bool | None
    states: tuple[str, ...]
    measure: bool
    licence: str
    author: str
    reference: Path | None
    trust_source: bool
    memory_mb: float | None
    timeout_s: float
    force: bool
    as_json: bool


@click.command(
    "build", cls=RenamedOptions, renamed=_RENAMED, short_help="Convert a model, prove each artifact, write a package."
)
@click.argument("model", type=_PATH)
@click.option("-o", "--output", type=OutputPath(), required=True, help="The package to write, PATH.edgeml.")
@click.option("--calibration", type=_PATH, help="Typical inputs, .npy, .npz (x) or .csv; int8 and int16x8 need them.")
@click.option("--evaluation", type=_PATH, help="Held-out inputs and true labels or values, .npz (x and y) or .csv.")
@click.option("--truth", metavar="COLUMN", help="Column of the true labels or values in .csv files.")
@click.option(
    "--recipe", "recipes", multiple=True, type=click.Choice([r.id for r in RECIPES]), help="Repeatable; default: all."
)
@click.option("--goal", "goals", multiple=True, metavar="KEY=VALUE", help="Repeatable, for instance max_drop=1%.")
@click.option("--name", help="Name of the package; default: that of the model file.")
@click.option("--package-version", default="0.1.0", show_default=True, help="Semantic version of the package.")
@click.option("--labels", type=_PATH, help="Names of the classes, one per line or as JSON.")
@click.option(
    "--task",
    "tasks",
    multiple=True,
    metavar="TASK",
    help="Or OUTPUT=TASK, repeatable; default: as model and data show.",
)
@click.option(
    "--boxes",
    metavar="FORMAT",
    help="Of decoded boxes: xyxy, yxyx, xywh, cxcywh; or format=cxcywh,output=NAME,…",
)
@click.option("--preprocessing", type=_PATH, help="How raw input is converted: a .toml file with a table per input.")
@click.option("--batch", type=click.IntRange(1, 65536), help="Fixed batch size of the artifacts.")
@click.option(
    "--size",
    "sizes",
    multiple=True,
    metavar="NAME=N",
    help="Fix a free size of a .tflite or .onnx file, as length=16000; or keep it, proven at N,M. Repeatable.",
)
@click.option(
    "--stateful/--stateless",
    default=None,
    help="A .tflite or .onnx file keeps a state between calls; or does not, whatever its names suggest.",
)
@click.option(
    "--state", "states", multiple=True, metavar="INPUT=OUTPUT", help="A state and its next value. Repeatable."
)
@click.option("--measure", is_flag=True, help="Measure latency too.")
@click.option("--licence", default="", help="License of the model, an SPDX expression.")
@click.option("--author", default="", help="Author of the model.")
@click.option("--reference", type=_PATH, help="For .tflite and .onnx: outputs of the original model, .npz.")
@click.option("--trust-source", is_flag=True, help="Load pickles, and code in MODEL. It can do all that you can.")
@limits_options
@force_option
@json_option
@options_as(BuildOptions)
def command(ctx: click.Context, options: BuildOptions) -> None:
    """Convert MODEL by recipes, prove each artifact against it, and write a package.

    MODEL is a .keras or .h5 file; a SavedModel folder of Keras 2; a .skops file; or an existing
    .tflite or .onnx file, which is packaged as the recipe that it is (.onnx in float32 by all onnx recipes).

    \b
    edgeml build net.keras -o net.edgeml --calibration cal.npz --evaluation eval.npz
    edgeml build net.keras -o net.edgeml --calibration cal.npz --recipe tflite-int8 \\
        --goal max_size_bytes=262144
    edgeml build forest.skops -o forest.edgeml --evaluation eval.npz --goal max_drop=0.5%
    edgeml build houses.skops -o houses.edgeml --evaluation held-out.csv --truth price
    edgeml build net.keras -o net.edgeml --preprocessing image.toml

    A recipe that cannot be made honestly is refused; an artifact that misses a parity floor or a goal
    is kept and marked rejected. Logs of failed recipes are written to OUTPUT.failed/.

    Goals: max_drop (1% or 0.01), max_size_bytes, max_p95_ms, min_sqnr_db, min_agreement (99% or 0.99),
    lower_floors.

    Exit code 1: nothing was released, or a recipe that was named was not.
    """
    from edgeml.pipeline import build

    recipes, output, goal = options.recipes or None, options.output, _goal(options.goals)
    if output == STDOUT:
        raise InputError("--output: a package cannot be written to standard output.", fix="give PATH.edgeml.")
    inputs = (options.evaluation, options.calibration, options.reference, options.labels, options.preprocessing)
    check_output(output, options.model, *inputs, endings=(".edgeml",), same_kind=is_package, force=options.force)
    check_failures(output)
    limits = limits_of(options.memory_mb, options.timeout_s)
    with progress() as report:
        package = build(
            options.model,
            name=options.name or _package_name(options.model),
            version=options.package_version,
            calibration=_with_truth(options.calibration, options.truth),
            evaluation=_with_truth(options.evaluation, options.truth),
            labels=options.labels,
            task=_task(options.tasks),
            boxes=_boxes(options.boxes),
            goal=goal,
            recipes=recipes,
            batch=options.batch,
            sizes=sizes_of_words(options.sizes),
            stateful=_states(options.stateful, options.states),
            measure=options.measure,
            licence=options.licence,
            author=options.author,
            preprocessing=options.preprocessing,
            reference=options.reference,
            trust_source=options.trust_source,
            memory_mb=limits.memory_mb,
            timeout_s=limits.timeout_s,
            progress=report,
        )
        package.save(output)
    manifest = package.manifest
    if options.as_json:
        print_json(manifest)
    out = notes() if options.as_json else console()
    artifact_table(manifest, logs_of_failures(package.failures), output=out)
    if package.failures:
        notes().print(f"Logs and scripts that reproduce the failures: {output}.failed/", soft_wrap=True)
    missed = [recipe for recipe in recipes or () if recipe not in package.released]
    out.print(f"{output}: {len(package.released)} of {len(recipes or RECIPES)} recipes released.", soft_wrap=True)
    ctx.exit(1 if missed or not package.released else 0)


def _with_truth(path: Path | None, truth: str | None) -> object:
    """Name the column of true labels or values of a CSV file, as `build` takes it."""
    return (path, truth) if path is not None and truth is not None and path.suffix.lower() == ".csv" else path


def _package_name(model: Path) -> str:
    """Return a package name from a file's: lower case, with letters, digits, dots and dashes only."""
    name = "".join(c if (c.isascii() and c.isalnum()) or c in "._-" else "-" for c in model.stem.lower())
    return name.strip("._-")[:64].strip("._-") or "model"


def _task(values: tuple[str, ...]) -> Task | dict[str, Task] | None:
    """Return the task, or that of each output; `build` checks them."""
    if len(values) < 2 and not any("=" in value for value in values):
        return cast(Task, values[0]) if values else None
    if not all("=" in value for value in values):
        raise InputError(f"--task: got {', '.join(values)}.", fix="name the output of each: OUTPUT=TASK.")
    return {name: cast(Task, task) for name, _, task in (value.partition("=") for value in values)}


def _states(stateful: bool | None, values: tuple[str, ...]) -> bool | dict[str, str] | None:
    """Return whether the model keeps a state, or the outputs of the next states by input; `build` checks them."""
    if not values:
        return stateful
    if stateful is False:
        raise InputError("--state: got --stateless too.", fix="leave one of them out.")
    if not all("=" in value for value in values):
        raise InputError(f"--state: got {', '.join(values)}.", fix="name both tensors: INPUT=OUTPUT.")
    return {source: output for source, _, output in (value.partition("=") for value in values)}


def _boxes(text: str | None) -> str | dict[str, object] | None:
    """Return the format of boxes, or the fields of ``KEY=VALUE,KEY=VALUE``; `build` checks them."""
    if text is None or "=" not in text:
        return text
    fields: dict[str, object] = {key: value for key, _, value in (pair.partition("=") for pair in text.split(","))}
    if "objectness" in fields:
        fields["objectness"] = {"true": True, "false": False}.get(str(fields["objectness"]), fields["objectness"])
    return fields


def _goal(pairs: tuple[str, ...]) -> Goal | None:
    if not pairs:
        return None
    fields: dict[str, object] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or key in fields:
            raise InputError(f"--goal: got '{pair}', expected KEY=VALUE, each key once.")
        fields[key] = parse_share(value) if key in _SHARES and value.endswith("%") else value
    try:
        goal = msgspec.convert(fields, type=Goal, strict=False)
    except msgspec.ValidationError as error:
        raise InputError(f"--goal: {error}.", fix=f"the keys are {', '.join(Goal.__struct_fields__)}.") from error
    check_goal(goal)
    return goal
