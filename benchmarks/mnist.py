"""Two nets trained on MNIST, by all nine recipes: what is released, and at what accuracy.

    python benchmarks/mnist.py MNIST_FOLDER [--epochs 5] [-o OUTPUT_FOLDER]

MNIST_FOLDER holds the 10,000 test images in IDX format; 8,000 train, 2,000 evaluate. The convolutional net learns all
8,000, MobileNetV2 at 96 px the first 3,500, from scratch. Its BatchNorm momentum is 0.9: at Keras's 0.999 the
statistics need some 16 epochs to settle.
"""

from __future__ import annotations

import argparse
import gzip
import time
from pathlib import Path
from typing import Any

import numpy as np

import edgeml
from edgeml.cli.artifact_table import artifact_table
from edgeml.cli.output import console, progress

TRAIN, LARGE_TRAIN = 8000, 3500
SIZE = 96


def read_idx(path: Path) -> np.ndarray:
    """An array from a gzipped IDX file."""
    data = gzip.decompress(path.read_bytes())
    sizes = [int.from_bytes(data[4 + 4 * axis : 8 + 4 * axis], "big") for axis in range(data[3])]
    return np.frombuffer(data, np.uint8, offset=4 + 4 * data[3]).reshape(sizes)


def small_net() -> Any:
    """A convolutional net of 61,000 parameters."""
    import keras

    layers = keras.layers
    return keras.Sequential([
        keras.Input((28, 28, 1), name="image"),
        layers.Conv2D(16, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(32, 3, activation="relu"),
        layers.MaxPooling2D(),
        layers.Flatten(),
        layers.Dropout(0.3),
        layers.Dense(64, activation="relu"),
        layers.Dense(10, activation="softmax", name="scores"),
    ])  # fmt: skip


def mobilenet() -> Any:
    """MobileNetV2 without weights."""
    import keras

    model = keras.applications.MobileNetV2((SIZE, SIZE, 3), weights=None, classes=10)
    config = model.get_config()
    for layer in config["layers"]:
        if layer["class_name"] == "BatchNormalization":
            layer["config"]["momentum"] = 0.9
    return keras.Model.from_config(config)


def enlarged(images: np.ndarray) -> np.ndarray:
    """MNIST images as MobileNetV2 takes them: ``[samples, 96, 96, 3]`` in -1 to 1."""
    import tensorflow as tf

    return np.repeat(tf.image.resize(images, (SIZE, SIZE)).numpy(), 3, axis=-1) * 2 - 1


def run(name: str, model: Any, train: tuple[np.ndarray, np.ndarray], held_out: tuple[np.ndarray, np.ndarray],
        epochs: int, output: Path) -> None:  # fmt: skip
    """Trains, builds with all recipes, and prints the table."""
    out = console()
    began = time.monotonic()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(*train, epochs=epochs, batch_size=32, verbose=0)
    out.print(f"{name}: trained in {time.monotonic() - began:.0f} s")
    began = time.monotonic()
    with progress() as report:
        package = edgeml.build(
            model, name=name, version="1.0.0", calibration=train[0][:200], evaluation=held_out, measure=True,
            progress=report,
        )  # fmt: skip
    package.save(output / f"{name}.edgeml")
    out.print(f"built in {time.monotonic() - began:.0f} s")
    artifact_table(package.manifest)


def main() -> None:
    """Runs both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mnist", type=Path)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("-o", "--output", type=Path, default=Path("mnist"))
    given = parser.parse_args()
    given.output.mkdir(parents=True, exist_ok=True)
    import keras

    images = read_idx(given.mnist / "t10k-images-idx3-ubyte.gz").astype(np.float32)[..., None] / 255
    labels = read_idx(given.mnist / "t10k-labels-idx1-ubyte.gz").astype(np.int64)
    held_out = labels[TRAIN:]
    keras.utils.set_random_seed(1)
    run(
        "mnist-net",
        small_net(),
        (images[:TRAIN], labels[:TRAIN]),
        (images[TRAIN:], held_out),
        given.epochs,
        given.output,
    )
    keras.utils.set_random_seed(1)
    run("mnist-mobilenet", mobilenet(), (enlarged(images[:LARGE_TRAIN]), labels[:LARGE_TRAIN]),
        (enlarged(images[TRAIN:]), held_out), given.epochs, given.output)  # fmt: skip


if __name__ == "__main__":
    main()
