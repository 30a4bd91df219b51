"""A TFLite model of nothing but QUANTIZE, RESHAPE and DEQUANTIZE, made in a worker."""

from __future__ import annotations

import numpy as np
from msgspec import Struct

__all__ = ["QuantizeModel", "QuantizeModelSettings"]


class QuantizeModelSettings(Struct, frozen=True):
    """None."""


class QuantizeModel:
    """Lives in a worker, since TensorFlow prints."""

    def __init__(self, settings: QuantizeModelSettings) -> None:
        pass

    def make(self, low: float, high: float, samples: int) -> bytes:
        """The model, whose int8 tensor covers the range; float32 ``[samples]`` in, ``[samples, 1]`` out."""
        import tensorflow as tf

        function = tf.function(
            lambda x: tf.reshape(x, [samples, 1]), input_signature=[tf.TensorSpec([samples], tf.float32)]
        )
        converter = tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()])
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([np.linspace(low, high, samples, dtype=np.float32)],)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        return bytes(converter.convert())
