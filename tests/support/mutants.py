"""Damaged model files, and a worker that tries them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from msgspec import Struct

from edgeml.core.conversion import ConversionJob
from edgeml.core.errors import EdgemlError
from edgeml.core.recipe import find_recipe
from edgeml.core.registry.tables import CONVERTERS, SOURCES
from edgeml.core.system.imports import resolve

__all__ = ["Attempts", "AttemptsSettings", "mutants"]


def mutants(data: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Copies of a file: every fifth cut off, the others with 1 to 8 bytes changed, half of them near its ends."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        if number % 5 == 0:
            yield data[: int(rng.integers(0, len(data)))]
            continue
        changed = bytearray(data)
        for _ in range(int(rng.integers(1, 9))):
            places = (len(data), min(256, len(data)))[number % 2]
            at = int(rng.integers(0, places))
            value = (0, 1, 127, 128, 255, int(rng.integers(256)))[int(rng.integers(6))]
            changed[at if number % 4 < 2 else len(data) - 1 - at] = value
        yield bytes(changed)


class AttemptsSettings(Struct, frozen=True):
    """Where files go."""

    folder: Path


class Attempts:
    """Lives in a worker: loads files as a build's child does, and tells what came of it."""

    def __init__(self, settings: AttemptsSettings) -> None:
        self._folder = settings.folder

    def attempt(self, framework: str, path: Path) -> str:
        """``made`` where the file loads, runs and gives its artifact; else the kind of edgeml's error."""
        try:
            source = resolve(SOURCES[framework]).open_source(path)
            rng = np.random.default_rng(0)
            source.reference(
                {
                    spec.name: rng.random((2, *(size or 1 for size in spec.shape[1:])), dtype=np.float32)
                    for spec in source.info.signature.inputs
                }
            )
            recipe = find_recipe(source.info.architecture)
            route = resolve(CONVERTERS[framework, recipe.format])
            route(source, recipe, ConversionJob(self._folder))
        except EdgemlError as error:
            return type(error).__name__ if error.message else "an error without a message"
        return "made"
