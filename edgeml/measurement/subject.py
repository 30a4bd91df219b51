"""The parts of a package that benchmarks use, as a protocol."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import numpy as np

from edgeml.core.isolation import Isolation
from edgeml.core.session import Session
from edgeml.core.system.limits import Limits

__all__ = ["Measurable"]


class Measurable(Protocol):
    """An opened package, or a model file in its place. `edgeml.package.Package` documents the members."""

    @property
    def label(self) -> str:
        """Name in messages."""
        ...

    @property
    def name(self) -> str:
        """Name of the model."""
        ...

    @property
    def version(self) -> str:
        """Version of the model."""
        ...

    @property
    def released(self) -> tuple[str, ...]:
        """Recipes of the released artifacts."""
        ...

    @property
    def sizes(self) -> Mapping[str, int]:
        """A number for each free size of its artifacts, by name, as its golden inputs have; empty without such."""
        ...

    def size_bytes(self, recipe: str) -> int:
        """Return the size of an artifact's file."""
        ...

    def golden_inputs(self, sizes: Mapping[str, int] | None = None) -> dict[str, np.ndarray]:
        """Return typical inputs of some sizes, by name."""
        ...

    def digest(self) -> str:
        """Return the digest of the whole file."""
        ...

    def save(self, path: str | Path) -> None:
        """Write the file."""
        ...

    def session(
        self,
        recipe: str | None = None,
        *,
        target: str = "cpu",
        threads: int | None = None,
        allow_fallback: bool = False,
        isolated: bool | Isolation | Limits = False,
        sizes: Mapping[str, int] | None = None,
    ) -> Session:
        """Open a session of an artifact."""
        ...
