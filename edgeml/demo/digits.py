"""Two small models of handwritten digits, on the 1,797 images of 8 × 8 pixels that scikit-learn ships."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
from msgspec import Struct

from edgeml.core.errors import MissingDependencyError

__all__ = ["Digits", "DigitsTrainer", "TrainerSettings", "check_frameworks", "digits"]

_TRAIN, _CALIBRATION = 1197, 200
_LARGEST_PIXEL = 16.0
_FRAMEWORKS = ("tensorflow", "keras", "sklearn", "skops")


class Digits(Struct, frozen=True):
    """The images, in a fixed split.

    Attributes:
        train: float32 ``[1197, 8, 8, 1]`` in 0 to 1.
        train_labels: int64 ``[1197]``.
        calibration: The first 200 of the training images.
        evaluation: float32 ``[600, 8, 8, 1]``.
        evaluation_labels: int64 ``[600]``.
    """

    train: np.ndarray
    train_labels: np.ndarray
    calibration: np.ndarray
    evaluation: np.ndarray
    evaluation_labels: np.ndarray


def check_frameworks() -> None:
    """Check that the frameworks that train the models are installed.

    Raises:
        MissingDependencyError: At least one framework is not installed.
    """
    missing = [module for module in _FRAMEWORKS if importlib.util.find_spec(module) is None]
    if missing:
        raise MissingDependencyError(f"Training the demo's models with {', '.join(missing)}", "all")


def digits(seed: int = 0) -> Digits:
    """Load the digits, shuffled by a seed, with pixels in the range [0, 1]."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(x))
    images = (x[order] / _LARGEST_PIXEL).astype(np.float32).reshape(-1, 8, 8, 1)
    labels = y[order].astype(np.int64)
    return Digits(images[:_TRAIN], labels[:_TRAIN], images[:_CALIBRATION], images[_TRAIN:], labels[_TRAIN:])


class TrainerSettings(Struct, frozen=True):
    """Settings of `DigitsTrainer`.

    Attributes:
        folder: Folder that models are written to.
        seed: Seed of their weights.
    """

    folder: Path
    seed: int = 0


class DigitsTrainer:
    """Trainer of both models.

    Runs in a child process, a `Worker`, which keeps TensorFlow and its output out of the caller's.
    """

    def __init__(self, settings: TrainerSettings) -> None:
        self._settings = settings
        self._digits = digits()

    def data(self) -> Digits:
        """Return the images that the models are trained and evaluated on."""
        return self._digits

    def train_net(self, epochs: int) -> Path:
        """Train a convolutional net of 12,000 parameters with a softmax; return its ``.keras`` file."""
        import keras

        keras.utils.set_random_seed(self._settings.seed)
        layers = keras.layers
        model = keras.Sequential(
            [
                keras.Input((8, 8, 1), name="image"),
                layers.Conv2D(16, 3, padding="same", use_bias=False),
                layers.BatchNormalization(momentum=0.9),
                layers.ReLU(),
                layers.DepthwiseConv2D(3, padding="same", activation="relu"),
                layers.Conv2D(32, 1, activation="relu"),
                layers.MaxPooling2D(),
                layers.Flatten(),
                layers.Dropout(0.2),
                layers.Dense(20, activation="relu"),
                layers.Dense(10, activation="softmax", name="scores"),
            ]
        )
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(self._digits.train, self._digits.train_labels, batch_size=32, epochs=epochs, verbose=0)
        path = self._settings.folder / "digits-net.keras"
        model.save(path)
        return path

    def train_pipeline(self) -> Path:
        """Train a scaler, PCA and logistic regression on the 64 pixels; return the ``.skops`` file."""
        import skops.io
        from sklearn.decomposition import PCA
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        pipeline = make_pipeline(
            StandardScaler(), PCA(32, random_state=self._settings.seed), LogisticRegression(max_iter=1000)
        )
        pipeline.fit(self._digits.train.reshape(len(self._digits.train), -1), self._digits.train_labels)
        path = self._settings.folder / "digits-pipeline.skops"
        skops.io.dump(pipeline, path)
        return path
