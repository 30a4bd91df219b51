"""What of a package others than its own room need: to measure it, and to run it."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np

from edgeml.core.session import Session

__all__ = ["Packaged"]


class Packaged(Protocol):
    """An opened package. `Package` in `edgeml.package` documents it."""

    @property
    def label(self) -> str:
        """What messages call it."""
        ...

    @property
    def name(self) -> str:
        """The model's name."""
        ...

    @property
    def version(self) -> str:
        """Its version."""
        ...

    @property
    def released(self) -> tuple[str, ...]:
        """Recipes of the released artifacts."""
        ...

    def size_bytes(self, recipe: str) -> int:
        """Of an artifact's file."""
        ...

    def golden_inputs(self) -> dict[str, np.ndarray]:
        """Typical inputs."""
        ...

    def digest(self) -> str:
        """Of the whole file."""
        ...

    def save(self, path: str | Path) -> None:
        """Writes it."""
        ...

    def session(
        self,
        recipe: str | None = None,
        *,
        target: str = "cpu",
        threads: int | None = None,
        allow_fallback: bool = False,
    ) -> Session:
        """Makes an artifact ready."""
        ...
