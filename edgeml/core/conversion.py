"""The interface of converters: sources, the conversion job, and the function that returns an artifact."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from edgeml.core.artifact import Artifact
from edgeml.core.formats.tflite import TfliteFile
from edgeml.core.free_sizes import SizeOption, fixed, size_text
from edgeml.core.recipe import Precision, Recipe
from edgeml.core.source import Probes, Reference, SourceInfo
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
    "size_steps",
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
        """Return the source's own outputs for inputs ``[samples, ...]`` of the signature's dtypes."""
        ...

    def run_batches(self, batches: Sequence[dict[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
        """Return the source's own outputs for batches of at most 32 samples, each computed in one call."""
        ...

    def compared_columns(self) -> dict[str, tuple[int, ...]]:
        """Return columns, by input name, that the model does not compute with: it compares them with own thresholds."""
        ...

    def probes(self, inputs: dict[str, np.ndarray]) -> Probes:
        """Return inputs made from the model itself, which float artifacts are held to; without rows if there are none.

        Args:
            inputs: Typical samples ``[samples, ...]`` by input name.
        """
        ...


class TraceableSource(Source, Protocol):
    """A source whose model consists of operations that TensorFlow can trace."""

    def call(self, inputs: list[Any]) -> list[Any]:
        """Return the outputs as a flat list, in the signature's order, from arrays or symbolic tensors."""
        ...


class TfliteSource(Source, Protocol):
    """An existing TFLite file."""

    @property
    def model(self) -> TfliteFile:
        """Parsed contents of the file."""
        ...

    @property
    def data(self) -> bytes:
        """Bytes of the file."""
        ...

    @property
    def batch(self) -> int:
        """Fixed batch of the file."""
        ...

    @property
    def sizes(self) -> SizeOption:
        """Sizes that were free in the file and are fixed, or proven at several numbers."""
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

    @property
    def sizes(self) -> SizeOption:
        """Sizes that were free in the file and are fixed, or proven at several numbers."""
        ...


class UsedColumn(Protocol):
    """A column of a table that a model reads."""

    @property
    def position(self) -> int:
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
        """Return whether each column is a separate input."""
        ...

    def selectors(self, model: Any) -> list[Any]:
        """Return the steps of the model that select columns."""
        ...


class TableSource(Source, Protocol):
    """A scikit-learn model, with the part of its training table that it reads."""

    @property
    def table(self) -> UsedTable:
        """The part of the table that the model reads."""
        ...


def size_steps(sizes: SizeOption) -> tuple[str, ...]:
    """Return the steps of a lineage that fixed the free sizes of a model file, or kept them; empty without them."""
    kept = [name for name, size in sizes.items() if not isinstance(size, int)]
    steps = [f"sizes fixed: {size_text(fixed(sizes))}"] if fixed(sizes) else []
    return (*steps, f"sizes kept free: {', '.join(kept)}") if kept else tuple(steps)


class Cache(Generic[T]):
    """A cache of values that several recipes share."""

    def __init__(self) -> None:
        self._values: dict[str, T] = {}

    def once(self, key: str, compute: Callable[[], T]) -> T:
        """Return the value of a key; the first call for a key computes the value."""
        if key not in self._values:
            self._values[key] = compute()
        return self._values[key]


@dataclass(frozen=True, slots=True)
class ConversionJob:
    """The conversion of one source by several recipes.

    Attributes:
        folder: Folder for intermediate files.
        batch: Fixed batch of the artifacts; None for the format's default (1 for TFLite, dynamic for ONNX).
        calibration: Arrays ``[samples, ...]`` by input name, in the dtypes of the source's signature; None without
            calibration data.
        models: Intermediate models that recipes share: those of ONNX, and saved ones with the specs of their outputs.
        paths: Intermediate files that recipes share.
    """

    folder: Path
    batch: int | None = None
    calibration: dict[str, np.ndarray] | None = None
    models: Cache[Any] = field(default_factory=Cache)
    paths: Cache[Path] = field(default_factory=Cache)


Converter = Callable[[Source, Recipe, ConversionJob], Artifact]
"""A converter. Raises UnsupportedModelError where the recipe would not represent the source faithfully."""
