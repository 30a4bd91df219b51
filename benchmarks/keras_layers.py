"""Keras's layers, each in a small model with seeded weights, by every recipe asked for.

    python benchmarks/keras_layers.py [--recipe tflite-fp32]... [--only TEXT]... [--failed] [-o RESULT.json]

An outcome is the verdict that a build gives (`released`, `rejected`) with the SQNR, `refused` with the reason, or
`crashed` where the tool's process died, which a build refuses too. By default both recipes in float32.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

DEFAULT = ("tflite-fp32", "onnx-fp32")
SAMPLES = 40
WORDS = 50
_POSITIVE = {"moving_variance", "variance", "gamma"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a model by one recipe."""

    case: str
    recipe: str
    outcome: str
    sqnr_db: float | None = None
    reason: str = ""
    fix: str = ""


def one_layer(layers: Any) -> dict[str, tuple[tuple[int, ...], Callable[[], Any]]]:
    """Models of a single layer: the input's shape, and what makes the layer."""
    image, sequence, volume = (12, 12, 4), (10, 6), (6, 6, 6, 3)
    cells = [layers.LSTMCell, layers.GRUCell]
    return {
        "Dense": ((8,), lambda: layers.Dense(5)),
        "Dense on sequences": (sequence, lambda: layers.Dense(5)),
        "EinsumDense": (sequence, lambda: layers.EinsumDense("abc,cd->abd", (10, 5), bias_axes="d")),
        "EinsumDense free size": (sequence, lambda: layers.EinsumDense("abc,cd->abd", (None, 5), bias_axes="d")),
        "EinsumDense into heads": (sequence, lambda: layers.EinsumDense("abc,cde->abde", (10, 2, 4), bias_axes="de")),
        "Conv1D": (sequence, lambda: layers.Conv1D(5, 3)),
        "Conv1D causal, dilated": (sequence, lambda: layers.Conv1D(5, 3, dilation_rate=2, padding="causal")),
        "Conv1D strided, same": (sequence, lambda: layers.Conv1D(5, 3, strides=2, padding="same")),
        "Conv1D grouped": (sequence, lambda: layers.Conv1D(4, 3, groups=2)),
        "Conv2D": (image, lambda: layers.Conv2D(5, 3)),
        "Conv2D strided, same": (image, lambda: layers.Conv2D(5, 3, strides=2, padding="same")),
        "Conv2D dilated": (image, lambda: layers.Conv2D(5, 3, dilation_rate=2)),
        "Conv2D dilated, same": (image, lambda: layers.Conv2D(5, 3, dilation_rate=(2, 3), padding="same")),
        "Conv2D grouped": (image, lambda: layers.Conv2D(8, 3, groups=2)),
        "Conv2D channels first": ((4, 12, 12), lambda: layers.Conv2D(5, 3, data_format="channels_first")),
        "Conv3D": (volume, lambda: layers.Conv3D(4, 3)),
        "Conv3D strided, same": (volume, lambda: layers.Conv3D(4, 3, strides=2, padding="same")),
        "Conv3D dilated": (volume, lambda: layers.Conv3D(4, 2, dilation_rate=2)),
        "Conv3D grouped": ((6, 6, 6, 4), lambda: layers.Conv3D(4, 3, groups=2)),
        "Conv1DTranspose": (sequence, lambda: layers.Conv1DTranspose(5, 3, strides=2)),
        "Conv2DTranspose": (image, lambda: layers.Conv2DTranspose(5, 3, strides=2)),
        "Conv2DTranspose same": (image, lambda: layers.Conv2DTranspose(5, 3, strides=2, padding="same")),
        "Conv2DTranspose output padding": (
            image,
            lambda: layers.Conv2DTranspose(5, 3, strides=2, padding="same", output_padding=1),
        ),
        "Conv2DTranspose dilated": (image, lambda: layers.Conv2DTranspose(5, 3, dilation_rate=2)),
        "Conv3DTranspose": (volume, lambda: layers.Conv3DTranspose(4, 3, strides=2)),
        "SeparableConv1D": (sequence, lambda: layers.SeparableConv1D(5, 3)),
        "SeparableConv2D": (image, lambda: layers.SeparableConv2D(5, 3, depth_multiplier=2)),
        "DepthwiseConv1D": (sequence, lambda: layers.DepthwiseConv1D(3, depth_multiplier=2)),
        "DepthwiseConv2D": (image, lambda: layers.DepthwiseConv2D(3)),
        "DepthwiseConv2D multiplier": (image, lambda: layers.DepthwiseConv2D(3, depth_multiplier=3, padding="same")),
        "DepthwiseConv2D strided": (image, lambda: layers.DepthwiseConv2D(3, strides=2, padding="same")),
        "DepthwiseConv2D dilated": (image, lambda: layers.DepthwiseConv2D(3, dilation_rate=2, padding="same")),
        "MaxPooling1D": (sequence, lambda: layers.MaxPooling1D(2)),
        "MaxPooling2D": (image, lambda: layers.MaxPooling2D(3, strides=2, padding="same")),
        "MaxPooling3D": (volume, lambda: layers.MaxPooling3D(2)),
        "AveragePooling1D": (sequence, lambda: layers.AveragePooling1D(2)),
        "AveragePooling2D": (image, lambda: layers.AveragePooling2D(3, strides=2, padding="same")),
        "AveragePooling3D": (volume, lambda: layers.AveragePooling3D(2)),
        "GlobalAveragePooling1D": (sequence, layers.GlobalAveragePooling1D),
        "GlobalAveragePooling2D": (image, lambda: layers.GlobalAveragePooling2D(keepdims=True)),
        "GlobalAveragePooling3D": (volume, layers.GlobalAveragePooling3D),
        "GlobalMaxPooling1D": (sequence, layers.GlobalMaxPooling1D),
        "GlobalMaxPooling2D": (image, layers.GlobalMaxPooling2D),
        "GlobalMaxPooling3D": (volume, layers.GlobalMaxPooling3D),
        "AdaptiveAveragePooling1D": (sequence, lambda: layers.AdaptiveAveragePooling1D(4)),
        "AdaptiveAveragePooling2D": (image, lambda: layers.AdaptiveAveragePooling2D(5)),
        "AdaptiveAveragePooling3D": (volume, lambda: layers.AdaptiveAveragePooling3D(4)),
        "AdaptiveMaxPooling1D": (sequence, lambda: layers.AdaptiveMaxPooling1D(4)),
        "AdaptiveMaxPooling2D": (image, lambda: layers.AdaptiveMaxPooling2D(5)),
        "AdaptiveMaxPooling3D": (volume, lambda: layers.AdaptiveMaxPooling3D(4)),
        "LSTM": (sequence, lambda: layers.LSTM(8)),
        "LSTM sequences": (sequence, lambda: layers.LSTM(8, return_sequences=True)),
        "LSTM backwards": (sequence, lambda: layers.LSTM(8, go_backwards=True, return_sequences=True)),
        "LSTM dropout": (sequence, lambda: layers.LSTM(8, dropout=0.3, recurrent_dropout=0.3)),
        "LSTM unrolled": (sequence, lambda: layers.LSTM(8, unroll=True)),
        "LSTM other activations": (sequence, lambda: layers.LSTM(8, activation="relu", recurrent_activation="sigmoid")),
        "LSTM no bias": (sequence, lambda: layers.LSTM(8, use_bias=False)),
        "GRU": (sequence, lambda: layers.GRU(8)),
        "GRU sequences": (sequence, lambda: layers.GRU(8, return_sequences=True)),
        "GRU reset before": (sequence, lambda: layers.GRU(8, reset_after=False)),
        "GRU backwards": (sequence, lambda: layers.GRU(8, go_backwards=True)),
        "SimpleRNN": (sequence, lambda: layers.SimpleRNN(8)),
        "SimpleRNN sequences": (sequence, lambda: layers.SimpleRNN(8, return_sequences=True)),
        "RNN of a cell": (sequence, lambda: layers.RNN(layers.GRUCell(8))),
        "RNN of stacked cells": (sequence, lambda: layers.RNN([cell(8) for cell in cells])),
        "Bidirectional LSTM": (sequence, lambda: layers.Bidirectional(layers.LSTM(8))),
        "Bidirectional LSTM sequences": (
            sequence,
            lambda: layers.Bidirectional(layers.LSTM(8, return_sequences=True), merge_mode="sum"),
        ),
        "Bidirectional GRU": (sequence, lambda: layers.Bidirectional(layers.GRU(8))),
        "ConvLSTM1D": ((5, 8, 3), lambda: layers.ConvLSTM1D(4, 3)),
        "ConvLSTM2D": ((4, 8, 8, 3), lambda: layers.ConvLSTM2D(4, 3)),
        "ConvLSTM3D": ((3, 5, 5, 5, 2), lambda: layers.ConvLSTM3D(3, 3)),
        "TimeDistributed Dense": (sequence, lambda: layers.TimeDistributed(layers.Dense(4))),
        "TimeDistributed Conv2D": ((3, 8, 8, 2), lambda: layers.TimeDistributed(layers.Conv2D(4, 3))),
        "BatchNormalization": (image, layers.BatchNormalization),
        "BatchNormalization other axis": ((4, 12, 12), lambda: layers.BatchNormalization(axis=1)),
        "LayerNormalization": (sequence, layers.LayerNormalization),
        "LayerNormalization axes": (image, lambda: layers.LayerNormalization(axis=[1, 2, 3])),
        "GroupNormalization": (image, lambda: layers.GroupNormalization(2)),
        "GroupNormalization per channel": (image, lambda: layers.GroupNormalization(-1)),
        "UnitNormalization": ((8,), layers.UnitNormalization),
        "RMSNormalization": (sequence, layers.RMSNormalization),
        "SpectralNormalization": (image, lambda: layers.SpectralNormalization(layers.Conv2D(4, 3))),
        "ReLU": ((8,), layers.ReLU),
        "ReLU 6": ((8,), lambda: layers.ReLU(max_value=6)),
        "ReLU with all options": ((8,), lambda: layers.ReLU(max_value=2, negative_slope=0.2, threshold=0.3)),
        "LeakyReLU": ((8,), lambda: layers.LeakyReLU(0.1)),
        "PReLU": (image, lambda: layers.PReLU(shared_axes=[1, 2])),
        "PReLU of its own": (image, layers.PReLU),
        "ELU": ((8,), lambda: layers.ELU(0.7)),
        "Softmax": (sequence, layers.Softmax),
        "Softmax other axis": (sequence, lambda: layers.Softmax(axis=1)),
        "Resizing nearest": (image, lambda: layers.Resizing(17, 9, interpolation="nearest")),
        "Resizing bilinear": (image, lambda: layers.Resizing(17, 9)),
        "Resizing bilinear, antialiased": (image, lambda: layers.Resizing(7, 9, antialias=True)),
        "Resizing bicubic": (image, lambda: layers.Resizing(17, 9, interpolation="bicubic")),
        "Resizing area": (image, lambda: layers.Resizing(6, 6, interpolation="area")),
        "Resizing cropped": (image, lambda: layers.Resizing(8, 6, crop_to_aspect_ratio=True)),
        "Resizing padded": (image, lambda: layers.Resizing(8, 6, pad_to_aspect_ratio=True)),
        "Rescaling": (image, lambda: layers.Rescaling(1 / 127.5, offset=-1)),
        "CenterCrop": (image, lambda: layers.CenterCrop(7, 8)),
        "CenterCrop beyond": (image, lambda: layers.CenterCrop(16, 16)),
        "Normalization": ((3,), lambda: layers.Normalization(mean=[1.0, 2.0, -1.0], variance=[1.0, 4.0, 9.0])),
        "Normalization inverted": (
            (3,),
            lambda: layers.Normalization(mean=[1.0, 2.0, -1.0], variance=[1.0, 4.0, 9.0], invert=True),
        ),
        "Discretization": ((4,), lambda: layers.Discretization(bin_boundaries=[-1.0, 0.0, 0.5])),
        "Discretization one-hot": (
            (1,),
            lambda: layers.Discretization(bin_boundaries=[-1.0, 0.0, 0.5], output_mode="one_hot"),
        ),
        "UpSampling1D": (sequence, lambda: layers.UpSampling1D(2)),
        "UpSampling2D nearest": (image, lambda: layers.UpSampling2D((2, 3))),
        "UpSampling2D bilinear": (image, lambda: layers.UpSampling2D(2, interpolation="bilinear")),
        "UpSampling2D bicubic": (image, lambda: layers.UpSampling2D(2, interpolation="bicubic")),
        "UpSampling2D lanczos3": (image, lambda: layers.UpSampling2D(2, interpolation="lanczos3")),
        "UpSampling3D": (volume, lambda: layers.UpSampling3D(2)),
        "ZeroPadding1D": (sequence, lambda: layers.ZeroPadding1D((1, 2))),
        "ZeroPadding2D": (image, lambda: layers.ZeroPadding2D(((1, 2), (0, 3)))),
        "ZeroPadding3D": (volume, lambda: layers.ZeroPadding3D(1)),
        "Cropping1D": (sequence, lambda: layers.Cropping1D((1, 2))),
        "Cropping2D": (image, lambda: layers.Cropping2D(((1, 2), (0, 3)))),
        "Cropping3D": (volume, lambda: layers.Cropping3D(1)),
        "Permute": (image, lambda: layers.Permute((3, 1, 2))),
        "Reshape": (image, lambda: layers.Reshape((6, -1))),
        "Flatten": (image, layers.Flatten),
        "RepeatVector": ((8,), lambda: layers.RepeatVector(3)),
        "Dropout": ((8,), lambda: layers.Dropout(0.5)),
        "AlphaDropout": ((8,), lambda: layers.AlphaDropout(0.5)),
        "GaussianDropout": ((8,), lambda: layers.GaussianDropout(0.5)),
        "GaussianNoise": ((8,), lambda: layers.GaussianNoise(0.5)),
        "SpatialDropout1D": (sequence, lambda: layers.SpatialDropout1D(0.5)),
        "SpatialDropout2D": (image, lambda: layers.SpatialDropout2D(0.5)),
        "ActivityRegularization": ((8,), lambda: layers.ActivityRegularization(0.1)),
        "RandomFlip": ((12, 12, 3), layers.RandomFlip),
        "RandomRotation": ((12, 12, 3), lambda: layers.RandomRotation(0.2)),
        "RandomZoom": ((12, 12, 3), lambda: layers.RandomZoom(0.2)),
        "RandomTranslation": ((12, 12, 3), lambda: layers.RandomTranslation(0.2, 0.2)),
        "RandomCrop": ((12, 12, 3), lambda: layers.RandomCrop(8, 8)),
        "RandomContrast": ((12, 12, 3), lambda: layers.RandomContrast(0.2)),
        "RandomBrightness": ((12, 12, 3), lambda: layers.RandomBrightness(0.2)),
        "Masking": (sequence, lambda: layers.Masking(0.0)),
        "MelSpectrogram": ((2048,), lambda: layers.MelSpectrogram(256, 128, sampling_rate=8000, num_mel_bins=20)),
        "STFTSpectrogram": (
            (2048, 1),
            lambda: layers.STFTSpectrogram(frame_length=256, frame_step=128, fft_length=256),
        ),
    }


class Special:
    """Models of several layers, inputs or outputs: each method ``_name`` gives the case of that name."""

    def __init__(self, keras: Any) -> None:
        self.keras, self.layers = keras, keras.layers

    def tokens(self, length: int = 10) -> Any:
        """A whole-number input."""
        return self.keras.Input((length,), dtype="int32", name="tokens")

    def _lstm_classifier(self) -> Any:
        x = self.keras.Input((10, 6), name="x")
        return self.keras.Model(x, self.layers.Dense(3, activation="softmax")(self.layers.LSTM(32)(x)))

    def _gru_classifier(self) -> Any:
        x = self.keras.Input((10, 6), name="x")
        return self.keras.Model(x, self.layers.Dense(3, activation="softmax")(self.layers.GRU(32)(x)))

    def _bidirectional_classifier(self) -> Any:
        x = self.keras.Input((10, 6), name="x")
        hidden = self.layers.Bidirectional(self.layers.LSTM(24))(x)
        return self.keras.Model(x, self.layers.Dense(3, activation="softmax")(hidden))

    def _stacked_recurrent(self) -> Any:
        x = self.keras.Input((10, 6), name="x")
        hidden = self.layers.GRU(8, return_sequences=True)(self.layers.LSTM(8, return_sequences=True)(x))
        return self.keras.Model(x, self.layers.SimpleRNN(5)(hidden))

    def _masked_lstm(self) -> Any:
        x = self.keras.Input((10, 6), name="x")
        return self.keras.Model(x, self.layers.LSTM(8)(self.layers.Masking(0.0)(x)))

    def _masked_bidirectional(self) -> Any:
        x = self.keras.Input((10, 6), name="x")
        return self.keras.Model(x, self.layers.Bidirectional(self.layers.GRU(8))(self.layers.Masking(0.0)(x)))

    def _masked_embedding_lstm(self) -> Any:
        tokens = self.tokens()
        hidden = self.layers.Embedding(WORDS, 8, mask_zero=True)(tokens)
        return self.keras.Model(tokens, self.layers.Dense(3)(self.layers.LSTM(8)(hidden)))

    def _masked_embedding_pooled(self) -> Any:
        tokens = self.tokens()
        hidden = self.layers.Embedding(WORDS, 8, mask_zero=True)(tokens)
        return self.keras.Model(tokens, self.layers.Dense(3)(self.layers.GlobalAveragePooling1D()(hidden)))

    def _lstm_with_states(self) -> Any:
        x = self.keras.Input((10, 6), name="x")
        encoded, h, c = self.layers.LSTM(8, return_state=True, return_sequences=True)(x)
        return self.keras.Model(x, [self.layers.LSTM(8)(encoded, initial_state=[h, c]), c])

    def _embedding_classifier(self) -> Any:
        tokens = self.tokens()
        hidden = self.layers.GlobalAveragePooling1D()(self.layers.Embedding(WORDS, 32)(tokens))
        hidden = self.layers.Dense(64, activation="relu")(hidden)
        return self.keras.Model(tokens, self.layers.Dense(3, activation="softmax")(hidden))

    def _embedding_and_numbers(self) -> Any:
        tokens, x = self.tokens(), self.keras.Input((6,), name="x")
        hidden = self.layers.Flatten()(self.layers.Embedding(WORDS, 8)(tokens))
        hidden = self.layers.Dense(64, activation="relu")(self.layers.Concatenate()([hidden, x]))
        return self.keras.Model([tokens, x], self.layers.Dense(3, activation="softmax")(hidden))

    def _gelu_classifier(self) -> Any:
        x = self.keras.Input((16,), name="x")
        hidden = self.layers.Dense(128, activation="gelu")(x)
        return self.keras.Model(x, self.layers.Dense(3, activation="softmax")(hidden))

    def _multi_head_attention(self) -> Any:
        x = self.keras.Input((10, 16), name="x")
        return self.keras.Model(x, self.layers.MultiHeadAttention(4, 8)(x, x))

    def _causal_attention(self) -> Any:
        x = self.keras.Input((10, 16), name="x")
        return self.keras.Model(x, self.layers.MultiHeadAttention(4, 8)(x, x, use_causal_mask=True))

    def _cross_attention_with_scores(self) -> Any:
        x, y = self.keras.Input((10, 16), name="x"), self.keras.Input((6, 12), name="y")
        return self.keras.Model([x, y], self.layers.MultiHeadAttention(2, 8)(x, y, return_attention_scores=True))

    def _masked_attention(self) -> Any:
        tokens = self.tokens()
        hidden = self.layers.Embedding(WORDS, 16, mask_zero=True)(tokens)
        return self.keras.Model(tokens, self.layers.MultiHeadAttention(2, 8)(hidden, hidden))

    def _grouped_query_attention(self) -> Any:
        x = self.keras.Input((10, 16), name="x")
        return self.keras.Model(x, self.layers.GroupQueryAttention(8, 4, 2)(x, x))

    def _dot_attention(self) -> Any:
        x, y = self.keras.Input((10, 16), name="x"), self.keras.Input((6, 16), name="y")
        return self.keras.Model([x, y], self.layers.Attention(use_scale=True)([x, y]))

    def _additive_attention(self) -> Any:
        x, y = self.keras.Input((10, 16), name="x"), self.keras.Input((6, 16), name="y")
        return self.keras.Model([x, y], self.layers.AdditiveAttention()([x, y]))

    def _attention_classifier(self) -> Any:
        x = self.keras.Input((10, 16), name="x")
        hidden = self.layers.LayerNormalization()(x + self.layers.MultiHeadAttention(4, 16)(x, x))
        hidden = self.layers.GlobalAveragePooling1D()(hidden)
        return self.keras.Model(x, self.layers.Dense(3, activation="softmax")(hidden))

    def _transformer(self) -> Any:
        """An encoder block over the embeddings of tokens and of their positions."""
        layers, tokens = self.layers, self.tokens()
        positions = layers.Embedding(10, 32)(self.keras.ops.arange(10))
        hidden = layers.Embedding(WORDS, 32)(tokens) + positions
        hidden = layers.LayerNormalization()(hidden + layers.MultiHeadAttention(4, 8)(hidden, hidden))
        forward = layers.Dense(32)(layers.Dense(64, activation="gelu")(hidden))
        hidden = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(hidden + layers.Dropout(0.1)(forward)))
        return self.keras.Model(tokens, layers.Dense(3, activation="softmax")(hidden))

    def _inputs_by_name(self) -> Any:
        inputs = {"right": self.keras.Input((3,), name="right"), "left": self.keras.Input((4,), name="left")}
        zeta, alpha = self.layers.Dense(2)(inputs["right"]), self.layers.Dense(5)(inputs["left"])
        return self.keras.Model(inputs, {"zeta": zeta, "alpha": alpha})

    def _inputs_in_a_list(self) -> Any:
        inputs = [self.keras.Input((3,), name=name) for name in ("z", "a", "m")]
        joined = self.layers.Concatenate()(inputs)
        return self.keras.Model(inputs, [self.layers.Dense(3, name=name)(joined) for name in ("y", "b", "n")])

    def _inputs_nested(self) -> Any:
        keras, layers = self.keras, self.layers
        inputs = {
            "pair": [keras.Input((3,), name="second"), keras.Input((3,), name="first")],
            "alone": keras.Input((2,), name="alone"),
        }
        difference = layers.Subtract()(inputs["pair"])
        outputs = {"pose": {"yaw": layers.Dense(3)(difference), "roll": layers.Dense(3)(inputs["alone"])}}
        return keras.Model(inputs, outputs)

    def _shared_layers(self) -> Any:
        shared = self.layers.Dense(6, activation="tanh")
        inputs = [self.keras.Input((4,), name=name) for name in ("b", "a")]
        return self.keras.Model(inputs, self.layers.Subtract()([shared(value) for value in inputs]))

    def _nested_models(self) -> Any:
        keras, layers = self.keras, self.layers
        inner = keras.Sequential([keras.Input((8, 8, 3)), layers.Conv2D(4, 3), layers.BatchNormalization()])
        x, y = keras.Input((8, 8, 3), name="x"), keras.Input((8, 8, 3), name="y")
        return keras.Model([x, y], layers.Flatten()(layers.Multiply()([inner(x), inner(y)])))

    def _merges(self) -> Any:
        layers = self.layers
        inputs = [self.keras.Input((4, 6), name=name) for name in ("b", "a")]
        kinds = [layers.Add, layers.Subtract, layers.Multiply, layers.Average, layers.Maximum, layers.Minimum]
        outputs = [kind()(inputs) for kind in kinds]
        outputs += [layers.Concatenate(axis=1)(inputs), layers.Dot(axes=2)(inputs)]
        return self.keras.Model(inputs, [*outputs, layers.Dot(axes=(1, 1), normalize=True)(inputs)])

    def _augmented(self) -> Any:
        layers = self.layers
        x = self.keras.Input((16, 16, 3), dtype="uint8", name="x")
        hidden = layers.RandomFlip()(layers.Rescaling(1 / 255)(x))
        hidden = layers.Normalization(mean=[0.4, 0.5, 0.6], variance=[0.1, 0.2, 0.1])(
            layers.RandomRotation(0.1)(hidden)
        )
        return self.keras.Model(x, layers.Conv2D(4, 3)(hidden))

    def _category_encoding(self) -> Any:
        tokens = self.tokens(1)
        encoded = self.layers.CategoryEncoding(WORDS, output_mode="one_hot")(tokens)
        return self.keras.Model(tokens, self.layers.Dense(3)(encoded))

    def _category_counts(self) -> Any:
        tokens = self.tokens()
        return self.keras.Model(tokens, self.layers.CategoryEncoding(WORDS, output_mode="count")(tokens))

    def _integer_lookup(self) -> Any:
        tokens = self.tokens()
        found = self.layers.IntegerLookup(vocabulary=list(range(5, 40)))(tokens)
        return self.keras.Model(tokens, self.layers.Embedding(WORDS, 4)(found))

    def _hashing(self) -> Any:
        tokens = self.tokens()
        return self.keras.Model(tokens, self.layers.Embedding(7, 4)(self.layers.Hashing(7)(tokens)))

    def _mixed_float16(self) -> Any:
        return self.under("mixed_float16")

    def _mixed_bfloat16(self) -> Any:
        return self.under("mixed_bfloat16")

    def _float16(self) -> Any:
        return self.under("float16")

    def _float64(self) -> Any:
        return self.under("float64")

    def under(self, policy: str) -> Any:
        """A convolutional net of another dtype policy."""
        keras, layers = self.keras, self.layers
        before = keras.config.dtype_policy()
        keras.config.set_dtype_policy(policy)
        try:
            x = keras.Input((8, 8, 3), name="x", dtype="float32")
            hidden = layers.BatchNormalization()(layers.Conv2D(8, 3, activation="relu")(x))
            hidden = layers.Dense(32, activation="relu")(layers.Flatten()(hidden))
            return keras.Model(x, layers.Dense(4)(hidden))
        finally:
            keras.config.set_dtype_policy(before)


def case_names() -> list[str]:
    """All of them. Layers are looked up in a child, where Keras is."""
    with _child() as child:
        return child.submit(_names).result()


def _names() -> list[str]:
    keras = _keras()
    special = [name[1:] for name in vars(Special) if name.startswith("_") and not name.startswith("__")]
    return [*one_layer(keras.layers), *(f"activation {name}" for name in _activations(keras)), *special]


def _activations(keras: Any) -> list[str]:
    functions = vars(keras.activations).items()
    others = {"deserialize", "serialize", "get"}
    return sorted({found.__name__ for name, found in functions if callable(found) and name not in others})


def _keras() -> Any:
    import os

    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras

    return keras


def model_of(name: str) -> Any:
    """The case's model, with weights that are not what Keras starts with."""
    keras = _keras()
    keras.utils.clear_session()
    keras.utils.set_random_seed(0)
    singles = one_layer(keras.layers)
    if name in singles:
        shape, make = singles[name]
        x = keras.Input(shape, name="x")
        model = keras.Model(x, make()(x))
    elif name.startswith("activation "):
        x = keras.Input((4, 8), name="x")
        model = keras.Model(x, keras.layers.Activation(name.removeprefix("activation "))(x))
    else:
        model = getattr(Special(keras), f"_{name}")()
    rng = np.random.default_rng(0)
    for weight in model.weights:
        if weight.name in _POSITIVE:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif weight.name == "embeddings":
            weight.assign(rng.normal(0, 1, weight.shape))
        elif weight.name in {"bias", "beta", "moving_mean", "alpha"}:
            weight.assign(rng.normal(0, 0.3, weight.shape))
    return model


def samples(info: Any, seed: int) -> dict[str, np.ndarray]:
    """Inputs that fit; of sequences some end in zeros, which masks hide; whole numbers are words."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for spec in info.signature.inputs:
        shape = (SAMPLES, *(size or 1 for size in spec.shape[1:]))
        values = rng.integers(1, WORDS, shape) if spec.name in info.whole_inputs else rng.normal(0, 1.5, shape)
        if len(shape) in {2, 3} and shape[1] == 10:
            values[::3, 6:] = 0
        arrays[spec.name] = values.astype(np.float32)
    return arrays


def outcomes(name: str, recipes: list[str], folder: Path) -> list[Outcome]:
    """Converts the case's model and judges what comes, as a build does."""
    from edgeml.core.errors import EdgemlError
    from edgeml.core.goal import Goal
    from edgeml.core.recipe import find_recipe
    from edgeml.core.source import Reference
    from edgeml.pipeline.assessment import Assessor
    from edgeml.pipeline.children.convert import Conversion, ConversionSettings
    from edgeml.pipeline.children.prove import Proof, ProofSettings
    from edgeml.pipeline.evaluation_data import EvaluationData
    from edgeml.pipeline.reference import ReferenceOutputs, ReferenceSet
    from edgeml.pipeline.saved_inputs import save_arrays
    from edgeml.pipeline.task import with_task
    from edgeml.sources.keras import save

    folder = Path(tempfile.mkdtemp(dir=folder))
    try:
        save(model_of(name), folder / "model.keras")
        conversion = Conversion(ConversionSettings("keras", folder / "model.keras", folder))
    except EdgemlError as error:
        return [Outcome(name, recipe, "refused", None, error.message, error.fix) for recipe in recipes]
    except Exception as error:
        raise ValueError(f"{name}: Keras itself has no such model") from error
    info, _ = with_task(conversion.describe(), None, None, None)
    judged, calibration = samples(info, 1), samples(info, 2)
    files, calibrating = save_arrays(judged, folder / "judged"), save_arrays(calibration, folder / "calibration")
    found = []
    for recipe in recipes:
        try:
            reference = conversion.reference(files)
            if not all(np.isfinite(values).all() for values in reference.outputs.values()):
                raise SystemExit(f"{name}: the model itself gives NaN or infinity")
            artifact = conversion.convert(recipe, calibrating)
            run = Proof(ProofSettings(files, measure=False)).run(artifact)
        except EdgemlError as error:
            found.append(Outcome(name, recipe, "refused", None, error.message, error.fix))
            continue
        except Exception as error:  # noqa: BLE001  # tools raise many kinds; a build's child tells them so
            found.append(Outcome(name, recipe, "refused", None, f"{type(error).__name__}: {error}"))
            continue
        data = EvaluationData("evaluation", judged)
        source = ReferenceOutputs(reference, info)
        own = ReferenceOutputs(Reference(reference.own), info) if reference.own else None
        answers = ReferenceSet(source, None, own.fidelity_to(source) if own else None)
        proven = Assessor(info, Goal(), data).assess(find_recipe(recipe), answers, artifact, run)
        figures = proven.evaluation.fidelity
        remarks = "; ".join((*proven.verdict.reasons, *proven.verdict.remarks))
        found.append(Outcome(name, recipe, proven.verdict.status, figures.sqnr_db, remarks))
    return found


def _child() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))


def swept(names: list[str], recipes: list[str]) -> Iterator[Outcome]:
    """All outcomes, made in a child that is replaced where a tool takes it down."""
    with tempfile.TemporaryDirectory() as folder:
        child = _child()
        for name in names:
            try:
                yield from child.submit(outcomes, name, recipes, Path(folder)).result()
            except BrokenProcessPool:
                for recipe in recipes:  # again one by one, to tell which
                    child = _child()
                    try:
                        yield from child.submit(outcomes, name, [recipe], Path(folder)).result()
                    except BrokenProcessPool:
                        yield Outcome(name, recipe, "crashed", None, "the tool's process died")
                child = _child()
        child.shutdown()


def main() -> None:
    """Sweeps and prints each outcome as it comes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", action="append", help="repeatable; both in float32 by default")
    parser.add_argument("--only", action="append", help="cases whose name holds this; repeatable")
    parser.add_argument("--failed", action="store_true", help="print only what is not released")
    parser.add_argument("-o", "--output", type=Path, help="write the outcomes as JSON")
    given = parser.parse_args()
    names = [name for name in case_names() if not given.only or any(text in name for text in given.only)]
    began, found = time.perf_counter(), []
    for outcome in swept(names, given.recipe or list(DEFAULT)):
        found.append(outcome)
        if not (given.failed and outcome.outcome == "released"):
            figure = "" if outcome.sqnr_db is None else f"{outcome.sqnr_db:.1f} dB"
            text = " Fix: ".join(filter(None, (outcome.reason, outcome.fix)))
            print(f"{outcome.case:34} {outcome.recipe:14} {outcome.outcome:9} {figure:9} {text}".rstrip(), flush=True)
    counts = Counter((outcome.recipe, outcome.outcome) for outcome in found)
    print(f"{len(names)} models, {time.perf_counter() - began:.0f} s")
    for (recipe, outcome), count in sorted(counts.items()):
        print(f"{recipe:14} {outcome:9} {count}")
    if given.output:
        given.output.write_text(json.dumps([asdict(item) for item in found], indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
