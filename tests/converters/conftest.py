"""Keras models, which TensorFlow's routes convert in a worker."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from edgeml.core.system.worker import Worker
from tests.support.keras_cases import ONNX, TFLITE, Converted
from tests.support.keras_models import KerasModelsSettings


@pytest.fixture(scope="session")
def keras_worker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """A `tests.support.keras_worker.KerasWorker`."""
    folder = tmp_path_factory.mktemp("keras")
    with Worker("tests.support.keras_worker:KerasWorker", KerasModelsSettings(folder), folder) as worker:
        yield worker


@pytest.fixture(scope="session")
def convertible(keras_worker: Worker) -> Callable[[str], Converted]:
    """Gives a model by its kind, made once; of ``many`` all recipes are made together, of others float32 alone."""
    models: dict[str, Converted] = {}

    def give(kind: str) -> Converted:
        if kind not in models:
            recipes = [*TFLITE, *ONNX] if kind == "many" else ["tflite-fp32", "onnx-fp32"]
            models[kind] = Converted(keras_worker, kind, recipes)
        return models[kind]

    return give


@pytest.fixture
def many(convertible: Callable[[str], Converted]) -> Converted:
    """Of five inputs and two outputs."""
    return convertible("many")
