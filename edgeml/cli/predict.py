"""`edgeml predict`."""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np

from edgeml.cli.arrays import inputs_of, npz_bytes, read_arrays
from edgeml.cli.output import console, json_option, print_json, quiet_engines

__all__ = ["command"]

_SHOWN = 10


@click.command("predict", short_help="Run a package on arrays.")
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
    """Run PACKAGE on the arrays in INPUTS (.npy, or .npz with x or one array per input name).

    \b
    edgeml predict net.edgeml x.npy -o out.npz
    edgeml predict net.edgeml x.npy -o out.npz --artifact tflite-int8

    Writes the outputs, as `scores` where the model has one, and the `labels` of a classifier.
    """
    from edgeml.package import open_package
    from edgeml.package.storage import write_durably

    opened = open_package(package)
    data = inputs_of(read_arrays(inputs))
    with quiet_engines():
        chosen = recipe or opened.best()
        session = opened.session(chosen, target=target, threads=threads)
        predicted = session.predict(data)
        labels = session.classify(data) if opened.manifest.source.decision is not None else None
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
