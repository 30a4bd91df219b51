"""Topologies, against the original files of MLPerf Tiny; fitting of each net for an epoch."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from edgeml.core.errors import InputError
from edgeml.trainers import Augmentation, Autoencoder, Conv, Dense, DsCnn, Fit, MobileNetV1, ResNet8
from edgeml.trainers.keras_fitting import NetFitting, NetSamples
from edgeml.trainers.keras_nets import Head, make_net
from edgeml.trainers.training_schema import Net
from tests.support.mlperf import mlperf_model

KEPT = ("strides", "kernel_size", "padding", "pool_size", "rate", "units", "filters")
REFERENCES = [
    ("pretrainedResnet.h5", ResNet8(), (32, 32, 3), 10, 78_666),
    ("vww_96.h5", MobileNetV1(), (96, 96, 3), 2, 221_794),
    ("ad01.h5", Autoencoder(), (640,), 640, 269_992),
]


def layers_of(configs: list[tuple[str, dict[str, Any]]]) -> Counter[tuple[object, ...]]:
    return Counter(
        (kind, *(str(config[key]).replace("(", "[").replace(")", "]") for key in KEPT if key in config))
        for kind, config in configs
        if kind != "InputLayer"
    )


@pytest.mark.parametrize(("file", "net", "shape", "size", "parameters"), REFERENCES, ids=["ic", "vww", "ad"])
def test_topology_of_an_h5_file(file: str, net: Net, shape: tuple[int, ...], size: int, parameters: int) -> None:
    import h5py

    with h5py.File(mlperf_model(file)) as reference:
        layers = json.loads(reference.attrs["model_config"])["config"]["layers"]
        shapes: list[tuple[int, ...]] = []
        reference["model_weights"].visititems(
            lambda _, item: shapes.append(item.shape) if isinstance(item, h5py.Dataset) else None
        )
    model = make_net(net, shape, Head(size, scores=len(shape) == 3))
    assert Counter(tuple(weight.shape) for weight in model.weights) == Counter(shapes)
    assert layers_of([(layer["class_name"], layer["config"]) for layer in layers]) == layers_of(
        [(type(layer).__name__, layer.get_config()) for layer in model.layers]
    )
    assert model.count_params() == parameters


def test_topology_of_kws() -> None:
    import tensorflow as tf

    saved = tf.train.list_variables(str(mlperf_model("kws_ref_model") / "variables" / "variables"))
    shapes = Counter(
        tuple(shape) for name, shape in saved if "OPTIMIZER_SLOT" not in name and name.startswith("layer_with_weights")
    )
    model = make_net(DsCnn(), (49, 10, 1), Head(12, scores=True))
    assert Counter(tuple(weight.shape) for weight in model.weights) == shapes
    assert model.count_params() == 24_908
    assert [layer.output.shape for layer in model.layers if layer.name.startswith("average")] == [(None, 1, 1, 64)]


RNG = np.random.default_rng(0)
IMAGES = RNG.random((24, 32, 24, 3), dtype=np.float32)
ROWS = RNG.random((24, 6), dtype=np.float32)
LABELS = np.arange(24) % 3
# Weights by hand: kernels, biases, and four numbers for each channel of a batch norm.
SMALL = [
    (Dense(hidden=(5,)), ROWS, 6 * 5 + 5 + 5 * 3 + 3),
    (Conv(filters=(4, 6), hidden=7), IMAGES, (27 * 4 + 4 + 16) + (36 * 6 + 6 + 24) + (48 * 6 * 7 + 7) + 24),
    (DsCnn(filters=4, blocks=1), IMAGES, (120 * 4 + 4 + 16) + (36 + 4 + 16) + (16 + 4 + 16) + 15),
    (ResNet8(filters=(4,)), IMAGES, (27 * 4 + 4 + 16) + 2 * (144 + 4 + 16) + 15),
    (MobileNetV1(alpha=1 / 32, dropout=0.1), IMAGES, None),
]  # fmt: skip


@contextmanager
def eagerly() -> Iterator[None]:
    """Has steps run layer by layer: to compile a net takes seconds, and an epoch of one batch none."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


@pytest.fixture
def eager() -> Iterator[None]:
    with eagerly():
        yield


@pytest.mark.slow
@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(("net", "x", "parameters"), SMALL, ids=lambda value: type(value).__name__)
def test_a_net_learns_classes(net: Net, x: np.ndarray, parameters: int | None) -> None:
    fitting = NetFitting(net, Fit(epochs=1), NetSamples(x, LABELS, x[:6], LABELS[:6]), classes=3, seed=0)
    epoch = fitting.epoch()
    assert fitting.done
    model = fitting.restore_best()
    scores = np.asarray(model(x))
    assert scores.shape == (24, 3)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)
    assert parameters is None or model.count_params() == parameters
    assert (epoch.number, epoch.of) == (1, 1)
    assert epoch.validation_accuracy == pytest.approx((scores[:6].argmax(axis=1) == LABELS[:6]).mean())


@pytest.mark.slow
def test_an_autoencoder_gives_its_inputs_back() -> None:
    x = ROWS * [1, 10, 100, 1000, 0, 1] + [0, 0, 0, 5000, 7, 0]
    x = x.astype(np.float32)
    net = Autoencoder(hidden=(16,), code=6)
    fitting = NetFitting(net, Fit(epochs=60, learning_rate=0.02), NetSamples(x, x, x, x), classes=None, seed=0)
    while not fitting.done:
        epoch = fitting.epoch()
    given = np.asarray(fitting.restore_best()(x))
    assert given.shape == x.shape
    assert (given[:, 4] == 7).all()
    kept = [0, 1, 2, 3, 5]
    assert (np.square(given - x)[:, kept].mean(axis=0) / x[:, kept].var(axis=0)).max() < 0.5
    assert epoch.accuracy is None
    assert epoch.mae is not None


@pytest.mark.slow
def test_values_are_learnt_in_their_own_units() -> None:
    rng = np.random.default_rng(1)
    x = rng.normal(size=(300, 2)).astype(np.float32)
    y = np.stack([1e6 + 1e5 * x[:, 0], 1e-3 * (x[:, 0] - x[:, 1])], axis=1)
    fitting = NetFitting(
        Dense(hidden=(16,)), Fit(epochs=25, learning_rate=0.01), NetSamples(x[:200], y[:200], x[200:], y[200:]),
        classes=None, seed=0,
    )  # fmt: skip
    while not fitting.done:
        fitting.epoch()
    given = np.asarray(fitting.restore_best()(x[200:]))
    assert (np.square(given - y[200:]).mean(axis=0) / y.var(axis=0)).max() < 0.05


def fitted(fit: Fit, *, seed: int = 0, net: Net | None = None) -> tuple[NetFitting, list[float]]:
    small = IMAGES[:, ::4, ::4]
    fitting = NetFitting(
        net or Conv(filters=(4,), hidden=4), fit, NetSamples(small, LABELS, small[:6], LABELS[:6][::-1]), classes=3,
        seed=seed,
    )  # fmt: skip
    losses = []
    while not fitting.done:
        losses.append(fitting.epoch().validation_loss)
    return fitting, losses


@pytest.mark.slow
def test_the_best_epoch_is_kept_and_patience_ends_it() -> None:
    import keras

    fitting, losses = fitted(Fit(epochs=60, patience=3, learning_rate=0.1))
    assert 4 <= len(losses) < 60
    assert fitting.best_epoch == len(losses) - 3 == int(np.argmin(losses)) + 1
    model, small = fitting.restore_best(), IMAGES[:6, ::4, ::4]
    loss = keras.losses.sparse_categorical_crossentropy(LABELS[:6][::-1], model(small))
    assert float(np.mean(loss)) == pytest.approx(min(losses), rel=1e-5)


@pytest.mark.slow
def test_the_same_seed_gives_the_same_net_without_its_augmentation() -> None:
    varied = Augmentation(flip="both", translation=0.1, rotation=0.1, zoom=0.1, noise=0.1)
    fit = Fit(epochs=2, augmentation=varied)
    (one, losses), (same, same_losses) = fitted(fit, seed=3), fitted(fit, seed=3)
    with eagerly():
        other, _ = fitted(fit, seed=4)
    assert losses == same_losses
    weights = [fitting.restore_best().get_weights() for fitting in (one, same, other)]
    assert all((a == b).all() for a, b in zip(weights[0], weights[1], strict=True))
    assert not all(np.allclose(a, b, atol=1e-2) for a, b in zip(weights[0], weights[2], strict=True))
    plain = make_net(Conv(filters=(4,), hidden=4), (8, 6, 3), Head(3, scores=True))
    kinds = [[type(layer) for layer in model.layers] for model in (one.restore_best(), plain)]
    assert kinds[0] == kinds[1]


@pytest.mark.parametrize(
    ("schedule", "wanted"),
    [
        ("constant", [0.01] * 6),
        ("cosine", [0.005 * (1 + np.cos(np.pi * i / 6)) for i in range(6)]),
        ("exponential", [0.01 * 0.01 ** (i / 6) for i in range(6)]),
        ("step", [0.01] * 3 + [0.001] * 2 + [0.0001]),
    ],
)
def test_schedules(schedule: Any, wanted: list[float]) -> None:
    from edgeml.trainers.keras_fitting import _schedule

    found = _schedule(Fit(epochs=6, learning_rate=0.01, schedule=schedule), steps=6)
    rates = [float(found(i)) for i in range(6)] if callable(found) else [found] * 6
    np.testing.assert_allclose(rates, wanted, rtol=1e-5)


@pytest.mark.usefixtures("eager")
def test_losses_and_metrics_are_means_over_all_samples() -> None:
    import keras

    x = np.random.default_rng(0).normal(size=(100, 5)).astype(np.float32)
    y = np.arange(100) % 3
    samples = NetSamples(x, y, x[:70], y[:70])
    fitting = NetFitting(Dense(hidden=(4,)), Fit(epochs=1, learning_rate=1e-12), samples, classes=3, seed=0)
    epoch = fitting.epoch()
    scores = np.asarray(fitting.model(x))
    losses = np.asarray(keras.losses.sparse_categorical_crossentropy(y, scores))
    right = scores.argmax(axis=1) == y
    assert epoch.loss == pytest.approx(losses.mean(), rel=1e-5)
    assert epoch.validation_loss == pytest.approx(losses[:70].mean(), rel=1e-5)
    assert (epoch.accuracy, epoch.validation_accuracy) == pytest.approx((right.mean(), right[:70].mean()))


def test_penalties_are_those_of_the_kernels() -> None:
    model = make_net(Dense(hidden=(5,), l1=0.1, l2=0.01), (6,), Head(3, scores=True))
    kernel = next(weight for weight in model.weights if tuple(weight.shape) == (6, 5)).numpy()
    wanted = 0.1 * np.abs(kernel).sum() + 0.01 * np.square(kernel).sum()
    assert float(sum(model.losses)) == pytest.approx(float(wanted), rel=1e-5)


@pytest.mark.usefixtures("eager")
def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match=r"got samples \[6\], expected \[height, width, channels\]"):
        make_net(ResNet8(), (6,), Head(3, scores=True))
    samples = NetSamples(ROWS, LABELS, ROWS, LABELS)
    with pytest.raises(InputError, match="all keys but 'noise' are for images"):
        NetFitting(Dense(), Fit(augmentation=Augmentation(zoom=0.1)), samples, classes=3, seed=0)
    with pytest.raises(InputError, match=r"became infinite or NaN in epoch 1.*learning_rate"):
        NetFitting(Dense(), Fit(learning_rate=1e38), samples, classes=3, seed=0).epoch()
