"""Small Keras 2 models, made and asked in a worker: tf-keras shares no process with Keras 3."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct

import edgeml
from edgeml.core.registry.tables import SOURCES
from edgeml.core.source import SourceInfo
from edgeml.core.system.imports import resolve
from edgeml.sources.tensorflow_functions import is_pure_function

__all__ = ["LegacyModels", "LegacyModelsSettings"]


class LegacyModelsSettings(Struct, frozen=True):
    """Where models go."""

    folder: Path


class LegacyModels:
    """Lives in a worker."""

    def __init__(self, settings: LegacyModelsSettings) -> None:
        os.environ["TF_USE_LEGACY_KERAS"] = "1"
        import tf_keras

        self._keras = tf_keras
        self._folder = settings.folder

    def make(self, kind: str, suffix: str) -> Path:
        """The ``.h5`` or ``.keras`` file, or with another suffix the SavedModel folder, of the model of ``_kind``."""
        path = self._folder / f"{kind}{suffix}"
        if suffix == ".keras":
            self._model(kind).save(path)
        else:
            self._model(kind).save(path, save_format="h5" if suffix == ".h5" else "tf", include_optimizer=False)
        return path

    def checkpoint(self) -> Path:
        """A folder with a TensorFlow checkpoint."""
        path = self._folder / "checkpoint-folder"
        self._model("sigmoid").save_weights(path / "weights", save_format="tf")
        return path

    def weights_alone(self) -> Path:
        """An ``.h5`` file without a model."""
        path = self._folder / "weights.h5"
        self._model("many").save_weights(path)
        return path

    def module(self) -> Path:
        """A SavedModel that is no Keras model."""
        import tensorflow as tf

        path = self._folder / "module"
        tf.saved_model.save(tf.Module(), str(path))
        return path

    def make_with_hidden_operator(self) -> Path:
        """A SavedModel of Keras's own layers, in whose file a function that writes was put beside the layers'."""
        from tensorflow.core.protobuf import saved_model_pb2

        path = self.make("nested", "-hidden")
        file = path / "saved_model.pb"
        model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
        library = model.meta_graphs[0].graph_def.library
        function = next(found for found in library.function if "serving" in found.signature.name or found.node_def)
        function.node_def.add(name="stolen", op="WriteFile", input=["a", "b"])
        file.write_bytes(model.SerializeToString())
        return path

    def describe(self, path: Path) -> SourceInfo:
        """What edgeml says of the model."""
        return self._source(path).info

    def reference(self, path: Path, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What edgeml takes for the model's own answers."""
        return self._source(path).reference(inputs).outputs

    def answers(self, path: Path, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """What tf-keras gives for all samples at once, in the order of the model's outputs."""
        import tensorflow as tf

        model = self._keras.models.load_model(path, compile=False)
        cast = [array.astype(spec.dtype.as_numpy_dtype) for array, spec in zip(inputs, model.inputs, strict=True)]
        return [np.asarray(output) for output in tf.nest.flatten(model(tf.nest.pack_sequence_as(model.input, cast)))]

    def named_answers(self, path: Path, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What tf-keras predicts of a model that takes a dict and gives one."""
        model = self._keras.models.load_model(path, compile=False)
        answers: dict[str, np.ndarray] = model.predict(inputs, verbose=0)
        return answers

    def build_in_memory(self, kind: str, recipe: str) -> Path:
        """A package of one recipe, built from a model in memory."""
        path = self._folder / f"{kind}.edgeml"
        edgeml.build(self._model(kind), recipes=[recipe]).save(path)
        return path

    def pure_functions(self) -> dict[str, tuple[str, list[str]]]:
        """The functions that edgeml lets a model call, of all that TensorFlow exports: module and arguments of each."""
        import inspect

        from tensorflow.python.util import tf_decorator, tf_export

        found = {}
        for name, symbol in tf_export._NAME_TO_SYMBOL_MAPPING.items():  # what tf-keras looks names up in
            if is_pure_function(name):
                function = tf_decorator.unwrap(symbol)[1]
                assert inspect.isfunction(function), name
                found[name] = (function.__module__, list(inspect.signature(function).parameters))
        return found

    def keras_3_modules(self) -> list[str]:
        """Modules of Keras 3 that this process has loaded."""
        return [name for name in sys.modules if name.partition(".")[0] == "keras"]

    def _source(self, path: Path) -> Any:
        return resolve(SOURCES["tf_keras"]).open_source(path)

    def _model(self, kind: str) -> Any:
        self._keras.utils.set_random_seed(0)
        return getattr(self, f"_{kind}")()

    def _many(self) -> Any:
        """Three inputs, one of whole numbers, and two outputs."""
        keras, layers = self._keras, self._keras.layers
        inputs = [
            keras.Input((4,), name="x"),
            keras.Input((3,), name="z-1"),
            keras.Input((5,), dtype="int32", name="t"),
        ]
        hidden = layers.concatenate([*inputs[:2], layers.Flatten()(layers.Embedding(20, 3)(inputs[2]))])
        hidden = layers.BatchNormalization()(layers.Dense(64, activation="relu")(hidden))
        return keras.Model(inputs, [layers.Dense(2, name="zeta")(hidden), layers.Dense(1, name="alpha")(hidden)])

    def _crossed(self) -> Any:
        """Takes a dict whose keys are the names of each other's inputs, and gives one, of layers named likewise."""
        keras, layers = self._keras, self._keras.layers
        before, after = keras.Input((4,), name="before"), keras.Input((4,), name="after")
        change = before - after
        outputs = {"up": layers.Dense(2, name="down")(change), "down": layers.Dense(2, name="up")(change)}
        return keras.Model({"after": before, "before": after}, outputs)

    def _float_tokens(self) -> Any:
        """Token numbers of Keras's default dtype."""
        keras, layers = self._keras, self._keras.layers
        tokens = keras.Input((4,), name="tokens")
        embedded = layers.Embedding(3000, 8, embeddings_initializer="normal")(layers.Reshape((4,))(tokens))
        return keras.Model(tokens, layers.Dense(5, name="value")(layers.GlobalAveragePooling1D()(embedded)))

    def _sigmoid(self) -> Any:
        layers = self._keras.layers
        return self._keras.Sequential(
            [self._keras.Input((16,)), layers.Dense(64, activation="relu"), layers.Dense(1, activation="sigmoid")]
        )

    def _nested(self) -> Any:
        keras, layers = self._keras, self._keras.layers
        head = keras.Sequential([keras.Input((8,)), layers.Dense(4), layers.Softmax()], name="head")
        x = keras.Input((8, 8, 3), name="image")
        hidden = layers.DepthwiseConv2D(3, strides=2, padding="same")(x)
        hidden = layers.GlobalAveragePooling2D()(layers.Conv2D(8, 1, activation="relu")(hidden))
        return keras.Model(x, head(hidden))

    def _with_operators(self) -> Any:
        """Made with TensorFlow's own functions."""
        import tensorflow as tf

        x = self._keras.Input((16,), name="x")
        return self._keras.Model(x, self._keras.layers.Dense(2)(tf.nn.relu(x) * 2.0 + tf.math.tanh(x)))

    def _with_array_operators(self) -> Any:
        """Made with TensorFlow's own functions that move and cut arrays, which are saved by other names than theirs."""
        import tensorflow as tf

        x = self._keras.Input((4, 4, 4), name="x")
        hidden = tf.transpose(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), [0, 2, 1, 3])[:, ::2, 1:]
        flat = tf.reshape(tf.image.resize(hidden, (8, 8)), [tf.shape(x)[0], 256])
        chosen = tf.concat([tf.gather(flat, [0, 3], axis=1), tf.norm(x, axis=[1, 2]), tf.squeeze(x[:, :1, 0], 1)], -1)
        return self._keras.Model(x, self._keras.layers.Dense(2)(chosen))

    def _mixed_float16(self) -> Any:
        """Computes in float16, also in a nested model and where a function of TensorFlow casts."""
        import tensorflow as tf

        return self._under("mixed_float16", lambda hidden: tf.cast(tf.cast(hidden, tf.float16) * 2.0, tf.float32))

    def _float64(self) -> Any:
        return self._under("float64", lambda hidden: hidden)

    def _mixed_own_class(self) -> Any:
        """Holds a layer that cannot be made anew."""
        kind = type("Mine", (self._keras.layers.Layer,), {"call": lambda _, value: value * 2})

        def mine(hidden: Any) -> Any:
            return kind()(hidden)

        return self._under("mixed_float16", mine)

    def _under(self, policy: str, operation: Any) -> Any:
        keras, layers = self._keras, self._keras.layers
        keras.mixed_precision.set_global_policy(policy)
        try:
            x = keras.Input((6, 6, 3), name="x", dtype="float32")
            inner = keras.Sequential([keras.Input((4, 4, 8)), layers.BatchNormalization(), layers.Flatten()])
            hidden = operation(inner(layers.Conv2D(8, 3, activation="relu")(x)))
            return keras.Model(x, layers.Dense(2, name="value", dtype="float32")(hidden))
        finally:
            keras.mixed_precision.set_global_policy("float32")

    def _recurrent(self) -> Any:
        """An LSTM, and a GRU both ways whose first state comes in."""
        keras, layers = self._keras, self._keras.layers
        x, h = keras.Input((6, 4), name="x"), keras.Input((8,), name="h")
        hidden = layers.LSTM(8, return_sequences=True)(x)
        return keras.Model([x, h], layers.Dense(3)(layers.Bidirectional(layers.GRU(8))(hidden, initial_state=[h, h])))

    def _own_training(self) -> Any:
        """A functional model whose class changes its training alone."""
        members = {"__module__": "__main__", "train_step": lambda model, data: data}
        x = self._keras.Input((16,), name="x")
        return type("Trained", (self._keras.Model,), members)(x, self._keras.layers.Dense(3)(x))

    def _text(self) -> Any:
        """Looks words up."""
        import tensorflow as tf

        keras, layers = self._keras, self._keras.layers
        colour = keras.Input((1,), dtype=tf.string, name="colour")
        ids = layers.StringLookup(vocabulary=["red", "green", "blue"], name="lookup")(colour)
        return keras.Model(colour, layers.Dense(2)(layers.Flatten()(layers.Embedding(4, 3)(ids))))

    def _subclassed(self) -> Any:
        keras = self._keras
        mine = type("Mine", (keras.Model,), {"call": lambda model, value: model.dense(value)})
        model = mine()
        model.dense = keras.layers.Dense(2)
        model(np.zeros((1, 16), np.float32))
        return model

    def _with_lambda(self) -> Any:
        x = self._keras.Input((16,), name="x")
        return self._keras.Model(x, self._keras.layers.Lambda(lambda value: value * 2)(x))

    def _with_own_class(self) -> Any:
        x = self._keras.Input((16,), name="x")
        mine = type("Mine", (self._keras.layers.Layer,), {"call": lambda _, value: value * 2})
        return self._keras.Model(x, mine()(x))

    def _with_free_size(self) -> Any:
        x = self._keras.Input((None, 4), name="x")
        return self._keras.Model(x, self._keras.layers.Dense(2)(x))

    def _that_reads_a_file(self) -> Any:
        import tensorflow as tf

        def call(_: Any, value: Any) -> Any:
            read = tf.strings.length(tf.io.read_file(tf.strings.as_string(tf.reduce_sum(value))))
            return value + tf.cast(read, tf.float32)

        return self._with_layer(call)

    def _that_calls_python(self) -> Any:
        import tensorflow as tf

        def call(_: Any, value: Any) -> Any:
            return tf.ensure_shape(tf.py_function(lambda given: given * 2, [value], tf.float32), value.shape)

        return self._with_layer(call)

    def _with_layer(self, call: Any) -> Any:
        x = self._keras.Input((16,), name="x")
        return self._keras.Model(x, type("Mine", (self._keras.layers.Layer,), {"call": call})()(x))
