"""`edgeml demo`."""

from __future__ import annotations

import shlex
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from edgeml.cli.artifact_table import artifact_table
from edgeml.cli.output import console, json_option, notes, print_json, progress, show_conflict
from edgeml.cli.output_files import OutputPath, check_folder, force_option, is_package
from edgeml.core.errors import StorageError

if TYPE_CHECKING:
    from rich.console import Console

    from edgeml.demo.digits import Digits
    from edgeml.package import Package

__all__ = ["command"]

_EPOCHS = 12
_SHOWN = 4
_ENLARGED = 12
_SHADES = " .:-=+*#%@"


@click.command("demo", short_help="See all steps on two small models.")
@click.option(
    "-o", "--output", type=OutputPath(), default=Path("demo"), show_default=True,
    help="The folder to write the packages to.",
)  # fmt: skip
@force_option
@json_option
@click.pass_context
def command(ctx: click.Context, /, output: Path, *, force: bool, as_json: bool) -> None:
    """Train, convert, prove and run two small models.

    A convolutional net and a scikit-learn pipeline learn 8 × 8 digits, are converted by every recipe, and each
    artifact is proven against its source. Writes the packages, and data to try commands on, to a folder.

    Needs the build machine's install: pip install 'edgeml-toolkit[all]'.
    """
    from edgeml.demo.digits import check_frameworks

    start = time.monotonic()
    check_folder(output, _has_demo, force=force)
    show_conflict()
    check_frameworks()
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{output} cannot be created: {error.strerror}.", fix="give another --output.") from error
    data, packages = _build(output)
    out = notes() if as_json else console()
    for name, package in packages.items():
        source, count = package.manifest.source, package.manifest.data.judged_samples
        out.print()
        out.print(f"{name}: {source.framework} {source.architecture}, judged on {count} held-out images")
        artifact_table(package.manifest, output=out)
    _predict(out, output, data)
    if as_json:
        print_json({name: package.manifest for name, package in packages.items()})
    out.print(f"Done in {time.monotonic() - start:.0f} s. Next:", soft_wrap=True)
    for line in (
        "edgeml verify digits-net.edgeml",
        "edgeml inspect digits-pipeline.edgeml",
        "edgeml predict digits-net.edgeml digits.npz -o out.npz",
        "edgeml predict digits-net.edgeml digit.pgm -o out.npz",
        "edgeml build digits-net.keras -o mine.edgeml --calibration calibration.npz --evaluation digits.npz",
    ):
        files = [shlex.quote(str(output / word)) if "." in word else word for word in line.split()]
        out.print(f"  {' '.join(files)}", soft_wrap=True)
    if not all(package.released for package in packages.values()):
        ctx.exit(1)


def _has_demo(folder: Path) -> bool:
    return is_package(folder / "digits-net.edgeml")


def _build(output: Path) -> tuple[Digits, dict[str, Package]]:
    """Train both models, build their packages, and write packages, models and data."""
    from edgeml.core.system.files import atomic_write
    from edgeml.core.system.temporary import TemporaryFolder
    from edgeml.core.system.worker import Worker
    from edgeml.demo.digits import Digits, DigitsTrainer, TrainerSettings
    from edgeml.package.npy import encode_npz
    from edgeml.pipeline import Step, build
    from edgeml.preprocessing import Image

    packages: dict[str, Package] = {}
    with TemporaryFolder() as folder, progress() as report:
        factory = f"{DigitsTrainer.__module__}:{DigitsTrainer.__name__}"
        with Worker(factory, TrainerSettings(folder), folder) as trainer:
            report(Step(0, 4, "training a convolutional net"))
            data = trainer.call("data", returns=Digits)
            net = trainer.call("train_net", _EPOCHS, returns=Path)
            report(Step(2, 4, "training a scikit-learn pipeline"))
            pipeline = trainer.call("train_pipeline", returns=Path)
        preprocessing_of_net = Image(height=8, width=8, colour="gray", resize="area", scale=1 / 255)
        for name, model, shape, file, preprocessing in (
            ("digits-net", net, (-1, 8, 8, 1), "digits.npz", preprocessing_of_net),
            ("digits-pipeline", pipeline, (-1, 64), "digits-rows.npz", None),
        ):
            calibration, evaluation = data.calibration.reshape(shape), data.evaluation.reshape(shape)
            packages[name] = build(
                model,
                name=name,
                version="1.0.0",
                calibration=calibration,
                evaluation=(evaluation, data.evaluation_labels),
                measure=True,
                preprocessing=preprocessing,
                progress=report,
            )
            packages[name].save(output / f"{name}.edgeml")
            atomic_write(output / model.name, model.read_bytes())
            atomic_write(output / file, encode_npz({"x": evaluation, "y": data.evaluation_labels}))
    atomic_write(output / "calibration.npz", encode_npz({"x": data.calibration}))
    atomic_write(output / "digit.pgm", _portable_graymap(data.evaluation[0]))
    return data, packages


def _predict(out: Console, output: Path, data: Digits) -> None:
    """Print the predictions of the net's package for a few images."""
    from edgeml.cli.predict_worker import Predicted, running

    with running(output / "digits-net.edgeml") as child:
        predicted = child.call("predict", (output / "digits.npz").absolute(), None, "cpu", 1, False, returns=Predicted)
    out.print()
    out.print(f"Predictions of digits-net by {predicted.artifact}, its fastest released artifact here:")
    out.print()
    labels, truth = predicted.arrays["labels"][:_SHOWN], data.evaluation_labels[:_SHOWN]
    for line in _pictures(data.evaluation[:_SHOWN], labels.tolist(), truth.tolist()):
        out.print(line)
    out.print()


def _portable_graymap(image: np.ndarray) -> bytes:
    """Return an image ``[8, 8, 1]`` of 0 to 1, enlarged, as the bytes of a file."""
    pixels = np.kron((image[..., 0] * 255).round().astype(np.uint8), np.ones((_ENLARGED, _ENLARGED), np.uint8))
    return f"P5 {pixels.shape[1]} {pixels.shape[0]} 255\n".encode() + pixels.tobytes()


def _pictures(images: np.ndarray, labels: list[int], truth: list[int]) -> list[str]:
    """Return images ``[count, 8, 8, 1]`` side by side as lines of text, each with its label below."""
    levels = (images[..., 0] * (len(_SHADES) - 1)).round().astype(int)
    rows = ["   ".join("".join(_SHADES[level] * 2 for level in image[row]) for image in levels)
            for row in range(levels.shape[1])]  # fmt: skip
    captions = "   ".join(f"{f'-> {label} (is {true})':<16}" for label, true in zip(labels, truth, strict=True))
    return [*rows, captions]
