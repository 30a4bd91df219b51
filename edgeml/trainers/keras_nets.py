"""Architectures of nets, for any shape of input and output.

DS-CNN, ResNet-8, MobileNetV1 and the autoencoder have the topologies of the MLPerf Tiny reference models
(https://github.com/mlcommons/tiny), layer for layer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeml.core.errors import InputError
from edgeml.trainers.training_schema import Autoencoder, Conv, Dense, DsCnn, MobileNetV1, Net, ResNet8

__all__ = ["Head", "make_net"]

_MOMENTUM = 0.9  # of batch norm: Keras's 0.99 needs more steps to converge than small data sets have
# Filters of the original's depthwise separable convolutions, and their strides: https://arxiv.org/abs/1704.04861.
_MOBILENET = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Head:
    """Output of a net.

    Attributes:
        size: Number of classes or values.
        scores: Whether the output is a score for each class, by a softmax; else it is values.
        mean: Mean of each value over the training samples ``[size]``; nets learn values standardized by it.
        std: Standard deviation of each value over the training samples ``[size]``.
    """

    size: int
    scores: bool
    mean: Sequence[float] = ()
    std: Sequence[float] = ()


def make_net(net: Net, shape: tuple[int, ...], head: Head, *, inputs: np.ndarray | None = None) -> Any:
    """Create a Keras model, not compiled, its weights initialized by Keras's global seed.

    Args:
        net: Architecture and its parameters.
        shape: Shape of a sample.
        head: Output of the net; for an autoencoder of the size of its input.
        inputs: Training samples float32 ``[samples, ...]``, by whose mean and variance a dense net and an autoencoder
            standardize each value; None to use values as they are.

    Raises:
        InputError: The net does not support samples of this shape.
    """
    import keras

    images = isinstance(net, Conv | DsCnn | ResNet8 | MobileNetV1)
    if images and len(shape) != 3:
        raise InputError(
            f"model: got samples {list(shape)}, expected [height, width, channels].",
            fix='use kind = "dense", or give x an axis of channels.',
        )
    start = keras.Input(shape, name="image" if len(shape) == 3 else "features")
    body = _BODIES[type(net)]
    features = body(net, _Layers(net), start if images else _standardize(start, inputs))
    return keras.Model(start, _head(features, head), name=str(net.__struct_config__.tag))


class _Layers:
    """Layers with the regularization and the batch norm that all nets share."""

    def __init__(self, net: Net) -> None:
        import keras

        self._layers = keras.layers
        self._regularizer = keras.regularizers.L1L2(net.l1, net.l2) if net.l1 or net.l2 else None

    def dense(self, x: Any, units: int) -> Any:
        return self._layers.Dense(units, kernel_regularizer=self._regularizer)(x)

    def conv(self, x: Any, filters: int, kernel: int | tuple[int, int], strides: int = 1) -> Any:
        return self._layers.Conv2D(
            filters,
            kernel,
            strides,
            padding="same",
            kernel_initializer="he_normal",
            kernel_regularizer=self._regularizer,
        )(x)

    def norm(self, x: Any) -> Any:
        return self._layers.BatchNormalization(momentum=_MOMENTUM)(x)

    def norm_relu(self, x: Any) -> Any:
        return self._layers.Activation("relu")(self.norm(x))

    def separable(self, x: Any, filters: int, strides: int = 1) -> Any:
        # The depthwise kernels are few, and decaying them hurts: MobileNetV1's paper, and the reference models.
        x = self._layers.DepthwiseConv2D(3, strides, padding="same", depthwise_initializer="he_normal")(x)
        return self.norm_relu(self.conv(self.norm_relu(x), filters, 1))

    def dropout(self, x: Any, share: float) -> Any:
        return self._layers.Dropout(share)(x) if share else x

    def average_pool(self, x: Any) -> Any:
        """Return the mean of each channel."""
        return self._layers.Flatten()(self._layers.AveragePooling2D(tuple(x.shape[1:3]))(x))


def _standardize(start: Any, inputs: np.ndarray | None) -> Any:
    """Flatten values, subtract the mean of each, and divide by its deviation unless the value is constant."""
    import keras

    flat = keras.layers.Flatten()(start) if len(start.shape) > 2 else start
    if inputs is None:
        return flat
    rows = inputs.reshape(len(inputs), -1).astype(np.float64)
    std = rows.std(axis=0)
    # Keras's Normalization holds tensors of its own, which tf2onnx mistakes for inputs. In a single step, x * a + b,
    # large means would cost digits.
    centered = keras.layers.Rescaling(1.0, (-rows.mean(axis=0)).tolist())(flat)
    return keras.layers.Rescaling((1.0 / np.where(std > 0.0, std, 1.0)).tolist())(centered)


def _dense(net: Dense, layers: _Layers, x: Any) -> Any:
    import keras

    for units in net.hidden:
        x = layers.dropout(keras.layers.Activation("relu")(layers.dense(x, units)), net.dropout)
    return x


def _conv(net: Conv, layers: _Layers, x: Any) -> Any:
    import keras

    for filters in net.filters:
        x = layers.norm_relu(layers.conv(x, filters, net.kernel))
        if min(x.shape[1:3]) > 1:
            x = keras.layers.MaxPooling2D()(x)
    x = layers.dropout(keras.layers.Flatten()(x), net.dropout)
    return layers.dropout(keras.layers.Activation("relu")(layers.dense(x, net.hidden)), net.dropout)


def _ds_cnn(net: DsCnn, layers: _Layers, x: Any) -> Any:
    x = layers.dropout(layers.norm_relu(layers.conv(x, net.filters, net.kernel, 2)), net.dropout)
    for _ in range(net.blocks):
        x = layers.separable(x, net.filters)
    return layers.average_pool(layers.dropout(x, 2 * net.dropout))


def _resnet_8(net: ResNet8, layers: _Layers, x: Any) -> Any:
    import keras

    x = layers.norm_relu(layers.conv(x, net.filters[0], 3))
    for i, filters in enumerate(net.filters):
        strides = 2 if i else 1
        y = layers.norm_relu(layers.conv(x, filters, 3, strides))
        y = layers.norm(layers.conv(y, filters, 3))
        x = layers.conv(x, filters, 1, strides) if i else x
        x = keras.layers.Activation("relu")(keras.layers.Add()([x, y]))
    return layers.average_pool(x)


def _mobilenet_v1(net: MobileNetV1, layers: _Layers, x: Any) -> Any:
    x = layers.norm_relu(layers.conv(x, max(1, int(32 * net.alpha)), 3, 2))
    for filters, strides in _MOBILENET:
        x = layers.separable(x, max(1, int(filters * net.alpha)), strides)
    return layers.dropout(layers.average_pool(x), net.dropout)


def _autoencoder(net: Autoencoder, layers: _Layers, x: Any) -> Any:
    for units in (*net.hidden, net.code, *reversed(net.hidden)):
        x = layers.norm_relu(layers.dense(x, units))
    return x


def _head(x: Any, head: Head) -> Any:
    import keras

    if head.scores:
        return keras.layers.Dense(head.size, activation="softmax", name="scores")(x)
    if not len(head.mean):
        return keras.layers.Dense(head.size, name="values")(x)
    standardized = keras.layers.Dense(head.size, name="standardized")(x)
    return keras.layers.Rescaling(list(head.std), list(head.mean), name="values")(standardized)


_BODIES: dict[type, Any] = {
    Dense: _dense,
    Conv: _conv,
    DsCnn: _ds_cnn,
    ResNet8: _resnet_8,
    MobileNetV1: _mobilenet_v1,
    Autoencoder: _autoencoder,
}
