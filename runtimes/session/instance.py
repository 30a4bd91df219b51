"""One thread's use of an engine at a time: memory for inputs and outputs, and how to run on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

__all__ = ["FreeHandle", "Handle"]


class Handle:
    """An engine with fixed shapes, made ready for one thread at a time.

    Args:
        inputs: Where the engine reads, ``[batch, ...]`` in the artifact's dtypes, in the signature's order. Its own
            memory, or memory that `run` copies from.
        outputs: Where its answers are after `run`, likewise.
        run: Runs the engine on what the inputs hold.
        keep: What must live as long as the handle, for instance whose memory the arrays are.
    """

    __slots__ = ("inputs", "keep", "outputs", "run")

    def __init__(
        self,
        inputs: Sequence[np.ndarray],
        outputs: Sequence[np.ndarray],
        run: Callable[[], object],
        keep: object = None,
    ) -> None:
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.run = run
        self.keep = keep

    def __call__(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Answers of the caller's own to one batch of exactly the handle's shapes and dtypes."""
        for place, value in zip(self.inputs, values, strict=True):
            place[...] = value
        self.run()
        return [output.copy() for output in self.outputs]


class FreeHandle(Handle):
    """An engine that takes arrays of any shape, and gives new ones.

    Args:
        call: From arrays in the signature's order to arrays of the caller's own.
        put: From such arrays straight into others for the answers, which are C-contiguous, in the artifact's dtypes
            and of the signature's shapes; None where the engine cannot.
    """

    __slots__ = ("_call", "put")

    def __init__(
        self,
        call: Callable[[Sequence[np.ndarray]], list[np.ndarray]],
        put: Callable[[Sequence[np.ndarray], Sequence[np.ndarray]], object] | None = None,
    ) -> None:
        super().__init__((), (), lambda: None)
        self._call = call
        self.put = put

    def __call__(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Answers of the caller's own to a batch of any length."""
        return self._call(values)
