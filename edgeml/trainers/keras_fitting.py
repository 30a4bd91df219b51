"""Fitting a net, epoch by epoch."""

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

_FALL = 0.01  # what the falling schedules end at, as a share of the first learning rate


@dataclass(frozen=True, slots=True)
class NetSamples:
    """What a net is fitted on.

    Attributes:
        x: float32 ``[samples, ...]``. `y`: positions of classes ``[samples]``, or values ``[samples, size]``.
        validation_x: What chooses the epoch, the same way. `validation_y`: the same way.
        pixels: Whether all values of `x` have one unit, which standardizing each of them would spoil.
    """

    x: np.ndarray
    y: np.ndarray
    validation_x: np.ndarray
    validation_y: np.ndarray
    pixels: bool = False


class NetFitting:
    """Makes a net and fits it; the same seed gives the same weights on the same machine.

    Args:
        net: Which.
        fit: How.
        samples: On what.
        classes: How many; None where values are learnt.
        seed: Of weights, order, dropout and augmentation. Keras has one generator for the whole process.

    Attributes:
        model: The Keras model.
        standardized: Whether losses are those of values standardized over the training samples.
    """

    def __init__(self, net: Net, fit: Fit, samples: NetSamples, *, classes: int | None, seed: int) -> None:
        import keras
        import tensorflow as tf

        keras.utils.set_random_seed(seed)
        tf.config.experimental.enable_op_determinism()
        self._fit, self._samples = fit, samples
        self._order = np.random.default_rng(seed)
        given_back = isinstance(net, Autoencoder) and samples.pixels
        head = _head(samples.y, classes, standardized=classes is None and not given_back)
        self.standardized = bool(head.mean)
        self.model = make_net(net, samples.x.shape[1:], head, inputs=None if samples.pixels else samples.x)
        self._metric = "mae" if classes is None else "accuracy"
        if self.standardized:
            self._samples = NetSamples(
                samples.x,
                _standardized(samples.y, head),
                samples.validation_x,
                _standardized(samples.validation_y, head),
            )
        self._learning = _learning(self.model, fit.augmentation)
        steps = math.ceil(len(samples.x) / fit.batch_size) * fit.epochs
        self._learning.compile(
            keras.optimizers.Adam(_schedule(fit, steps)),
            "mse" if classes is None else "sparse_categorical_crossentropy",
            metrics=[self._metric],
        )
        self._best: tuple[float, int, list[np.ndarray]] = (math.inf, 0, [])
        self._number = 0

    @property
    def best_epoch(self) -> int:
        """The number of the epoch with the best validation loss so far."""
        return self._best[1]

    @property
    def done(self) -> bool:
        """Whether all epochs are made, or the last ones were no better for long enough."""
        patience = self._fit.patience or self._fit.epochs
        return self._number >= self._fit.epochs or self._number - self.best_epoch >= patience

    def epoch(self) -> Epoch:
        """Makes one more epoch.

        Raises:
            InputError: The loss is no longer finite.
        """
        samples, metric, learning = self._samples, self._metric, self._learning
        # Batch by batch: `fit` takes 0.2 s to set an epoch up, which is more than small data sets take to learn.
        order = self._order.permutation(len(samples.x))
        size = self._fit.batch_size
        told = _over_batches(learning.train_on_batch, samples.x[order], samples.y[order], size)
        validation = _over_batches(learning.test_on_batch, samples.validation_x, samples.validation_y, size)
        self._number += 1
        if not math.isfinite(told["loss"]) or not math.isfinite(validation["loss"]):
            raise InputError(
                f"fit: the loss is no longer finite in epoch {self._number}.",
                fix="take a smaller fit.learning_rate, and look for extreme values in the data.",
            )
        if validation["loss"] < self._best[0]:
            self._best = (validation["loss"], self._number, self.model.get_weights())
        return Epoch(
            number=self._number,
            of=self._fit.epochs,
            loss=told["loss"],
            validation_loss=validation["loss"],
            **{metric: told[metric], f"validation_{metric}": validation[metric]},
        )

    def finished(self) -> Any:
        """The Keras model with the best epoch's weights."""
        self.model.set_weights(self._best[2])
        return self.model


def _head(y: np.ndarray, classes: int | None, *, standardized: bool) -> Head:
    if not standardized:
        return Head(classes or y.shape[1], scores=classes is not None)
    # A value that is always the same has a deviation of 0, and the net gives its mean.
    return Head(y.shape[1], scores=False, mean=y.mean(axis=0).tolist(), std=y.std(axis=0).tolist())


def _standardized(y: np.ndarray, head: Head) -> np.ndarray:
    std = np.array(head.std)
    return ((y - np.array(head.mean)) / np.where(std > 0.0, std, 1.0)).astype(np.float32)


def _over_batches(step: Any, x: np.ndarray, y: np.ndarray, size: int) -> dict[str, float]:
    """Loss and metrics over all samples: Keras tells those of each batch."""
    sums: dict[str, float] = {}
    for start in range(0, len(x), size):
        batch = x[start : start + size]
        for name, value in step(batch, y[start : start + size], return_dict=True).items():
            sums[name] = sums.get(name, 0.0) + len(batch) * float(value)
    return {name: total / len(x) for name, total in sums.items()}


def _learning(model: Any, augmentation: Augmentation) -> Any:
    """What is fitted in the model's place: its samples are varied, and its values standardized."""
    import keras

    start, last = model.inputs[0], model.layers[-1]
    ended = keras.Model(start, last.input) if isinstance(last, keras.layers.Rescaling) else model
    layers = _augmenting(augmentation, start)
    if not layers:
        return ended
    x = varied = keras.Input(start.shape[1:])
    for layer in layers:
        varied = layer(varied)
    return keras.Model(x, ended(varied))


def _augmenting(wanted: Augmentation, start: Any) -> list[Any]:
    import keras

    layers = keras.layers
    flip = "horizontal_and_vertical" if wanted.flip == "both" else wanted.flip
    found = [
        *([layers.RandomFlip(flip)] if flip else []),
        *([layers.RandomTranslation(wanted.translation, wanted.translation)] if wanted.translation else []),
        *([layers.RandomRotation(wanted.rotation)] if wanted.rotation else []),
        *([layers.RandomZoom((-wanted.zoom, wanted.zoom))] if wanted.zoom else []),
    ]
    if found and len(start.shape) != 4:
        raise InputError(
            f"fit.augmentation: samples are {list(start.shape[1:])}, and all but 'noise' is for images.",
            fix="leave flip, translation, rotation and zoom out.",
        )
    return [*found, *([layers.GaussianNoise(wanted.noise)] if wanted.noise else [])]


def _schedule(fit: Fit, steps: int) -> Any:
    import keras

    schedules, rate = keras.optimizers.schedules, fit.learning_rate
    if fit.schedule == "cosine":
        return schedules.CosineDecay(rate, steps)
    if fit.schedule == "exponential":
        return schedules.ExponentialDecay(rate, steps, _FALL)
    if fit.schedule == "step":
        return schedules.PiecewiseConstantDecay([steps // 3, 2 * steps // 3], [rate, rate / 10, rate * _FALL])
    return rate
