"""One thread's way from samples to answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from edgeml.core.caller_inputs import all_finite
from edgeml.core.decisions import DECIDED
from edgeml.core.encoding import encoder
from edgeml.core.engine import ArrayInstance, EngineInstance
from edgeml.core.errors import TargetError
from edgeml.core.tensors import Signature, TensorSpec

from .io_conversion import Converter, converter, into_real, reader, real, rows_at_once, stored

__all__ = ["Check", "Lane", "encoded"]

Check = Callable[[np.ndarray, int, int], np.ndarray]
"""From some samples, which input it is and the position of the first, to numbers or text that the model takes, as
`core.tensors.values_of` gives them; or an InputError."""

Answer = Callable[[np.ndarray], list[np.ndarray] | None]

_FLOAT32 = np.dtype(np.float32)
_PUT_BYTES = 2**17  # of a batch's answers that are worth binding memory for, which takes longer than copying fewer


class Lane:
    """An instance with what turns samples into its numbers and back.

    Args:
        instance: For the lane alone.
        unit: Samples that the instance takes at a time; None where it takes any number.
        signature: The artifact's.

    Attributes:
        outputs: Where the instance's answers are; none where it has no memory of fixed shape.
        few: From as many float32 samples ``[unit, ...]`` as the instance takes to the outputs, of artifacts with one
            input; None where the samples are not plainly finite. None itself where the instance has no memory of
            fixed shape.
        several: Likewise for any number of samples, one by one, of an instance that takes one.
        bare: From one sample ``[1, ...]`` to the outputs, all in the artifact's dtypes; of artifacts with one input.
    """

    __slots__ = ("_instance", "_places", "_plain", "_put", "_signature", "_unit", "bare", "few", "outputs", "several")

    def __init__(self, instance: EngineInstance, unit: int | None, signature: Signature) -> None:
        self._instance = instance
        self._unit = unit
        self._signature = signature
        self.outputs = instance.outputs
        self._put = instance.put if isinstance(instance, ArrayInstance) else None
        self._plain = [_takes_float32(spec) for spec in signature.inputs]
        self._places = [
            (place, spec, converter(spec, place.shape))
            for place, spec in zip(instance.inputs, signature.inputs, strict=False)
        ]
        self.few: Answer | None = None
        self.several: Answer | None = None
        self.bare: Callable[[np.ndarray], list[np.ndarray]] = lambda values: instance((values,))
        if instance.outputs and len(instance.inputs) == 1:
            ((place, _, convert),) = self._places
            self.bare = _bare(place, instance)
            self.few = _few(convert, instance, signature.outputs)
            self.several = _several(convert, instance, signature.outputs)

    def __call__(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Answers of the caller's own to any number of samples, both in the artifact's dtypes."""
        unit, count = self._unit, len(values[0])
        if unit is None or count == unit:
            return self._instance(values)
        parts = []
        for begin in range(0, count, unit):
            some = [_padded(value[begin : begin + unit], unit) for value in values]
            parts.append([output[: count - begin] for output in self._instance(some)])
        return [np.concatenate(column) for column in zip(*parts, strict=True)]

    def answers(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        """As a call, of an engine that gives arrays of its own making.

        Raises:
            TargetError: They are not one answer to each sample, of the shape that is declared: numpy would repeat
                what is too short.
        """
        outputs, count = self(values), len(values[0])
        for output, spec in zip(outputs, self._signature.outputs, strict=True):
            shape = (count, *spec.shape[1:])
            fits = all(want in {None, got} for want, got in zip(shape, output.shape, strict=False))
            if output.ndim != len(shape) or not fits:
                raise TargetError(
                    f"The artifact gives '{spec.name}' of shape {list(output.shape)} to {count} samples, and "
                    f"{list(spec.shape)} is declared: it does not answer each sample by itself."
                )
        return outputs

    def into(
        self,
        results: Sequence[np.ndarray],
        arrays: Sequence[np.ndarray],
        begin: int,
        end: int,
        size: int,
        check: Check | None,
    ) -> None:
        """Puts the answers to some samples into their places, with no copy on the way that can be spared.

        Args:
            results: Arrays ``[samples, ...]``: float32 for the source's units, else in the artifact's dtypes.
            arrays: Inputs ``[samples, ...]``.
            begin: The first sample.
            end: Where they end.
            size: Samples at a time; the instance's own number where it has one.
            check: Makes sure of samples. None where they are in the artifact's dtypes.
        """
        if check is not None and self.several is not None and size == 1 and self._is_plain(results, arrays[0]):
            answers = self.several(arrays[0][begin:end])
            if answers is not None:  # else a sample is to be looked at
                for result, answer in zip(results, answers, strict=True):
                    result[begin:end] = answer
                return
        through = self._through_memory if self.outputs else self._through_arrays
        through(results, arrays, range(begin, end, size), end, check)

    def _is_plain(self, results: Sequence[np.ndarray], array: np.ndarray) -> bool:
        """Whether samples and answers are as `several` takes and gives them."""
        specs = zip(results, self._signature.outputs, strict=True)
        real_units = all(result.dtype == _FLOAT32 or spec.meaning in DECIDED for result, spec in specs)
        return real_units and array.dtype == _FLOAT32 and array.flags.c_contiguous

    def _through_memory(
        self,
        results: Sequence[np.ndarray],
        arrays: Sequence[np.ndarray],
        firsts: range,
        end: int,
        check: Check | None,
    ) -> None:
        unit, run = firsts.step, self._instance.run
        reads = [
            reader(place, spec) if result.dtype != place.dtype else place.view
            for result, place, spec in zip(results, self.outputs, self._signature.outputs, strict=True)
        ]
        for first in firsts:
            last = min(first + unit, end)
            for i, (place, spec, convert) in enumerate(self._places):
                values = arrays[i][first:last]
                whole = check is not None and last - first == unit and values.dtype == _FLOAT32
                converted = convert(values.reshape(-1)) if whole and values.flags.c_contiguous else None
                if converted is not None:
                    place[...] = converted.reshape(place.shape)
                    continue
                if check is not None:
                    values = encoded(check(values, i, first), spec)
                place[...] = _padded(values, unit)
            run()
            for result, read in zip(results, reads, strict=True):
                result[first:last] = read()[: last - first]

    def _through_arrays(
        self,
        results: Sequence[np.ndarray],
        arrays: Sequence[np.ndarray],
        firsts: range,
        end: int,
        check: Check | None,
    ) -> None:
        size, specs = firsts.step, self._signature.outputs
        put = self._put
        if any(result.dtype != spec.dtype for result, spec in zip(results, specs, strict=True)):
            put = None
        if size * sum(result[:1].nbytes for result in results) < _PUT_BYTES:
            put = None
        for first in firsts:
            last = min(first + size, end)
            values = [
                array[first:last] if check is None else self._values(array[first:last], i, first, check)
                for i, array in enumerate(arrays)
            ]
            places = [result[first:last] for result in results]
            if put is not None:
                put(values, places)
                continue
            for place, output, spec in zip(places, self.answers(values), specs, strict=True):
                place[...] = output if output.dtype == place.dtype else real(output, spec)

    def _values(self, some: np.ndarray, i: int, first: int, check: Check) -> np.ndarray:
        """Some samples of one input in the artifact's dtype."""
        if self._plain[i] and some.dtype == _FLOAT32 and some.flags.c_contiguous and all_finite(some):
            return some
        return encoded(check(some, i, first), self._signature.inputs[i])


def encoded(values: np.ndarray, spec: TensorSpec) -> np.ndarray:
    """Numbers or text that the model takes, in the artifact's dtype."""
    return stored(encoder(spec.encoding)(values), spec)


def _takes_float32(spec: TensorSpec) -> bool:
    """Whether the artifact takes the source's own numbers as float32."""
    return spec.dtype == "float32" and spec.quantization is None and spec.encoding is None


def _padded(values: np.ndarray, unit: int) -> np.ndarray:
    """The samples, followed by copies of the last where they are too few."""
    missing = unit - len(values)
    return np.concatenate([values, np.repeat(values[-1:], missing, axis=0)]) if missing else values


def _bare(place: np.ndarray, instance: EngineInstance) -> Callable[[np.ndarray], list[np.ndarray]]:
    outputs, run = instance.outputs, instance.run

    def bare(values: np.ndarray) -> list[np.ndarray]:
        place[...] = values
        run()
        return [output.copy() for output in outputs]

    return bare


def _few(convert: Converter, instance: EngineInstance, specs: tuple[TensorSpec, ...]) -> Answer:
    run, (read, *others) = instance.run, map(reader, instance.outputs, specs)
    row = instance.inputs[0].reshape(-1)

    def few(values: np.ndarray) -> list[np.ndarray] | None:
        converted = convert(values.ravel())
        if converted is None:
            return None
        row[...] = converted
        run()
        return [read()]

    def few_of_several(values: np.ndarray) -> list[np.ndarray] | None:
        answers = few(values)
        return None if answers is None else answers + [other() for other in others]

    return few_of_several if others else few


def _several(convert: Converter, instance: EngineInstance, specs: tuple[TensorSpec, ...]) -> Answer:
    """Convert inputs and outputs of many samples at once, which costs less than those of one after the other."""
    run, empty = instance.run, np.empty
    row = instance.inputs[0].reshape(-1)
    at_once = rows_at_once(row.size)
    places = [place[0, ...] for place in instance.outputs]  # views, also of outputs of one number
    converts = [into_real(spec, place.dtype) for place, spec in zip(places, specs, strict=True)]
    (first, *others), (convert_first, *_) = places, converts
    shape, dtype = first.shape, first.dtype

    def answer(values: np.ndarray) -> list[np.ndarray] | None:
        count, converted = len(values), convert(values.ravel())
        if converted is None:
            return None
        rows = converted.reshape(count, -1)
        result = empty((count, *shape), dtype)
        for i in range(count):
            row[...] = rows[i]
            run()
            result[i] = first
        return [result if convert_first is None else convert_first(result)]

    def answer_of_several(values: np.ndarray) -> list[np.ndarray] | None:
        count, converted = len(values), convert(values.ravel())
        if converted is None:
            return None
        rows = converted.reshape(count, -1)
        results = [empty((count, *place.shape), place.dtype) for place in places]
        for i in range(count):
            row[...] = rows[i]
            run()
            for result, place in zip(results, places, strict=True):
                result[i] = place
        return [one if make is None else make(one) for one, make in zip(results, converts, strict=True)]

    some = answer_of_several if others else answer

    def several(values: np.ndarray) -> list[np.ndarray] | None:
        if len(values) <= at_once:
            return some(values)
        parts = []
        for begin in range(0, len(values), at_once):
            part = some(values[begin : begin + at_once])
            if part is None:
                return None
            parts.append(part)
        return [np.concatenate(column) for column in zip(*parts, strict=True)]

    return several
