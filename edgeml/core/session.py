"""What every session can do, whatever engine runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Protocol, Self

import numpy as np

from edgeml.core.artifact import Needs
from edgeml.core.decisions import Decision
from edgeml.core.placement import Placement
from edgeml.core.preprocessing import Declaration
from edgeml.core.tensors import Signature

__all__ = ["HotLoop", "Session", "SessionOpener"]


class HotLoop(Protocol):
    """Inputs and outputs as arrays over an engine's memory. `Bound` in `edgeml.runtimes` documents it."""

    @property
    def inputs(self) -> Mapping[str, np.ndarray]:
        """Written to before each run."""
        ...

    @property
    def outputs(self) -> Mapping[str, np.ndarray]:
        """Overwritten by each run."""
        ...

    @property
    def run(self) -> Callable[[], object]:
        """Runs."""
        ...

    def close(self) -> None:
        """Lets go of the engine."""
        ...


class Session(Protocol):
    """An artifact made ready on a target. The base class in `edgeml.runtimes` documents it."""

    reason: str
    """Why this artifact and target were chosen; empty where the caller named both."""

    @property
    def signature(self) -> Signature:
        """The artifact's tensors."""
        ...

    @property
    def preprocessing(self) -> Mapping[str, Declaration]:
        """How raw input becomes the values of an input, by its name."""
        ...

    @property
    def target(self) -> str:
        """Where it runs."""
        ...

    @property
    def placement(self) -> Placement:
        """Which operators run where."""
        ...

    @property
    def engine(self) -> str:
        """The engine's name on PyPI."""
        ...

    @property
    def engine_version(self) -> str:
        """And its version."""
        ...

    @property
    def family(self) -> str:
        """Whose arithmetic it uses."""
        ...

    def run(
        self,
        inputs: Mapping[str, object] | Iterator[Mapping[str, object]],
        *,
        batch_size: int | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> dict[str, np.ndarray]:
        """Outputs by name, in the source's own units."""
        ...

    def run_raw(self, inputs: Mapping[str, object], *, batch_size: int | None = None) -> dict[str, np.ndarray]:
        """Outputs by name, in the artifact's own dtypes."""
        ...

    def run_quantized(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """From the artifact's integers to the artifact's integers."""
        ...

    def predict(
        self,
        data: object,
        *,
        batch_size: int | None = None,
        raw: bool = False,
        progress: Callable[[int], object] | None = None,
    ) -> np.ndarray | dict[str, np.ndarray]:
        """What the source's reference gives."""
        ...

    def classify(
        self,
        data: object,
        *,
        batch_size: int | None = None,
        raw: bool = False,
        progress: Callable[[int], object] | None = None,
    ) -> np.ndarray:
        """The source's own labels."""
        ...

    def stream(
        self, items: Iterable[object], *, batch_size: int | None = None, raw: bool = False
    ) -> Iterator[np.ndarray | dict[str, np.ndarray]]:
        """What `predict` gives to each item."""
        ...

    def bind(self, batch: int = 1) -> HotLoop:
        """The engine's own memory."""
        ...

    def close(self) -> None:
        """Lets go of the engine."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def prepared(self, data: object, *, raw: bool = False) -> dict[str, np.ndarray]:
        """Inputs as `run` takes them."""
        ...


class SessionOpener(Protocol):
    """An engine: makes an artifact's bytes ready. Raises TargetError where it cannot."""

    def __call__(
        self,
        data: bytes,
        signature: Signature,
        *,
        needs: Needs,
        decision: Decision | None = None,
        preprocessing: Mapping[str, Declaration] | None = None,
        target: str = "cpu",
        threads: int | None = None,
        allow_fallback: bool = False,
    ) -> Session:
        """Opens a session."""
        ...
