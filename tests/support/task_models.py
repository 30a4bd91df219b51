"""Keras models of tasks beyond one label, trained on data made here, in a worker that keeps TensorFlow away."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct

from tests.support.detection import fitted_detector, scenes

__all__ = ["TaskModel", "TaskModels", "TaskModelsSettings"]


class TaskModelsSettings(Struct, frozen=True):
    """The folder of the models."""

    folder: Path


class TaskModel(Struct, frozen=True):
    """A trained model with its data.

    Attributes:
        path: The ``.keras`` file.
        calibration: Calibration inputs.
        x: Held-out inputs.
        y: Their truth: an array, or arrays by output name.
        answers: Outputs of the model itself for `x`, by output name.
    """

    path: Path
    calibration: np.ndarray
    x: np.ndarray
    y: dict[str, np.ndarray]
    answers: dict[str, np.ndarray]


class TaskModels:
    """Trains one model per task. Lives in a worker."""

    def __init__(self, settings: TaskModelsSettings) -> None:
        import os

        os.environ["KERAS_BACKEND"] = "tensorflow"
        import keras

        self._keras, self._layers = keras, keras.layers
        self._folder = settings.folder

    def train(self, task: str) -> TaskModel:
        """Train the model of a task."""
        self._keras.utils.set_random_seed(0)
        make: Callable[[np.random.Generator], tuple[Any, np.ndarray, dict[str, np.ndarray]]] = getattr(self, f"_{task}")
        model, x, y = make(np.random.default_rng(0))
        path = self._folder / f"{task}.keras"
        model.save(path)
        held_out = len(x) * 2 // 3
        answers = model.predict(x[held_out:], verbose=0)
        answers = answers if isinstance(answers, dict) else {"": answers}
        return TaskModel(path, x[:100], x[held_out:], {name: each[held_out:] for name, each in y.items()}, answers)

    def _fit(self, model: Any, x: np.ndarray, y: Any, loss: Any, epochs: int, rate: float = 0.01) -> None:
        count = len(x) * 2 // 3
        target = {name: each[:count] for name, each in y.items()} if isinstance(y, dict) else y[:count]
        model.compile(self._keras.optimizers.Adam(rate), loss)
        model.fit(x[:count], target, epochs=epochs, verbose=0)

    def _multi_label(self, rng: np.random.Generator) -> tuple[Any, np.ndarray, dict[str, np.ndarray]]:
        x = rng.normal(size=(900, 12)).astype(np.float32)
        y = (x @ rng.normal(size=(12, 4)) + 0.5 * rng.normal(size=(900, 4)) > [0, 1, 2, 3]).astype(np.int64)
        inputs = self._keras.Input((12,))
        hidden = self._layers.Dense(96, activation="relu")(inputs)
        model = self._keras.Model(inputs, self._layers.Dense(4, activation="sigmoid")(hidden))
        self._fit(model, x, y, "binary_crossentropy", 6)
        return model, x, {"": y}

    def _segmentation(self, rng: np.random.Generator) -> tuple[Any, np.ndarray, dict[str, np.ndarray]]:
        """Squares of two brightnesses on noise; the border is ground in every picture."""
        x, y = 0.3 * rng.uniform(size=(150, 16, 16, 1)).astype(np.float32), np.zeros((150, 16, 16), np.int64)
        for image, mask in zip(x, y, strict=True):
            for kind in (1, 2):
                top, left = rng.integers(1, 10, 2)
                mask[top : top + 5, left : left + 5] = kind
                image[top : top + 5, left : left + 5] = 0.4 * kind + 0.2 * rng.uniform(size=(5, 5, 1))
        inputs = self._keras.Input((16, 16, 1))
        hidden = self._layers.Conv2D(12, 3, padding="same", activation="relu")(inputs)
        hidden = self._layers.Conv2D(12, 3, padding="same", activation="relu")(hidden)
        model = self._keras.Model(inputs, self._layers.Conv2D(3, 1, activation="softmax")(hidden))
        self._fit(model, x, y, "sparse_categorical_crossentropy", 12)
        return model, x, {"": y}

    def _sequence(self, rng: np.random.Generator) -> tuple[Any, np.ndarray, dict[str, np.ndarray]]:
        """Whether a walk is above zero, and steps that stand out."""
        x = rng.normal(size=(300, 8, 3)).astype(np.float32)
        y = np.where(x[..., 1] > 1, 2, np.cumsum(x[..., 0], axis=1) > 0).astype(np.int64)
        inputs = self._keras.Input((8, 3))
        hidden = self._layers.LSTM(12, return_sequences=True)(inputs)
        model = self._keras.Model(inputs, self._layers.Dense(3, activation="softmax")(hidden))
        self._fit(model, x, y, "sparse_categorical_crossentropy", 10)
        return model, x, {"": y}

    def _outputs(self, rng: np.random.Generator) -> tuple[Any, np.ndarray, dict[str, np.ndarray]]:
        """A kind, a size and two tags of the same rows."""
        x, weights = rng.normal(size=(900, 12)).astype(np.float32), rng.normal(size=(12, 6))
        y = {
            "kind": (x @ weights[:, :3]).argmax(axis=1),
            "size": (x @ weights[:, 3] + 0.3 * rng.normal(size=900)).astype(np.float32),
            "tags": (x @ weights[:, 4:] > 0).astype(np.int64),
        }
        inputs = self._keras.Input((12,))
        hidden = self._layers.Dense(96, activation="relu")(inputs)
        outputs = {
            "kind": self._layers.Dense(3, activation="softmax", name="first")(hidden),
            "size": self._layers.Dense(1, name="second")(hidden),
            "tags": self._layers.Dense(2, activation="sigmoid", name="third")(hidden),
        }
        model = self._keras.Model(inputs, outputs)
        losses = {"kind": "sparse_categorical_crossentropy", "size": "mse", "tags": "binary_crossentropy"}
        self._fit(model, x, y, losses, 8)
        return model, x, y

    def _anomaly(self, rng: np.random.Generator) -> tuple[Any, np.ndarray, dict[str, np.ndarray]]:
        """An autoencoder of rows near a plane; a third of the held-out rows are elsewhere."""
        x = (rng.normal(size=(900, 3)) @ rng.normal(size=(3, 8)) + 0.1 * rng.normal(size=(900, 8))).astype(np.float32)
        y = np.zeros(900, np.int64)
        y[800:] = 1
        x[800:] += 0.5 * rng.normal(size=(100, 8)).astype(np.float32)
        inputs = self._keras.Input((8,))
        hidden = self._layers.Dense(4)(self._layers.Dense(32, activation="relu")(inputs))
        model = self._keras.Model(inputs, self._layers.Dense(8)(self._layers.Dense(32, activation="relu")(hidden)))
        self._fit(model, x, x, "mse", 12)
        return model, x, {"": y}

    def _embedding(self, rng: np.random.Generator) -> tuple[Any, np.ndarray, dict[str, np.ndarray]]:
        """Embeddings of noisy copies of thirty patterns, from the layer before a classifier."""
        y = rng.integers(0, 30, 900)
        x = (rng.normal(size=(30, 12))[y] + 0.6 * rng.normal(size=(900, 12))).astype(np.float32)
        inputs = self._keras.Input((12,))
        embedding = self._layers.Dense(8)(self._layers.Dense(96, activation="relu")(inputs))
        classifier = self._keras.Model(inputs, self._layers.Dense(30, activation="softmax")(embedding))
        self._fit(classifier, x, y, "sparse_categorical_crossentropy", 6)
        return self._keras.Model(inputs, embedding), x, {"": y}

    def _detection(self, rng: np.random.Generator) -> tuple[Any, np.ndarray, dict[str, np.ndarray]]:
        """Rectangles of three colors in pictures; each cell predicts a box in pixels, and scores of three classes.

        It is fitted by least squares: gradients in float32 lead to another net on each CPU, and small nets gain or lose
        two points in int8.
        """
        count, most = 600, 3
        x, found = scenes(count, seed=4)
        truth = np.full((count, most, 5), -1.0)
        for number in range(count):
            own = found[found[:, 0] == number]
            truth[number, : len(own)] = np.c_[own[:, 3:], own[:, 2]]
        return fitted_detector(self._keras), x, {"": truth}
