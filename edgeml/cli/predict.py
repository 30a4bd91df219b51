"""`edgeml predict`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import numpy as np

from edgeml.cli.arrays import inputs_of, npz_bytes, read_arrays
from edgeml.cli.output import console, json_option, print_json, quiet_engines
from edgeml.core.errors import InputError

if TYPE_CHECKING:
    from edgeml.package.manifest import Manifest

__all__ = ["command"]

_SHOWN = 10


@click.command("predict", short_help="Run a package on arrays, an image, sound or a table.")
@click.argument("package", type=click.Path(path_type=Path))
@click.argument("inputs", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="The .npz file to write.")
@click.option("--artifact", "recipe", help="Which to run, for instance tflite-int8; by default the best released.")
@click.option("--target", default="cpu", show_default=True, help="Where to run it.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Threads of the engine.")
@json_option
def command(
    package: Path, inputs: Path, *, output: Path, recipe: str | None, target: str, threads: int, as_json: bool
) -> None:
    """Run PACKAGE on the arrays in INPUTS (.npy, or .npz with x or one array per input name), or on raw input.

    \b
    edgeml predict net.edgeml x.npy -o out.npz
    edgeml predict net.edgeml x.npy -o out.npz --artifact tflite-int8
    edgeml predict net.edgeml photo.png -o out.npz

    Raw input is an image (.png, .jpg, .ppm, .pgm), sound (.wav) or a table (.csv), for packages that declare
    what becomes of it.

    Writes the outputs, as `scores` where the model has one, and the `labels` of a classifier.
    """
    from edgeml.package import open_package
    from edgeml.package.storage import write_durably
    from edgeml.preprocessing.files import RAW_SUFFIXES

    opened = open_package(package)
    raw = inputs.suffix.lower() in RAW_SUFFIXES
    data = _read_raw(inputs, opened.manifest) if raw else inputs_of(read_arrays(inputs))
    with quiet_engines():
        chosen = recipe or opened.best()
        session = opened.session(chosen, target=target, threads=threads)
        predicted = session.predict(data, raw=raw)
        labels = session.classify(data, raw=raw) if opened.manifest.source.decision is not None else None
    arrays = {"scores": predicted} if isinstance(predicted, np.ndarray) else dict(predicted)
    if labels is not None:
        arrays["labels"] = labels
    write_durably(output, npz_bytes(arrays))
    count = len(next(iter(arrays.values())))
    if as_json:
        print_json({
            "artifact": chosen, "target": target, "engine": session.engine, "samples": count, "output": str(output),
            "outputs": {name: list(array.shape) for name, array in arrays.items()},
        })  # fmt: skip
        return
    out = console()
    out.print(f"{count} samples by {chosen} on {session.engine} {session.engine_version}: {output}", soft_wrap=True)
    if labels is not None:
        shown = ", ".join(map(str, labels[:_SHOWN].tolist()))
        out.print(f"labels: {shown}{', …' if count > _SHOWN else ''}", soft_wrap=True)


def _read_raw(path: Path, manifest: Manifest) -> np.ndarray:
    """What a file of raw input holds, for a package with one input that declares what becomes of it."""
    from edgeml.preprocessing import read_raw

    names = [spec.name for spec in manifest.source.signature.inputs]
    if len(names) > 1:
        raise InputError(
            f"{path.name}: the model has {len(names)} inputs.", fix="give an .npz file with an array for each."
        )
    if names[0] not in manifest.preprocessing:
        raise InputError(
            f"{path.name}: the package does not declare what input '{names[0]}' is made of.",
            fix="give arrays (.npy, .npz) as the model takes them, or build the package with --preprocessing.",
        )
    return read_raw(path, names[0], manifest.preprocessing[names[0]])
