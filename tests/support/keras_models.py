"""Small Keras models, made and asked in a worker: it keeps TensorFlow, and what it prints, out of the tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct

import edgeml
from edgeml.core.artifact import Artifact
from edgeml.core.conversion import ConversionJob
from edgeml.core.recipe import find_recipe
from edgeml.core.registry.tables import CONVERTERS, SOURCES
from edgeml.core.source import SourceInfo
from edgeml.core.system.imports import resolve
from tests.support.detection import fitted_detector, two_targets

__all__ = ["KerasModels", "KerasModelsSettings"]


class KerasModelsSettings(Struct, frozen=True):
    """Where models go."""

    folder: Path


class KerasModels:
    """Lives in a worker."""

    def __init__(self, settings: KerasModelsSettings) -> None:
        import os

        os.environ["KERAS_BACKEND"] = "tensorflow"
        import keras

        self._keras = keras
        self._folder = settings.folder
        self._jobs = 0

    def make(self, kind: str) -> Path:
        """The ``.keras`` file of the model that the method ``_kind`` makes."""
        path = self._folder / f"{kind}.keras"
        self._model(kind).save(path)
        return path

    def make_in_form(self, kind: str, form: str) -> Path:
        """The model saved as ``keras``, ``h5``, ``weights``, ``export`` (a SavedModel) or ``unzipped``."""
        model = self._model(kind)
        suffix = {"h5": ".h5", "keras": ".keras", "weights": ".weights.h5"}.get(form, f"-{form}")
        path = self._folder / f"{kind}{suffix}"
        if form == "weights":
            model.save_weights(path)
        elif form == "export":
            model.export(path, verbose=False)
        else:
            model.save(path, **({"zipped": False} if form == "unzipped" else {}))
        return path

    def streaming_file(self) -> Path:
        """A ``.tflite`` file that keeps the last three steps of four numbers in a variable."""
        import tensorflow as tf

        weights = np.random.default_rng(0).standard_normal((16, 2)).astype(np.float32)

        class Net(tf.Module):  # type: ignore[misc]  # TensorFlow does not have types
            def __init__(self) -> None:
                super().__init__()
                self.last, self.weights = tf.Variable(tf.zeros([1, 3, 4])), tf.constant(weights)

            @tf.function(input_signature=[tf.TensorSpec([1, 1, 4], tf.float32, name="x")])  # type: ignore[untyped-decorator]
            def step(self, x: Any) -> Any:
                window = tf.concat([self.last, x], 1)
                self.last.assign(window[:, 1:])
                return {"y": tf.reshape(window, [1, 16]) @ self.weights}

        net, folder, path = Net(), self._folder / "streaming", self._folder / "streaming.tflite"
        tf.saved_model.save(net, str(folder), signatures={"step": net.step})
        converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
        converter.experimental_enable_resource_variables = True
        path.write_bytes(converter.convert())
        return path

    def variants(self) -> dict[str, Path]:
        """One model in several files: as it is, compiled, with one weight changed, with one layer named otherwise."""
        keras, layers = self._keras, self._keras.layers

        def model(name: str) -> Any:
            keras.utils.set_random_seed(1)
            x = keras.Input((4,), name="x")
            return keras.Model(x, layers.Dense(3, name="out")(layers.Dense(5, name=name)(x)), name="variant")

        plain, compiled, nudged, renamed = model("hidden"), model("hidden"), model("hidden"), model("other")
        compiled.compile("adam", "mse")
        compiled.predict(np.zeros((2, 4), np.float32), verbose=0)
        weights = nudged.get_weights()
        weights[0][0, 0] = np.nextafter(weights[0][0, 0], np.float32(9))
        nudged.set_weights(weights)
        files = {"plain": plain, "again": plain, "compiled": compiled, "nudged": nudged, "renamed": renamed}
        paths = {name: self._folder / f"variant-{name}.keras" for name in files}
        for name, made in files.items():
            made.save(paths[name])
        return paths

    def describe(self, path: Path) -> SourceInfo:
        """What edgeml says of the model."""
        return self._source(path).info

    def reference(self, path: Path, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What edgeml takes for the model's own answers."""
        return self._source(path).reference(inputs).outputs

    def answers(self, path: Path, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """What Keras gives for all samples at once, in the order of the model's outputs."""
        tree = self._keras.tree
        model = self._keras.saving.load_model(path, compile=False)
        struct = getattr(model, "_inputs_struct", model.inputs[0])
        cast = [array.astype(spec.dtype) for array, spec in zip(inputs, model.inputs, strict=True)]
        return [np.asarray(output) for output in tree.flatten(model(tree.pack_sequence_as(struct, cast)))]

    def answers_in_memory(self, kind: str, inputs: list[np.ndarray]) -> list[np.ndarray]:
        """What Keras gives of a model that is not saved, in the order of its outputs."""
        model = self._model(kind)
        cast = [array.astype(spec.dtype) for array, spec in zip(inputs, model.inputs, strict=True)]
        packed = self._keras.tree.pack_sequence_as(model._inputs_struct, cast)
        return [np.asarray(output) for output in self._keras.tree.flatten(model(packed))]

    def named_answers(self, path: Path, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """What Keras predicts of a model that takes a dict and gives one."""
        model = self._keras.saving.load_model(path, compile=False)
        answers: dict[str, np.ndarray] = model.predict(inputs, verbose=0)
        return answers

    def convert(self, path: Path, recipe: str, calibration: dict[str, np.ndarray], batch: int) -> Artifact:
        """The artifact that edgeml makes of the model, from scratch; 0 for the format's own batch."""
        self._jobs += 1
        folder = self._folder / f"job-{self._jobs}"
        folder.mkdir()
        job = ConversionJob(folder, batch or None, calibration or None)
        found = find_recipe(recipe)
        convert = resolve(CONVERTERS["keras", found.format])
        artifact: Artifact = convert(self._source(path), found, job)
        return artifact

    def save_in_memory(self, kind: str) -> Path:
        """Hands a model in memory over as a file, as `build` does."""
        path = self._folder / f"{kind}-saved.keras"
        resolve(SOURCES["keras"]).save(self._model(kind), path)
        return path

    def build_in_memory(self, kind: str, recipe: str) -> Path:
        """A package of one recipe, built from a model in memory."""
        path = self._folder / f"{kind}.edgeml"
        edgeml.build(self._model(kind), recipes=[recipe]).save(path)
        return path

    def make_tflite(self, sums: bool, batch: int | None) -> Path:
        """The ``.tflite`` file of a matrix product, of which ``sums`` adds up the rows so far."""
        import tensorflow as tf

        weights = tf.constant(np.random.default_rng(0).standard_normal((8, 4)), tf.float32)

        def product(x: Any) -> Any:
            return tf.cumsum(x @ weights) if sums else x @ weights

        function = tf.function(product, input_signature=[tf.TensorSpec((batch, 8), tf.float32)])
        path = self._folder / f"{'sums' if sums else 'products'} {batch}.tflite"
        path.write_bytes(tf.lite.TFLiteConverter.from_concrete_functions([function.get_concrete_function()]).convert())
        return path

    def _source(self, path: Path) -> Any:
        return resolve(SOURCES["keras"]).open_source(path)

    def _model(self, kind: str) -> Any:
        self._keras.utils.clear_session()  # which counts the layers that have no name
        self._keras.utils.set_random_seed(0)
        return getattr(self, f"_{kind}")()

    def _dense(self, **options: Any) -> Any:
        """A layer wide enough for the TFLite converter to store its weights as int8."""
        return self._keras.layers.Dense(128, activation="relu", **options)

    def _one_input(self, size: int = 16) -> Any:
        return self._keras.Input((size,), name="x")

    def _own_training(self) -> Any:
        """A functional model whose class, of a script, changes its training alone."""
        members = {"__module__": "__main__", "train_step": lambda model, data: model.super().train_step(data)}
        x = self._one_input()
        return type("Trained", (self._keras.Model,), members)(x, self._dense()(x))

    def _own_dicts(self) -> Any:
        """As ``crossed``, of a class that changes its training alone."""
        model = self._crossed()
        members = {"__module__": "__main__", "train_step": lambda model, data: data}
        return type("Trained", (self._keras.Model,), members)(model._inputs_struct, model._outputs_struct)

    def _own_call(self) -> Any:
        """Of a class that computes something else than its layers."""
        x = self._one_input()
        members = {"__module__": "__main__", "call": lambda model, x, **_: x}
        return type("Other", (self._keras.Model,), members)(x, self._dense()(x))

    def _text(self) -> Any:
        """Looks words up."""
        keras, layers = self._keras, self._keras.layers
        colour, age = keras.Input((1,), dtype="string", name="colour"), keras.Input((2,), name="age")
        ids = layers.StringLookup(vocabulary=["red", "green", "blue"], name="lookup")(colour)
        embedded = layers.Flatten()(layers.Embedding(4, 3)(ids))
        return keras.Model([colour, age], layers.Dense(2)(layers.Concatenate()([embedded, age])))

    def _behind_text(self) -> Any:
        model = self._text()
        starts = [model.get_layer("age").output, model.get_layer("lookup").output]
        return self._keras.Model(starts, model.outputs)

    def _many(self) -> Any:
        """Five inputs and two outputs, with names that clash or that some format does not take."""
        keras, layers = self._keras, self._keras.layers
        names = {"x": 4, "X": 3, "größe": 2, "2nd-one": 2, "2nd one": 2}
        inputs = [keras.Input((size,), name=name) for name, size in names.items()]
        hidden = self._dense()(layers.concatenate(inputs))
        return keras.Model(
            inputs, {"zeta": layers.Dense(2, name="first")(hidden), "alpha": layers.Dense(1, name="second")(hidden)}
        )

    def _by_name(self) -> Any:
        """Takes and gives dicts whose order is not that of their names."""
        keras, layers = self._keras, self._keras.layers
        inputs = {"right": keras.Input((3,), name="right"), "left": keras.Input((4,), name="left")}
        return keras.Model(inputs, {"up": layers.Dense(2)(inputs["right"]), "down": layers.Dense(5)(inputs["left"])})

    def _crossed(self) -> Any:
        """Takes a dict whose keys are the names of each other's inputs; and gives one, of layers named likewise."""
        keras, layers = self._keras, self._keras.layers
        before, after = keras.Input((4,), name="before"), keras.Input((4,), name="after")
        ids = keras.Input((1,), dtype="int32", name="ids")
        change = layers.Concatenate()(
            [layers.Subtract()([before, after]), layers.Flatten()(layers.Embedding(9, 2)(ids))]
        )
        outputs = {"up": layers.Dense(2, name="down")(change), "down": layers.Dense(2, name="up")(change)}
        return keras.Model({"after": before, "before": after, "word": ids}, outputs)

    def _nested_inputs(self) -> Any:
        """Takes dicts in a list, and gives a dict in a dict."""
        keras, layers = self._keras, self._keras.layers
        left, right = keras.Input((4,), name="left"), keras.Input((4,), name="right")
        other = keras.Input((4,), name="other")
        change = layers.Dense(2)(layers.Concatenate()([left - other, right]))
        return keras.Model([{"right": left, "left": right}, other], {"a": {"b": change}})

    def _nested_answers(self) -> Any:
        """Dictionaries in dictionaries, and one tensor that is given twice."""
        keras, layers = self._keras, self._keras.layers
        x = keras.Input((16,), name="x")
        twice = layers.Dense(2)(x)
        return keras.Model(x, {"pose": {"yaw": layers.Dense(3)(x), "roll": twice}, "again": twice})

    def _stateful(self) -> Any:
        """Remembers the last call."""
        keras, layers = self._keras, self._keras.layers
        x = keras.Input(batch_shape=(1, 4, 3), name="x")
        return keras.Model(x, layers.LSTM(2, stateful=True)(x))

    def _tokens(self) -> Any:
        """Whole numbers in; the mean of their embeddings."""
        keras, layers = self._keras, self._keras.layers
        tokens = keras.Input((5,), dtype="int32", name="tokens")
        hidden = layers.GlobalAveragePooling1D()(layers.Embedding(200, 16)(tokens))
        return keras.Model(tokens, layers.Dense(3, activation="softmax", name="scores")(hidden))

    def _class_numbers(self) -> Any:
        """Scores of 64 classes, and integers, bools and whole floats that follow from them."""
        keras, layers, ops = self._keras, self._keras.layers, self._keras.ops
        x = keras.Input((16,), name="x")
        scores = layers.Dense(64, kernel_initializer="normal", name="logits")(x)
        best, places = ops.top_k(scores, 2)
        number = ops.argmax(scores, axis=-1)
        outputs = {
            "best": best,
            "least": ops.argmin(scores, axis=-1, keepdims=True),
            "number": number,
            "places": ops.cast(places, "int64"),
            "positive": scores > 0,
            "small": ops.cast(number, "uint8"),
            "whole": ops.expand_dims(ops.cast(number, "float32"), -1),
        }
        return keras.Model(x, outputs)

    def _signs(self) -> Any:
        """Of numbers as they come, where zeros have signs."""
        ops = self._keras.ops
        x = self._keras.Input((5,), name="x")
        return self._keras.Model(
            x, {"high": ops.argmax(x, axis=-1), "low": ops.argmin(x, axis=-1), "sign": ops.signbit(x)}
        )

    def _number(self) -> Any:
        """The class number alone."""
        x = self._keras.Input((16,), name="x")
        return self._keras.Model(x, {"n": self._keras.ops.argmax(self._keras.layers.Dense(64)(x), axis=-1)})

    def _ids(self) -> Any:
        """Of ids that are too large for float32, which it returns as well."""
        keras, layers = self._keras, self._keras.layers
        ids = keras.Input((2,), dtype="int64", name="ids")
        hidden = layers.Embedding(500, 4, embeddings_initializer="normal")(keras.ops.mod(ids, 500))
        return keras.Model(ids, {"next": ids + 1, "value": layers.Dense(2)(layers.Flatten()(hidden))})

    def _float_tokens(self) -> Any:
        """Token numbers of Keras's default dtype, through layers that move them and a nested model with a mask."""
        keras, layers = self._keras, self._keras.layers
        first, second, x = (keras.Input((size,), name=name) for size, name in ((6, "first"), (2, "second"), (3, "x")))
        tokens = keras.Input((8,))
        embedded = layers.Embedding(9000, 4, mask_zero=True, embeddings_initializer="normal")(tokens)
        text = keras.Model(tokens, layers.GlobalAveragePooling1D()(embedded))
        pairs = layers.Reshape((6,))(layers.Permute((2, 1))(layers.Reshape((3, 2))(first)))
        hidden = layers.Concatenate()([text(layers.Concatenate()([pairs, second])), 0.01 * x])
        return keras.Model([first, second, x], layers.Dense(2, name="value")(hidden))

    def _sigmoid(self) -> Any:
        x = self._one_input()
        hidden = self._dense()(x)
        return self._keras.Model(x, self._keras.layers.Dense(1, activation="sigmoid", name="score")(hidden))

    def _mask(self) -> Any:
        """Ends in a convolution with a sigmoid, as nets for masks do."""
        x = self._keras.Input((6, 5, 3))
        return self._keras.Model(x, self._keras.layers.Conv2D(1, 1, activation="sigmoid", name="mask")(x))

    def _classes_of_pixels(self) -> Any:
        x = self._keras.Input((6, 5, 3))
        return self._keras.Model(x, self._keras.layers.Conv2D(4, 1, activation="softmax", name="classes")(x))

    def _joined_sigmoids(self) -> Any:
        """Ends in three heads of one label each, joined."""
        x, layers = self._one_input(), self._keras.layers
        heads = [layers.Dense(1, activation="sigmoid")(x) for _ in range(3)]
        return self._keras.Model(x, layers.Concatenate()(heads))

    def _hard_sigmoid(self) -> Any:
        x = self._one_input()
        return self._keras.Model(x, self._keras.layers.Dense(3, activation="hard_sigmoid", name="tags")(x))

    def _logits(self) -> Any:
        x = self._one_input()
        return self._keras.Model(x, self._keras.layers.Dense(3, name="logits")(self._dense()(x)))

    def _value(self) -> Any:
        x = self._one_input()
        return self._keras.Model(x, self._keras.layers.Dense(2, name="value")(self._dense()(x)))

    def _autoencoder(self) -> Any:
        x = self._one_input()
        return self._keras.Model(x, self._keras.layers.Dense(16, name="again")(self._dense()(x)))

    def _nested(self) -> Any:
        keras, layers = self._keras, self._keras.layers
        inner = keras.Sequential([keras.Input((8,)), layers.Dense(4, activation="softmax")], name="head")
        middle = keras.Sequential([keras.Input((128,)), layers.Dense(8, activation="relu"), inner], name="middle")
        x = self._one_input()
        return keras.Model(x, middle(self._dense()(x)))

    def _minus_mean(self) -> Any:
        keras = self._keras
        x = keras.Input((16,), name="x")
        centered = x - keras.ops.mean(x, axis=0, keepdims=True)  # over the batch
        return keras.Model(x, keras.layers.Dense(4, name="value")(centered))

    def _normalized(self) -> Any:
        keras = self._keras
        x = keras.Input((16,), name="x")
        hidden = keras.layers.BatchNormalization()(keras.layers.Dense(8)(x))
        return keras.Model(x, keras.layers.Dense(4, name="value")(hidden))

    def _dead(self) -> Any:
        """One output that varies and one that is zero whatever comes in."""
        keras, layers = self._keras, self._keras.layers
        x = self._one_input()
        dead = layers.Dense(2, activation="relu", name="dead")
        outputs = [layers.Dense(2, name="live")(x), dead(x)]
        dead.set_weights([np.zeros((16, 2)), -np.ones(2)])
        return keras.Model(x, outputs)

    def _states(self) -> Any:
        """Three outputs of one layer."""
        x = self._keras.Input((6, 4), name="x")
        return self._keras.Model(x, self._keras.layers.LSTM(4, return_state=True, name="lstm")(x))

    def _log(self) -> Any:
        """Adds to the input what float16 cannot hold, and takes the logarithm."""
        x = self._one_input()
        hidden = self._keras.ops.log(self._keras.layers.ReLU()(x) + 1e-9)
        return self._keras.Model(x, self._keras.layers.Dense(2, name="value")(hidden))

    def _cumprod(self) -> Any:
        """Of an operator that TFLite lacks."""
        x = self._one_input()
        product = self._keras.ops.cumprod(x, axis=1)
        return self._keras.Model(x, self._keras.layers.Dense(2, name="value")(product))

    def _spectrum(self) -> Any:
        """Of operators that ONNX lacks."""
        x = self._one_input()
        real, imaginary = self._keras.ops.rfft(x)
        return self._keras.Model(x, self._keras.layers.Dense(2, name="value")(real + imaginary))

    def _sequences(self) -> Any:
        """Recurrent layers (masked, with dropout, backwards, both ways) and exact GELU."""
        layers = self._keras.layers
        x = self._keras.Input((6, 4), name="x")
        lstm = layers.LSTM(16, return_sequences=True, recurrent_dropout=0.2)(layers.Masking()(x))
        outputs = [
            layers.Dense(3, name="recurrent")(layers.LSTM(8, go_backwards=True)(lstm)),
            layers.Dense(3, name="exact")(layers.Dense(64, activation="gelu")(layers.Flatten()(x))),
            layers.Dense(3, name="both_ways")(layers.Bidirectional(layers.GRU(16))(x)),
        ]
        return self._keras.Model(x, outputs)

    def _initial_states(self) -> Any:
        """Recurrent layers whose first state comes in, or from another one: an encoder and a decoder."""
        keras, layers = self._keras, self._keras.layers
        x, later = keras.Input((6, 4), name="x"), keras.Input((5, 3), name="later")
        h, c = keras.Input((8,), name="h"), keras.Input((8,), name="c")
        _, *state = layers.LSTM(8, return_state=True)(x, initial_state=[h, c])
        decoded = layers.LSTM(8, return_sequences=True)(later, initial_state=state)
        both_ways = layers.Bidirectional(layers.GRU(8))(later, initial_state=[h, c])
        return keras.Model([x, later, h, c], [layers.Dense(3)(decoded), layers.Dense(3)(both_ways)])

    def _masked(self) -> Any:
        """Recurrent layers whose loops read the mask from outside."""
        keras, layers = self._keras, self._keras.layers
        x = keras.Input((6, 4), name="x")
        hidden = layers.GRU(8, return_sequences=True)(layers.Masking()(x))
        return keras.Model(x, layers.Dense(3)(layers.BatchNormalization()(layers.LSTM(8)(hidden))))

    def _long_sequence(self) -> Any:
        """An LSTM over more steps than are unrolled."""
        x = self._keras.Input((200, 4), name="x")
        return self._keras.Model(x, self._keras.layers.Dense(3, name="value")(self._keras.layers.LSTM(4)(x)))

    def _transformer(self) -> Any:
        """An encoder block over tokens; it gives the weights of its attention too."""
        keras, layers = self._keras, self._keras.layers
        tokens = keras.Input((6,), dtype="int32", name="tokens")
        spread = keras.initializers.RandomNormal(stddev=1.0)
        hidden = layers.Embedding(300, 32, embeddings_initializer=spread)(tokens)
        hidden += layers.Embedding(6, 32, embeddings_initializer=spread)(keras.ops.arange(6))
        attended, weights = layers.MultiHeadAttention(4, 8)(hidden, hidden, return_attention_scores=True)
        hidden = layers.LayerNormalization()(hidden + attended)
        forward = layers.Dense(32)(layers.Dense(64, activation="gelu")(hidden))
        hidden = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(hidden + forward))
        return keras.Model(tokens, {"value": layers.Dense(3)(hidden), "attention": weights})

    def _cross_attention(self) -> Any:
        """Its attention has another shape than Keras foretells."""
        keras, layers = self._keras, self._keras.layers
        x, y = keras.Input((5, 8), name="x"), keras.Input((3, 8), name="y")
        attended, weights = layers.MultiHeadAttention(2, 4, name="attended")(x, y, return_attention_scores=True)
        return keras.Model([x, y], [attended, weights])

    def _resized(self) -> Any:
        """Constants in the graph, sizes that float32 ratios miss, grouped convolution, zeros ahead of a max pool."""
        keras, layers = self._keras, self._keras.layers
        x = keras.Input((12, 12, 4), name="x")
        hidden = layers.Normalization(mean=[0.1, 0.2, 0.3, 0.4], variance=[1.0, 2.0, 3.0, 4.0])(x)
        hidden = layers.Conv2D(8, 3, groups=2, bias_initializer=keras.initializers.Constant(-3))(hidden)
        hidden = layers.MaxPooling2D(3, strides=2)(layers.ZeroPadding2D(1)(hidden))
        kinds = ["nearest", "bilinear", "bicubic", "area"]
        return keras.Model(x, [layers.Resizing(17, 9, interpolation=kind, name=kind)(hidden) for kind in kinds])

    def _ranges(self) -> Any:
        """Outputs that hold values of different range, joined and computed in the ways that heads do it."""
        keras, layers, ops = self._keras, self._keras.layers, self._keras.ops
        image, x = keras.Input((16, 16, 3), name="image"), keras.Input((10,), name="x")
        levels = [layers.Conv2D(16, 3, strides=2, padding="same", activation="relu")(image)]
        levels.append(layers.Conv2D(16, 3, strides=2, padding="same", activation="relu")(levels[0]))
        heads = []
        for level in levels:
            raw = layers.Reshape((-1, 7))(layers.Conv2D(2 * 7, 1)(level))  # two anchors
            centers, sizes = (
                ops.sigmoid(raw[..., :2]) * 300.0,
                ops.sigmoid(raw[..., 2:4]) * np.array([200.0, 400.0], "f"),
            )
            heads.append(layers.Concatenate()([centers, sizes, ops.sigmoid(raw[..., 4:])]))
        detections = layers.Concatenate(axis=1)(heads)
        features = layers.Dense(32, activation="relu")(x)
        scores = layers.Dense(3, activation="softmax")(features)
        channels = layers.Conv2D(4, 1)(levels[1]) * np.array([1.0, 300.0, 1.0, 300.0], "f")
        scale, shift = np.array([[1.0, 1000.0, 30.0]], "f"), np.array([[0.0, 500.0, 1.0]], "f")
        return keras.Model(
            {"image": image, "x": x},
            {
                "detections": layers.Identity(name="detections")(detections),
                "transposed": layers.Permute((2, 1), name="transposed")(detections),
                "targets": layers.Identity(name="targets")(
                    layers.Dense(3, activation="tanh")(features) * scale + shift
                ),
                "joined": layers.Concatenate(name="joined")([scores, layers.Dense(2)(features) * 200.0]),
                "stacked": ops.stack([features[:, 0] * 400.0, features[:, 1]], axis=-1),
                "channels": layers.ReLU(name="channels")(channels),
                "similar": layers.Dense(4, name="similar")(features),
                "softmax": layers.Softmax(name="softmax")(layers.Dense(3)(features) * 20.0),
            },
        )

    def _detector(self) -> Any:
        """A detector of `tests.support.detection`, fitted to its scenes by least squares."""
        return fitted_detector(self._keras)

    def _two_targets(self) -> Any:
        """A regression of a sum near 1 and a product near 1000, fitted by least squares."""
        keras, rng = self._keras, np.random.default_rng(0)
        x = keras.Input((8,), name="x")
        features = keras.layers.Dense(64, activation="relu", name="features")(x)
        model = keras.Model(x, keras.layers.Dense(2, name="targets")(features))
        model.get_layer("features").set_weights([rng.normal(0, 1, (8, 64)), rng.normal(0, 1, 64)])
        inputs = rng.uniform(0, 1, (500, 8)).astype(np.float32)
        hidden = keras.Model(x, features).predict(inputs, verbose=0)
        weights = np.linalg.lstsq(np.c_[hidden, np.ones(len(hidden))], two_targets(inputs), rcond=1e-3)[0]
        model.get_layer("targets").set_weights([weights[:-1], weights[-1]])
        return model

    def _mixed_float16(self) -> Any:
        keras, before = self._keras, self._keras.config.dtype_policy()
        keras.config.set_dtype_policy("mixed_float16")
        try:
            x = keras.Input((16,), name="x", dtype="float32")
            hidden = keras.layers.BatchNormalization()(self._dense()(x))
            return keras.Model(x, keras.layers.Dense(2, name="value")(hidden))
        finally:
            keras.config.set_dtype_policy(before)

    def _crashing(self) -> Any:
        """Takes the process down that traces it for one sample, as native code of a custom layer may."""
        x = self._one_input()
        layer = self._keras.layers.Lambda(
            lambda value: (
                value * 2
                if hasattr(value, "numpy") or value.shape[0] != 1
                else __import__("os").kill(__import__("os").getpid(), 11)
            ),
            output_shape=(16,),
            name="value",
        )
        return self._keras.Model(x, layer(x))

    def _parameter_free(self) -> Any:
        x = self._one_input()
        return self._keras.Model(x, self._keras.layers.ReLU(name="value")(x))

    def _with_lambda(self) -> Any:
        x = self._one_input()
        return self._keras.Model(x, self._keras.layers.Lambda(lambda value: value * 2)(x))

    def _with_own_class(self) -> Any:
        x = self._one_input()
        mine = type("Mine", (self._keras.layers.Layer,), {"call": lambda _, value: value * 2})
        return self._keras.Model(x, mine()(x))

    def _with_free_size(self) -> Any:
        x = self._keras.Input((None, 4), name="x")
        return self._keras.Model(x, self._keras.layers.Dense(2)(x))

    def _never_built(self) -> Any:
        return self._keras.Sequential([self._keras.layers.Dense(2)])

    def _without_input(self) -> Any:
        """Built by a call, so that its input's size is known all the same."""
        model = self._keras.Sequential([self._keras.layers.Dense(2, name="value")], name="late")
        model(np.zeros((1, 16), np.float32))
        return model

    def _subclassed(self) -> Any:
        keras = self._keras
        mine = type("Mine", (keras.Model,), {"call": lambda model, value: model.dense(value)})
        model = mine()
        model.dense = keras.layers.Dense(2)
        model(np.zeros((1, 16), np.float32))
        return model
