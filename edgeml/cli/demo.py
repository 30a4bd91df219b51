"""`edgeml demo`."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click
import numpy as np

from edgeml.cli.arrays import npz_bytes
from edgeml.cli.output import artifact_table, console, json_option, print_json, progress, quiet_engines
from edgeml.core.errors import StorageError

__all__ = ["command"]

_EPOCHS = 12
_SHOWN = 4
_ENLARGED = 12
_SHADES = " .:-=+*#%@"


@click.command("demo", short_help="See the whole way on two small models.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), default=Path("demo"), show_default=True,
    help="The folder to write the packages to.",
)  # fmt: skip
@json_option
def command(output: Path, *, as_json: bool) -> None:
    """Train, convert, prove and run two small models.

    A convolutional net and a scikit-learn pipeline learn 8 × 8 digits, are converted by every recipe, and each
    artifact is proven against its source. Writes the packages, and data to try commands on, to a folder.

    Needs the build machine's install: pip install 'edgeml[all]'.
    """
    from edgeml.core.worker import Worker
    from edgeml.package import Package, open_package
    from edgeml.package.storage import write_durably
    from edgeml.pipeline import Step, build
    from edgeml.preprocessing import Image
    from edgeml.trainers.digits import Digits, DigitsTrainer, TrainerSettings

    began = time.monotonic()
    out = console()
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{output} cannot be made: {error.strerror}.", fix="give another folder by -o.") from error
    packages: dict[str, Package] = {}
    with tempfile.TemporaryDirectory(prefix="edgeml-") as temporary, progress() as report:
        folder = Path(temporary)
        factory = f"{DigitsTrainer.__module__}:{DigitsTrainer.__name__}"
        with Worker(factory, TrainerSettings(folder), folder) as trainer:
            report(Step(0, 4, "training a convolutional net"))
            data = trainer.call("data", returns=Digits)
            net = trainer.call("train_net", _EPOCHS, returns=Path)
            report(Step(2, 4, "training a scikit-learn pipeline"))
            pipeline = trainer.call("train_pipeline", returns=Path)
        declared = Image(height=8, width=8, colour="gray", resize="area", scale=1 / 255)
        for name, model, shape, preprocessing in (
            ("digits-net", net, (-1, 8, 8, 1), declared),
            ("digits-pipeline", pipeline, (-1, 64), None),
        ):
            packages[name] = build(
                model,
                name=name,
                version="1.0.0",
                calibration=data.calibration.reshape(shape),
                evaluation=(data.evaluation.reshape(shape), data.evaluation_labels),
                measure=True,
                preprocessing=preprocessing,
                progress=report,
            )
            packages[name].save(output / f"{name}.edgeml")
            write_durably(output / model.name, model.read_bytes())
    write_durably(output / "digits.npz", npz_bytes({"x": data.evaluation, "y": data.evaluation_labels}))
    write_durably(output / "digit.pgm", _portable_graymap(data.evaluation[0]))
    write_durably(output / "calibration.npz", npz_bytes({"x": data.calibration}))
    for name, package in packages.items():
        source = package.manifest.source
        out.print(f"\n{name}: {source.framework} {source.architecture}, judged on "
                  f"{package.manifest.data.judged_samples} held-out images")  # fmt: skip
        artifact_table(package.manifest)
    with quiet_engines():
        opened = open_package(output / "digits-net.edgeml")
        chosen = opened.best()
        labels = opened.session(chosen).classify(data.evaluation[:_SHOWN])
    out.print(f"\nPredictions of digits-net by {chosen}, its fastest released artifact here:\n")
    out.print(_pictures(data.evaluation[:_SHOWN], labels.tolist(), data.evaluation_labels[:_SHOWN].tolist()))
    if as_json:
        print_json({name: package.manifest for name, package in packages.items()})
    out.print(f"Done in {time.monotonic() - began:.0f} s. Next:", soft_wrap=True)
    for line in (
        f"edgeml verify {output}/digits-net.edgeml",
        f"edgeml inspect {output}/digits-pipeline.edgeml",
        f"edgeml predict {output}/digits-net.edgeml {output}/digits.npz -o {output}/out.npz",
        f"edgeml predict {output}/digits-net.edgeml {output}/digit.pgm -o {output}/out.npz",
        (
            f"edgeml build {output}/digits-net.keras -o {output}/mine.edgeml "
            f"--calibration {output}/calibration.npz --evaluation {output}/digits.npz"
        ),
    ):
        out.print(f"  {line}", soft_wrap=True)
    if not all(package.released for package in packages.values()):
        raise SystemExit(1)


def _portable_graymap(image: np.ndarray) -> bytes:
    """An image ``[8, 8, 1]`` of 0 to 1, enlarged, as a file."""
    pixels = np.kron((image[..., 0] * 255).round().astype(np.uint8), np.ones((_ENLARGED, _ENLARGED), np.uint8))
    return f"P5 {pixels.shape[1]} {pixels.shape[0]} 255\n".encode() + pixels.tobytes()


def _pictures(images: np.ndarray, labels: list[int], truth: list[int]) -> str:
    """Images ``[count, 8, 8, 1]`` side by side as text, each with its label below."""
    levels = (images[..., 0] * (len(_SHADES) - 1)).round().astype(int)
    rows = ["   ".join("".join(_SHADES[level] * 2 for level in image[row]) for image in levels)
            for row in range(levels.shape[1])]  # fmt: skip
    captions = "   ".join(f"{f'-> {label} (is {true})':<16}" for label, true in zip(labels, truth, strict=True))
    return "\n".join([*rows, captions, ""])
