from __future__ import annotations

import io

import numpy as np
import pytest
from matplotlib._pylab_helpers import Gcf
from PIL import Image

from edgeml.trainers.pictures import draw_confusion, draw_curves
from edgeml.trainers.result import Epoch


def opened(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        image.load()
        return np.asarray(image.convert("RGB")).astype(int)


def epochs(count: int, *, classifies: bool) -> list[Epoch]:
    return [
        Epoch(
            number=i, of=count, loss=1 / i, validation_loss=1.2 / i,
            **{f"{kind}{'accuracy' if classifies else 'mae'}": 1 - 1 / i for kind in ("", "validation_")},
        )
        for i in range(1, count + 1)
    ]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("classifies", [True, False])
@pytest.mark.parametrize("count", [1, 2, 40])
def test_curves(count: int, *, classifies: bool) -> None:
    data = draw_curves(epochs(count, classifies=classifies), count)
    pixels = opened(data)
    assert pixels.shape == (504, 1200, 3)
    for colour in ((0, 114, 178), (213, 94, 0), (26, 26, 26)):  # training, validation, the epoch that was kept
        assert (np.abs(pixels - colour).max(axis=-1) < 8).sum() > 20
    assert data == draw_curves(epochs(count, classifies=classifies), count)
    assert Gcf.get_all_fig_managers() == []  # nothing of pyplot's, which would keep figures


@pytest.mark.slow
@pytest.mark.parametrize("classes", [2, 10, 60])
def test_confusion(classes: int) -> None:
    names = [f"class number {i} with a long name" if classes == 2 else i for i in range(classes)]
    matrix = np.eye(classes, dtype=int) * 9 + np.eye(classes, k=1, dtype=int)
    pixels = opened(draw_confusion(matrix.tolist(), names))
    assert 300 < min(pixels.shape[:2]) <= max(pixels.shape[:2]) < 2200
    dark = (pixels[..., 2] - pixels[..., 0] > 60).mean()
    assert dark > 0.4 / classes


def test_a_class_without_samples_has_a_row() -> None:
    assert opened(draw_confusion([[0, 0], [1, 3]], ["a", "b"])).size
