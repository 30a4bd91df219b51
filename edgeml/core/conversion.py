"""The contract of converters: the source, the job, and what they give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from edgeml.core.artifact import Artifact
from edgeml.core.formats.tflite import TfliteFile
from edgeml.core.recipe import Precision, Recipe
from edgeml.core.source import Reference, SourceInfo
from edgeml.core.tensors import Signature

__all__ = [
    "Cache",
    "ConversionJob",
    "Converter",
    "OnnxSource",
    "Source",
    "TableSource",
    "TfliteSource",
    "TraceableSource",
]

T = TypeVar("T")


class Source(Protocol):
    """A trained model, loaded by its framework."""

    @property
    def info(self) -> SourceInfo:
        """Description of the model."""
        ...

    @property
    def model(self) -> Any:
        """The framework's own object."""
        ...

    def reference(self, inputs: dict[str, np.ndarray]) -> Reference:
        """The source's own answers to inputs ``[samples, ...]``, of the signature's dtypes."""
        ...


class TraceableSource(Source, Protocol):
    """A source whose model is itself made of operations that TensorFlow can trace."""

    def call(self, inputs: list[Any]) -> list[Any]:
        """The outputs as a flat list, in the signature's order, from arrays or symbolic tensors."""
        ...


class TfliteSource(Source, Protocol):
    """An existing TFLite file."""

    @property
    def model(self) -> TfliteFile:
        """The file as it was read."""
        ...

    @property
    def data(self) -> bytes:
        """Bytes of the file."""
        ...

    @property
    def batch(self) -> int:
        """Fixed batch of the file."""
        ...


class OnnxSource(Source, Protocol):
    """An existing ONNX file, as an `onnx.ModelProto`."""

    @property
    def signature(self) -> Signature:
        """Tensors of the file, with its own dtypes and batch."""
        ...

    @property
    def precision(self) -> Precision:
        """Precision that the file computes in."""
        ...


class UsedColumn(Protocol):
    """A column of a table that a model reads."""

    @property
    def place(self) -> int:
        """Position of the column in the whole table."""
        ...


class UsedTable(Protocol):
    """The part of a table that a model reads."""

    @property
    def columns(self) -> Sequence[UsedColumn]:
        """The columns, in the order of the table."""
        ...

    @property
    def typed(self) -> bool:
        """Whether each column is an input of its own."""
        ...

    def selectors(self, model: Any) -> list[Any]:
        """The steps of the model that select columns."""
        ...


class TableSource(Source, Protocol):
    """A scikit-learn model, with what it reads of the table that it was trained on."""

    @property
    def table(self) -> UsedTable:
        """The part of the table that the model reads."""
        ...


class Cache(Generic[T]):
    """Values of one kind, each made once and kept for the recipes that share it."""

    def __init__(self) -> None:
        self._values: dict[str, T] = {}

    def once(self, key: str, make: Callable[[], T]) -> T:
        """Return the value of a key; the first call for it makes the value."""
        if key not in self._values:
            self._values[key] = make()
        return self._values[key]


@dataclass(frozen=True, slots=True)
class ConversionJob:
    """The conversion of one source by several recipes.

    Attributes:
        folder: Where intermediate files may be put.
        batch: Fixed batch of the artifacts; None for the format's own (1 for TFLite, free for ONNX).
        calibration: float32 arrays ``[samples, ...]`` by input name; None where none were given.
        models: ONNX models that recipes share.
        paths: Intermediate files that recipes share.
    """

    folder: Path
    batch: int | None = None
    calibration: dict[str, np.ndarray] | None = None
    models: Cache[Any] = field(default_factory=Cache)
    paths: Cache[Path] = field(default_factory=Cache)


Converter = Callable[[Source, Recipe, ConversionJob], Artifact]
"""A route. Raises UnsupportedModelError where the recipe cannot be made honestly for the source."""
