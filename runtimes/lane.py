"""One thread's way from samples to answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from edgeml.core.encoding import encoder
from edgeml.core.tensors import DECIDED, Signature

from .handle import FreeHandle, Handle
from .memory import filler, reader, stored

__all__ = ["Lane"]

_FLOAT32 = np.dtype(np.float32)


class Lane:
    """A handle with what turns samples into its numbers and back.

    Args:
        handle: For the lane alone.
        unit: Samples that the handle takes at a time; None where it takes any number.
        signature: The artifact's.

    Attributes:
        outputs: Where the handle's answers are, as `Handle.outputs`; none where it has no memory of fixed shape.
        single: From one float32 sample ``[1, ...]`` to the output, of artifacts with one of each; None where the
            sample is not plainly finite. None itself where the handle has no memory of fixed shape.
        put: As `FreeHandle` has it.
        bare: From one sample ``[1, ...]`` to the outputs, all in the artifact's dtypes; of artifacts with one input.
    """

    __slots__ = ("_handle", "_places", "_signature", "_unit", "bare", "outputs", "put", "single")

    def __init__(self, handle: Handle, unit: int | None, signature: Signature) -> None:
        self._handle = handle
        self._unit = unit
        self._signature = signature
        self.outputs = handle.outputs
        self.put = handle.put if isinstance(handle, FreeHandle) else None
        self._places = [
            (place, spec, filler(place, spec)) for place, spec in zip(handle.inputs, signature.inputs, strict=False)
        ]
        self.single: Callable[[np.ndarray], np.ndarray | None] | None = None
        self.bare: Callable[[np.ndarray], list[np.ndarray]] = lambda values: self((values,))
        if handle.outputs and len(handle.inputs) == 1:
            ((place, _, fill),) = self._places
            self.bare = _bare(place, handle)
            pairs = zip(handle.outputs, signature.outputs, strict=True)
            plain = [reader(given, spec) for given, spec in pairs if spec.meaning not in DECIDED]
            if len(plain) == 1:
                self.single = _single(fill, handle.run, plain[0])

    def __call__(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Answers of the caller's own to any number of samples, both in the artifact's dtypes."""
        unit, count = self._unit, len(values[0])
        if unit is None or count == unit:
            return self._handle(values)
        parts = []
        for begin in range(0, count, unit):
            some = [_padded(value[begin : begin + unit], unit) for value in values]
            parts.append([output[: count - begin] for output in self._handle(some)])
        return [np.concatenate(column) for column in zip(*parts, strict=True)]

    def into(
        self,
        results: Sequence[np.ndarray],
        arrays: Sequence[np.ndarray],
        begin: int,
        end: int,
        check: Callable[[np.ndarray, int, int], np.ndarray] | None,
    ) -> None:
        """Puts the answers to some samples into their places, without a copy on the way. For lanes with `outputs`.

        Args:
            results: Arrays ``[samples, ...]``: float32 for the source's units, else in the artifact's dtypes.
            arrays: Inputs ``[samples, ...]``.
            begin: The first sample.
            end: Where they end.
            check: Makes sure of samples, as `Batches.run` has it. None where they are in the artifact's dtypes.
        """
        unit, run = self._unit or 1, self._handle.run
        reads = [
            reader(place, spec) if result.dtype != place.dtype else place.view
            for result, place, spec in zip(results, self.outputs, self._signature.outputs, strict=True)
        ]
        for first in range(begin, end, unit):
            last = min(first + unit, end)
            for i, (place, spec, fill) in enumerate(self._places):
                values = arrays[i][first:last]
                whole = check is not None and last - first == unit and values.dtype == _FLOAT32
                if whole and values.flags.c_contiguous and fill(values.reshape(-1)):
                    continue
                if check is not None:
                    values = stored(encoder(spec.encoding)(check(values, i, first)), spec)
                place[...] = _padded(values, unit)
            run()
            for result, read in zip(results, reads, strict=True):
                result[first:last] = read()[: last - first]


def _padded(values: np.ndarray, unit: int) -> np.ndarray:
    """The samples, followed by copies of the last where they are too few."""
    missing = unit - len(values)
    return np.concatenate([values, np.repeat(values[-1:], missing, axis=0)]) if missing else values


def _bare(place: np.ndarray, handle: Handle) -> Callable[[np.ndarray], list[np.ndarray]]:
    outputs, run = handle.outputs, handle.run

    def bare(values: np.ndarray) -> list[np.ndarray]:
        place[...] = values
        run()
        return [output.copy() for output in outputs]

    return bare


def _single(
    fill: Callable[[np.ndarray], bool], run: Callable[[], object], read: Callable[[], np.ndarray]
) -> Callable[[np.ndarray], np.ndarray | None]:
    def single(values: np.ndarray) -> np.ndarray | None:
        if not fill(values.ravel()):
            return None
        run()
        return read()

    return single
