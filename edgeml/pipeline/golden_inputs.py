"""Golden inputs: the first samples of the judged data, and rows that span the range of quantized artifacts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from edgeml.core.artifact import Artifact
from edgeml.core.integer_grid import dequantize
from edgeml.core.recipe import find_recipe
from edgeml.core.source import SourceInfo
from edgeml.core.tensors import TensorSpec

__all__ = ["GOLDEN_SAMPLES", "golden_rows", "spanning_rows"]

GOLDEN_SAMPLES = 16
_SPANNING = 5
_SEED = 0


def golden_rows(array: np.ndarray) -> np.ndarray:
    """Return the first 16 samples, repeated if there are fewer."""
    return array[np.arange(GOLDEN_SAMPLES) % len(array)]


def spanning_rows(
    inputs: Mapping[str, np.ndarray],
    artifacts: Sequence[Artifact],
    calibration: Mapping[str, np.ndarray] | None,
    info: SourceInfo,
) -> dict[str, np.ndarray]:
    """Return rows over the whole range of quantized artifacts, which the judged data may not reach.

    The numbers of a row are all the lowest of the range, the highest, or 0; they rise from one end to the other; or
    they are drawn at random. Inputs that do not hold plain numbers repeat the first sample.

    Args:
        inputs: The judged data by input name.
        artifacts: The artifacts, of which the quantized ones count.
        calibration: Calibration samples by input name, or None.
        info: The source.

    Returns:
        Arrays ``[5, ...]`` by input name; empty without quantized artifacts, and for tables, whose columns differ.
    """
    ranges = {
        spec.name: _range(spec.name, artifacts, calibration)
        for spec in info.signature.inputs
        if spec.dtype == "float32" and spec.name not in info.whole_inputs
    }
    spans = {name: span for name, span in ranges.items() if span is not None}
    if info.framework == "sklearn" or not spans:
        return {}
    rng = np.random.default_rng(_SEED)
    return {name: _rows(array, spans[name], rng) if name in spans else _repeat(array) for name, array in inputs.items()}


def _range(
    name: str, artifacts: Sequence[Artifact], calibration: Mapping[str, np.ndarray] | None
) -> tuple[float, float] | None:
    """Return the lowest and the highest number that quantized artifacts represent; None without such.

    Artifacts with 16-bit inputs do not count beside those with 8-bit ones: their range is symmetric about 0.
    """
    ends: list[float] = []
    grids = {
        artifact.recipe: spec
        for artifact in artifacts
        for spec in artifact.signature.visible.inputs
        if spec.name == name and spec.quantization is not None and spec.encoding is None
    }
    narrow = [spec for spec in grids.values() if spec.dtype != "int16"]
    for spec in narrow or grids.values():
        ends += _grid_ends(spec)
    for artifact in artifacts:
        if artifact.recipe not in grids and find_recipe(artifact.recipe).needs_calibration and calibration is not None:
            ends += [float(calibration[name].min()), float(calibration[name].max())]
    return (min(ends), max(ends)) if ends and np.isfinite(ends).all() else None


def _grid_ends(spec: TensorSpec) -> list[float]:
    assert spec.quantization is not None
    limits = np.iinfo(spec.dtype)
    return [float(end) for end in dequantize(np.array([limits.min, limits.max], spec.dtype), spec.quantization)]


def _rows(array: np.ndarray, span: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    shape, (low, high) = array.shape[1:], span
    size = int(np.prod(shape))
    rows = [np.full(size, low), np.full(size, high), np.zeros(size), np.linspace(low, high, size)]
    return np.stack([*rows, rng.uniform(low, high, size)]).reshape(-1, *shape).astype(array.dtype)


def _repeat(array: np.ndarray) -> np.ndarray:
    return np.repeat(array[:1], _SPANNING, axis=0)
