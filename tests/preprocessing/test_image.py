from __future__ import annotations

import itertools
from typing import Any, Literal

import numpy as np
import pytest

from edgeml.core.errors import InputError
from edgeml.core.tensors import TensorSpec
from edgeml.preprocessing import Image
from edgeml.preprocessing.image import prepare
from edgeml.preprocessing.resize import resize_image

SPEC = TensorSpec("image", (None, None, None, None), "float32")
# TensorFlow adds areas up in float32: 4e-3 of 255 at most over these sizes. The other two methods are the same.
TOLERANCE = {"bilinear": 1e-4, "nearest": 0.0, "area": 6e-3}


def pixels(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def photo(height: int = 30, width: int = 40) -> np.ndarray:
    return pixels(height, width, 3)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["bilinear", "nearest", "area"])
def test_resizes_as_tensorflow(method: Literal["bilinear", "nearest", "area"]) -> None:
    import tensorflow as tf

    given = [(7, 5), (32, 48), (100, 33), (1, 1), (480, 641)]
    wanted = [(8, 8), (96, 96), (7, 5), (1, 3), (224, 100)]
    for (height, width), size in itertools.product(given, wanted):
        image = pixels(height, width, 3).astype(np.float32)
        found = resize_image(image, *size, method)
        assert found.shape == (*size, 3)
        assert found.dtype == np.float32
        reference = tf.image.resize(image, size, method=method).numpy()
        np.testing.assert_allclose(found, reference, rtol=0, atol=TOLERANCE[method])


@pytest.mark.slow
def test_scales_as_keras() -> None:
    import keras

    image = photo()
    rescaled = prepare(Image(height=30, width=40, scale=1 / 127.5, mean=(1.0,)), image, SPEC)
    np.testing.assert_allclose(rescaled, keras.layers.Rescaling(1 / 127.5, -1.0)(image[None]).numpy(), atol=1e-6)
    mean, variance = (120.0, 110.0, 100.0), (60.0**2, 50.0**2, 40.0**2)
    normalized = prepare(Image(height=30, width=40, mean=mean, std=(60.0, 50.0, 40.0)), image, SPEC)
    layer = keras.layers.Normalization(mean=mean, variance=variance)
    np.testing.assert_allclose(normalized, layer(image[None].astype(np.float32)).numpy(), atol=1e-6)


def test_a_whole_training_pipeline_of_tensorflow() -> None:
    import tensorflow as tf

    image = photo(123, 87)
    mean, std = np.array([0.485, 0.456, 0.406], np.float32), np.array([0.229, 0.224, 0.225], np.float32)
    reference = (tf.image.resize(image, (96, 64)).numpy() / 255 - mean) / std
    declared = Image(height=96, width=64, scale=1 / 255, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
    np.testing.assert_allclose(prepare(declared, image, SPEC)[0], reference, atol=2e-6)


def test_layout_and_order_of_colours() -> None:
    image = photo()
    plain = prepare(Image(height=30, width=40), image, SPEC)
    np.testing.assert_array_equal(plain, image[None].astype(np.float32))
    np.testing.assert_array_equal(prepare(Image(height=30, width=40, colour="BGR"), image, SPEC), plain[..., ::-1])
    swapped = prepare(Image(height=30, width=40, layout="NCHW"), image, SPEC)
    np.testing.assert_array_equal(swapped, plain.transpose(0, 3, 1, 2))
    assert swapped.flags.c_contiguous
    # mean and std are in the order of the model's channels
    bgr = prepare(Image(height=30, width=40, colour="BGR", layout="NCHW", mean=(3.0, 2.0, 1.0)), image, SPEC)
    np.testing.assert_array_equal(bgr[0, 0], image[..., 2].astype(np.float32) - 3)


def test_gray_is_tensorflows_within_a_level() -> None:
    import tensorflow as tf

    image = photo()
    gray = prepare(Image(height=30, width=40, colour="gray"), image, SPEC)
    assert gray.shape == (1, 30, 40, 1)
    assert np.abs(gray[0] - tf.image.rgb_to_grayscale(image).numpy().astype(np.float32)).max() <= 1.0
    white = np.full((2, 2, 3), 255, np.uint8)
    assert (prepare(Image(height=2, width=2, colour="gray"), white, SPEC) == 255).all()
    np.testing.assert_array_equal(
        prepare(Image(height=30, width=40), image[..., :1], SPEC)[0], image[..., :1].repeat(3, 2).astype(np.float32)
    )


def test_gray_is_pillows() -> None:
    pillow = pytest.importorskip("PIL.Image")
    image = photo()
    gray = prepare(Image(height=30, width=40, colour="gray"), image, SPEC)
    np.testing.assert_array_equal(gray[0, ..., 0], np.asarray(pillow.fromarray(image).convert("L"), np.float32))


@pytest.mark.parametrize(
    ("raw", "samples"),
    [
        (photo(), 1),
        ([photo(), photo(10, 10), pixels(5, 5), pixels(5, 5, 1)], 4),
        ((photo(),), 1),
        (pixels(6, 9, 9, 3), 6),
        (pixels(6, 9, 9, 1), 6),
        (pixels(9, 9), 1),
        ([], 0),
        (pixels(0, 9, 9, 3), 0),
    ],
)
def test_one_image_and_several(raw: Any, samples: int) -> None:
    assert prepare(Image(height=8, width=8), raw, SPEC).shape == (samples, 8, 8, 3)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (photo().astype(np.float32) / 255, "dtype float32, expected a uint8 array"),
        (photo().astype(np.int64), "dtype int64"),
        (pixels(3, 30, 40), r"shape \[3, 30, 40\].*x\[..., None\]"),
        (pixels(30), r"shape \[30\]"),
        ([photo(), pixels(30)], r"image 1: got shape \[30\]"),
        (pixels(30, 40, 4), "1 or 3 channels.*alpha channel"),
        (pixels(0, 40, 3), r"shape \[0, 40, 3\]"),
        ([photo().tolist()], "image 0: got list"),
        ("photo.png", "got str"),
        (None, "got NoneType"),
        ({"image": photo()}, "got dict"),
    ],
)
def test_what_is_no_image(raw: Any, words: str) -> None:
    with pytest.raises(InputError, match=f"raw input 'image'.*{words}"):
        prepare(Image(height=8, width=8), raw, SPEC)
