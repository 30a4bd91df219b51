"""Pictures of rectangles, a detector of them, and its mean average precision."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["CLASSES", "fitted_detector", "mean_average_precision", "scenes", "two_targets"]

CLASSES = 3
_CELL, _CELLS, _SCALE = (
    8,
    4,
    10.0,
)  # pixels of a cell, cells of a side, and pixels of the picture that a pixel stands for
_FEATURES = 192


def scenes(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures ``[count, 32, 32, 3]``, and per rectangle its picture, cell, class, center x and y, width and height."""
    rng = np.random.default_rng(seed)
    pictures, truth = rng.uniform(0, 0.15, (count, 32, 32, 3)).astype(np.float32), []
    for number in range(count):
        for cell in rng.choice(_CELLS**2, rng.integers(1, 4), replace=False):
            (width, height), color = rng.integers(3, 9, 2), rng.integers(CLASSES)
            row, column = divmod(int(cell), _CELLS)
            left, top = column * _CELL + rng.integers(0, 9 - width), row * _CELL + rng.integers(0, 9 - height)
            pictures[number, top : top + height, left : left + width, color] = 1
            box = np.array([left + width / 2, top + height / 2, width, height]) * _SCALE
            truth.append([number, cell, color, *box])
    return pictures, np.array(truth, np.float64)


def fitted_detector(keras: Any) -> Any:
    """A model of boxes in pixels beside scores ``[batch, cells, 4 + classes]``, fitted by least squares."""
    layers, rng = keras.layers, np.random.default_rng(0)
    picture = keras.Input((32, 32, 3), name="picture")
    features = layers.Conv2D(_FEATURES, _CELL, strides=_CELL, activation="relu", name="features")(picture)
    rows, columns = np.meshgrid(np.arange(_CELLS), np.arange(_CELLS), indexing="ij")
    corners = np.stack([columns, rows], -1).reshape(1, -1, 2) * _CELL * _SCALE
    offsets = np.concatenate([corners, np.zeros_like(corners)], -1).astype(np.float32)
    boxes = layers.Reshape((-1, 4))(layers.Conv2D(4, 1, name="boxes")(features)) * _SCALE + offsets
    scores = layers.Reshape((-1, CLASSES))(layers.Conv2D(CLASSES, 1, activation="sigmoid", name="scores")(features))
    model = keras.Model(picture, layers.Concatenate(name="detections")([boxes, scores]))
    weights = rng.normal(0, 0.12, (_CELL, _CELL, 3, _FEATURES)), rng.normal(0, 0.3, _FEATURES)
    model.get_layer("features").set_weights(weights)

    pictures, truth = scenes(1000, seed=1)
    hidden = keras.Model(picture, features).predict(pictures, verbose=0).reshape(-1, _FEATURES)
    samples = np.c_[hidden, np.ones(len(hidden))]
    cells = truth[:, 1].astype(int)
    used = truth[:, 0].astype(int) * _CELLS**2 + cells
    logits = np.full((len(samples), CLASSES), -4.0)
    logits[used, truth[:, 2].astype(int)] = 4.0
    for name, inputs, wanted in (
        ("boxes", samples[used], (truth[:, 3:] - offsets[0, cells]) / _SCALE),
        ("scores", samples, logits),
    ):
        fitted = np.linalg.solve(inputs.T @ inputs + 1e-2 * np.eye(inputs.shape[1]), inputs.T @ wanted)
        model.get_layer(name).set_weights([fitted[:-1].reshape(1, 1, _FEATURES, -1), fitted[-1]])
    return model


def mean_average_precision(detections: np.ndarray, truth: np.ndarray) -> float:
    """Mean over the classes of the area under precision by recall, at an overlap of one half, as in PASCAL VOC 2010."""
    return float(np.mean([_average_precision(detections, truth[truth[:, 2] == c], c) for c in range(CLASSES)]))


def _average_precision(detections: np.ndarray, truth: np.ndarray, label: int) -> float:
    scores = detections[..., 4 + label]
    matched, hits = np.zeros(len(truth), bool), []
    for flat in np.argsort(-scores, axis=None, kind="stable"):
        picture, cell = np.unravel_index(flat, scores.shape)
        own = np.flatnonzero(truth[:, 0] == picture)
        overlaps = _overlaps(detections[picture, cell, :4], truth[own, 3:])
        best = own[overlaps.argmax()] if len(own) else None
        hit = best is not None and overlaps.max() >= 0.5 and not matched[best]
        if hit:
            matched[best] = True
        hits.append(hit)
    found = np.cumsum(hits)
    precision, recall = found / np.arange(1, len(hits) + 1), found / len(truth)
    return float(np.sum(np.diff(recall, prepend=0.0) * np.maximum.accumulate(precision[::-1])[::-1]))


def _overlaps(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Intersection over union of a box with others, each by its center and size."""
    low = np.maximum(box[:2] - box[2:] / 2, others[:, :2] - others[:, 2:] / 2)
    high = np.minimum(box[:2] + box[2:] / 2, others[:, :2] + others[:, 2:] / 2)
    shared = np.clip(high - low, 0, None).prod(axis=1)
    return np.asarray(shared / (box[2:].prod() + others[:, 2:].prod(axis=1) - shared))


def two_targets(x: np.ndarray) -> np.ndarray:
    """A small and a large target of ``[samples, 8]``, float64 ``[samples, 2]``."""
    x = x.astype(np.float64)
    return np.stack([x[:, :4].mean(axis=1) - x[:, 4] * x[:, 5], 1000 * (x[:, 2] + x[:, 6] * x[:, 7])], axis=1)
