"""Fit a net epoch by epoch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeml.core.errors import InputError
from edgeml.trainers.keras_nets import Head, make_net
from edgeml.trainers.result import Epoch
from edgeml.trainers.training_schema import Augmentation, Autoencoder, Fit, Net

__all__ = ["NetFitting", "NetSamples"]

_FINAL_RATE = 0.01  # last learning rate of the exponential and step schedules, as a share of the first


@dataclass(frozen=True, slots=True)
class NetSamples:
    """Training and validation samples of a net.

    Attributes:
        x: float32 ``[samples, ...]``.
        y: Positions of classes ``[samples]``, or values ``[samples, size]``.
        validation_x: Inputs that choose the best epoch, in the form of `x`.
        validation_y: Expected outputs for them, in the form of `y`.
        pixels: Whether all values of `x` have the same unit, so that they are not standardized separately.
    """

    x: np.ndarray
    y: np.ndarray
    validation_x: np.ndarray
    validation_y: np.ndarray
    pixels: bool = False


class NetFitting:
    """Create and fit a net. The same seed gives the same weights on the same machine.

    Args:
        net: Architecture of the net.
        fit: Hyperparameters of the fitting.
        samples: The samples.
        classes: Number of classes; None for a net that outputs values.
        seed: Seed of weights, order, dropout and augmentation. Keras has a single generator for the whole process.

    Attributes:
        model: The Keras model.
        standardized: Whether losses refer to values that are standardized over the training samples.
    """

    def __init__(self, net: Net, fit: Fit, samples: NetSamples, *, classes: int | None, seed: int) -> None:
        import keras
        import tensorflow as tf

        keras.utils.set_random_seed(seed)
        tf.config.experimental.enable_op_determinism()
        self._fit, self._samples = fit, samples
        self._order = np.random.default_rng(seed)
        reconstructs_pixels = isinstance(net, Autoencoder) and samples.pixels
        head = _head(samples.y, classes, standardized=classes is None and not reconstructs_pixels)
        self.standardized = bool(head.mean)
        self.model = make_net(net, samples.x.shape[1:], head, inputs=None if samples.pixels else samples.x)
        self._metric = "mae" if classes is None else "accuracy"
        if self.standardized:
            self._samples = NetSamples(
                samples.x,
                _standardize(samples.y, head),
                samples.validation_x,
                _standardize(samples.validation_y, head),
            )
        self._trained_model = _add_augmentation(self.model, fit.augmentation)
        steps = math.ceil(len(samples.x) / fit.batch_size) * fit.epochs
        self._trained_model.compile(
            keras.optimizers.Adam(_schedule(fit, steps)),
            "mse" if classes is None else "sparse_categorical_crossentropy",
            metrics=[self._metric],
        )
        self._best: tuple[float, int, list[np.ndarray]] = (math.inf, 0, [])
        self._number = 0

    @property
    def best_epoch(self) -> int:
        """Number of the epoch with the lowest validation loss so far."""
        return self._best[1]

    @property
    def done(self) -> bool:
        """True if the last epoch is reached or the validation loss has stopped improving."""
        patience = self._fit.patience or self._fit.epochs
        return self._number >= self._fit.epochs or self._number - self.best_epoch >= patience

    def epoch(self) -> Epoch:
        """Train for one more epoch.

        Raises:
            InputError: The loss is no longer finite.
        """
        samples, metric, model = self._samples, self._metric, self._trained_model
        # Batch by batch: `fit` needs 0.2 s to set up an epoch, which is more than small data sets need in all.
        order = self._order.permutation(len(samples.x))
        size = self._fit.batch_size
        training = _run_batches(model.train_on_batch, samples.x[order], samples.y[order], size)
        validation = _run_batches(model.test_on_batch, samples.validation_x, samples.validation_y, size)
        self._number += 1
        if not math.isfinite(training["loss"]) or not math.isfinite(validation["loss"]):
            raise InputError(
                f"fit: the loss became infinite or NaN in epoch {self._number}.",
                fix="use a smaller fit.learning_rate, and look for extreme values in the data.",
            )
        if validation["loss"] < self._best[0]:
            self._best = (validation["loss"], self._number, self.model.get_weights())
        return Epoch(
            number=self._number,
            of=self._fit.epochs,
            loss=training["loss"],
            validation_loss=validation["loss"],
            **{metric: training[metric], f"validation_{metric}": validation[metric]},
        )

    def restore_best(self) -> Any:
        """Return the Keras model with the weights of the best epoch."""
        self.model.set_weights(self._best[2])
        return self.model


def _head(y: np.ndarray, classes: int | None, *, standardized: bool) -> Head:
    if not standardized:
        return Head(classes or y.shape[1], scores=classes is not None)
    # A constant value has a deviation of 0, and the net outputs its mean.
    return Head(y.shape[1], scores=False, mean=y.mean(axis=0).tolist(), std=y.std(axis=0).tolist())


def _standardize(y: np.ndarray, head: Head) -> np.ndarray:
    std = np.array(head.std)
    return ((y - np.array(head.mean)) / np.where(std > 0.0, std, 1.0)).astype(np.float32)


def _run_batches(step: Any, x: np.ndarray, y: np.ndarray, size: int) -> dict[str, float]:
    """Run a Keras step on all batches; return loss and metrics averaged over the samples."""
    sums: dict[str, float] = {}
    for start in range(0, len(x), size):
        batch = x[start : start + size]
        for name, value in step(batch, y[start : start + size], return_dict=True).items():
            sums[name] = sums.get(name, 0.0) + len(batch) * float(value)
    return {name: total / len(x) for name, total in sums.items()}


def _add_augmentation(model: Any, augmentation: Augmentation) -> Any:
    """Return the model to fit: augmented inputs in front, without the layer that undoes the standardization."""
    import keras

    start, last = model.inputs[0], model.layers[-1]
    standardized = keras.Model(start, last.input) if isinstance(last, keras.layers.Rescaling) else model
    layers = _augmentation_layers(augmentation, start)
    if not layers:
        return standardized
    x = augmented = keras.Input(start.shape[1:])
    for layer in layers:
        augmented = layer(augmented)
    return keras.Model(x, standardized(augmented))


def _augmentation_layers(augmentation: Augmentation, start: Any) -> list[Any]:
    import keras

    layers = keras.layers
    flip = "horizontal_and_vertical" if augmentation.flip == "both" else augmentation.flip
    image_layers = [
        *([layers.RandomFlip(flip)] if flip else []),
        *(
            [layers.RandomTranslation(augmentation.translation, augmentation.translation)]
            if augmentation.translation
            else []
        ),
        *([layers.RandomRotation(augmentation.rotation)] if augmentation.rotation else []),
        *([layers.RandomZoom((-augmentation.zoom, augmentation.zoom))] if augmentation.zoom else []),
    ]
    if image_layers and len(start.shape) != 4:
        raise InputError(
            f"fit.augmentation: got samples {list(start.shape[1:])}; all keys but 'noise' are for images.",
            fix="leave flip, translation, rotation and zoom out.",
        )
    return [*image_layers, *([layers.GaussianNoise(augmentation.noise)] if augmentation.noise else [])]


def _schedule(fit: Fit, steps: int) -> Any:
    import keras

    schedules, rate = keras.optimizers.schedules, fit.learning_rate
    if fit.schedule == "cosine":
        return schedules.CosineDecay(rate, steps)
    if fit.schedule == "exponential":
        return schedules.ExponentialDecay(rate, steps, _FINAL_RATE)
    if fit.schedule == "step":
        return schedules.PiecewiseConstantDecay([steps // 3, 2 * steps // 3], [rate, rate / 10, rate * _FINAL_RATE])
    return rate
