"""Outputs that hold values of different range: each part has a scale of its own."""

from __future__ import annotations

import numpy as np
import pytest

from edgeml.core.artifact import Artifact
from edgeml.core.system.worker import Worker
from tests.support.keras_cases import Converted, run_onnx, run_tflite

# Columns, or for ``transposed`` rows, of similar range.
KINDS: dict[str, list[list[int]]] = {
    "detections": [[0, 1, 2, 3], [4, 5, 6]],
    "transposed": [[0, 1, 2, 3], [4, 5, 6]],
    "targets": [[0], [1], [2]],
    "joined": [[0, 1, 2], [3, 4]],
    "stacked": [[0], [1]],
    "channels": [[0, 2], [1, 3]],
    "similar": [[0, 1, 2, 3]],
    "softmax": [[0, 1, 2]],
}


@pytest.fixture(scope="module")
def ranges(keras_worker: Worker) -> Converted:
    return Converted(keras_worker, "ranges", ["tflite-int8", "onnx-int8"])


def joined(artifact: Artifact, raw: dict[str, np.ndarray], name: str) -> np.ndarray:
    """An output of the source, put together as the signature says."""
    specs = [spec for spec in artifact.signature.outputs if name in {spec.name, spec.part and spec.part.output}]
    if specs[0].part is None:
        return raw[name]
    places = [spec.part.positions for spec in specs if spec.part]
    together = np.concatenate([raw[spec.name] for spec in specs], axis=specs[0].part.axis)
    return np.take(together, np.argsort(np.concatenate(places)), specs[0].part.axis)


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["tflite-int8", "onnx-int8"])
def test_every_part_of_an_output_is_as_near_to_keras_as_one_scale_for_it_alone_allows(
    ranges: Converted, recipe: str
) -> None:
    artifact, inputs = ranges[recipe], {name: values[:24] for name, values in ranges.calibration.items()}
    raw = (run_tflite if recipe == "tflite-int8" else run_onnx)(artifact, inputs)
    for name, wanted in ranges.answers(inputs).items():
        own_values = joined(artifact, raw, name)
        assert own_values.shape == wanted.shape
        axis = 1 if name == "transposed" else wanted.ndim - 1
        for group in KINDS[name]:
            own, exact = np.take(own_values, group, axis), np.take(wanted, group, axis)
            spread = exact - exact.mean(axis=0)
            assert 10 * np.log10(np.square(spread).sum() / np.square(own - exact).sum()) > 15, (name, group)


@pytest.mark.slow
def test_tflite_has_an_output_for_each_part_of_different_range_and_onnx_joins_them(ranges: Converted) -> None:
    outputs = ranges["tflite-int8"].signature.outputs
    parts = {
        name: [spec.part.positions for spec in outputs if spec.part and spec.part.output == name] for name in KINDS
    }
    assert {name: sorted(groups) for name, groups in parts.items() if groups} == {
        name: sorted(tuple(group) for group in groups) for name, groups in KINDS.items() if len(groups) > 1
    }
    assert {spec.name for spec in outputs if spec.part is None} == {"similar", "softmax"}
    names = [spec.name for spec in ranges.info.signature.outputs]
    assert set(names) == set(KINDS)
    assert [spec.name for spec in ranges["onnx-int8"].signature.outputs] == names
    assert [spec.name for spec in ranges["tflite-int8"].signature.whole_outputs] == names
