"""`edgeml train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from edgeml.cli.artifact_table import artifact_table
from edgeml.cli.output import console, json_option, notes, print_json, progress
from edgeml.cli.output_files import OutputPath, check_failures, check_folder, check_output, force_option, is_package
from edgeml.core.errors import EdgemlError
from edgeml.core.recipe import RECIPES
from edgeml.core.system.files import read_bytes

if TYPE_CHECKING:
    from rich.console import Console

    from edgeml.package import Package
    from edgeml.trainers import Trained, Training

__all__ = ["command"]

_PATH = click.Path(path_type=Path)
_WORST = 3


@click.command("train", short_help="Train a model from a training file; with [build], package it too.")
@click.argument("training", type=_PATH)
@click.option("-o", "--output", type=OutputPath(), required=True, help="The folder to write to.")
@force_option
@json_option
@click.pass_context
def command(ctx: click.Context, /, training: Path, output: Path, *, force: bool, as_json: bool) -> None:
    """Train a Keras net or a scikit-learn model as the file TRAINING says.

    The folder gets the model, training.json (settings, metrics, versions), the held-out samples, and pictures
    of the curves and of the confusion matrix. With a table [build] in the file, a package as well.

    \b
    [data]
    kind = "csv"        # or digits, npz, idx, images (a folder of files for each class)
    path = "houses.csv"
    target = "price"

    \b
    [model]
    kind = "sklearn"    # or a net: dense, conv, ds-cnn, resnet-8, mobilenet-v1, autoencoder
    estimator = "HistGradientBoostingRegressor"

    \b
    [build]             # as edgeml build
    name = "houses"

    Needs the build machine's install: pip install 'edgeml-toolkit[all]'.

    Exit code 1: as edgeml build, if the file has [build].
    """
    from edgeml.pipeline import Step, build_trained
    from edgeml.trainers import Epoch, read_training, train

    settings = read_training(training)
    check_folder(output, _has_training, force=force)
    package, path = None, _package_path(settings, output, training, force=force)
    with progress() as report:
        report(Step(0, 1, "training"))

        def show(epoch: Epoch) -> None:
            report(Step(epoch.number, epoch.of, f"training, validation loss {epoch.validation_loss:.4g}"))

        trained = train(settings, output, show)
        if path is not None:
            package = build_trained(trained, output, report)
            package.save(path)
    if as_json:
        print_json({"trained": _plain(trained), "package": package.manifest if package is not None else None})
    out = notes() if as_json else console()
    _print_training(out, trained)
    out.print(f"{output}: {', '.join(trained.files)}", soft_wrap=True)
    if package is not None and path is not None:
        missed = _print_package(out, package, path, settings)
        ctx.exit(1 if missed else 0)


def _has_training(folder: Path) -> bool:
    """Return whether a folder has the summary of an earlier training."""

    class Summary(msgspec.Struct):
        files: tuple[str, ...]
        training: msgspec.Raw

    try:
        msgspec.json.decode(read_bytes(folder / "training.json"), type=Summary)
    except (EdgemlError, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


def _package_path(settings: Training, output: Path, training: Path, *, force: bool) -> Path | None:
    """Check, before any work is done, that the package can be written; return its path, or None without [build]."""
    from edgeml.pipeline import check_packaging

    if settings.build is None:
        return None
    check_packaging(settings.build)
    path = output / f"{settings.build.name}.edgeml"
    if output.is_dir():
        check_output(path, training, *settings.paths, same_kind=is_package, force=force)
        check_failures(path)
    return path


def _plain(trained: Trained) -> object:
    """Return the fields as ``training.json`` has them, with files by their names."""
    return msgspec.to_builtins(trained, enc_hook=lambda value: value.name)


def _print_training(out: Console, trained: Trained) -> None:
    counts = trained.samples
    parts = ", ".join(f"{counts[name]} for {name}" for name in ("train", "validation", "evaluation") if counts[name])
    out.print(f"{trained.task}: {counts['all']} samples, {parts.replace('for train', 'trained on')}", soft_wrap=True)
    if trained.best_epoch is not None:
        best = trained.history[trained.best_epoch - 1]
        out.print(
            f"best epoch {best.number} of {len(trained.history)}: validation loss {best.validation_loss:.4g}; "
            f"{trained.parameters} parameters"
        )
    if trained.search is not None:
        parameters = ", ".join(f"{name} = {value}" for name, value in trained.search.best.items())
        out.print(
            f"best of {len(trained.search.candidates)}: {parameters}; score {trained.search.score:.4g}", soft_wrap=True
        )
    metrics = trained.metrics
    values = [
        f"{name} {value:.4g}"
        for name, value in (
            ("accuracy", metrics.accuracy), ("precision", metrics.precision), ("recall", metrics.recall),
            ("F1", metrics.f1), ("ROC AUC", metrics.roc_auc), ("R²", metrics.r2), ("MSE", metrics.mse),
            ("MAE", metrics.mae), ("relative MSE", metrics.relative_mse),
        )
        if value is not None
    ]  # fmt: skip
    if values:
        out.print(f"held out: {', '.join(values)}", soft_wrap=True)
    classes = metrics.classes or ()
    weak = sorted(classes, key=lambda item: item.recall)[:_WORST]
    if len(classes) > _WORST:
        out.print("weakest: " + ", ".join(f"{item.label} (recall {item.recall:.1%})" for item in weak), soft_wrap=True)
    for remark in trained.remarks:
        out.print(f"note: {remark}.", soft_wrap=True)


def _print_package(out: Console, package: Package, path: Path, settings: Training) -> bool:
    """Print the verdict of each recipe; return whether one that was named, or all, were not released."""
    named = (settings.build.recipes if settings.build is not None else None) or ()
    released = package.released
    artifact_table(package.manifest, output=out)
    out.print(f"{path}: {len(released)} of {len(named or RECIPES)} recipes released.", soft_wrap=True)
    if package.failures:
        notes().print(f"Logs and scripts that reproduce the failures: {path}.failed/", soft_wrap=True)
    return not released or not set(named) <= set(released)
