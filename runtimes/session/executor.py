"""Run an engine instance on samples: convert inputs, invoke, convert outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from edgeml.core.caller_inputs import all_finite
from edgeml.core.encoding import encoder
from edgeml.core.engine import ArrayInstance, EngineInstance
from edgeml.core.errors import TargetError
from edgeml.core.tensors import Signature, TensorSpec, source_dtype

from .io_conversion import (
    Converter,
    input_converter,
    output_converter,
    output_reader,
    rows_at_once,
    to_artifact,
    to_source,
)

__all__ = ["Check", "Executor", "encode"]

Check = Callable[[np.ndarray, int, int], np.ndarray]
"""A function that validates samples of one input as `core.caller_inputs.values_of` does.

Its arguments are the samples, the position of the input in the signature, and the position of the first sample in the
caller's data. It returns numbers or text that the model accepts, or raises an InputError."""

Run = Callable[[np.ndarray], list[np.ndarray] | None]
"""A function from float32 samples to outputs in the source's units; None where the samples must be validated first."""

_FLOAT32 = np.dtype(np.float32)
_PUT_BYTES = 2**17  # size of a batch's outputs above which binding memory is faster than copying


class Executor:
    """An engine instance together with its input and output conversion, for one thread at a time.

    Args:
        instance: The engine instance. The executor is its only user.
        unit: Batch size of the instance; None for any.
        signature: Signature of the artifact.

    Attributes:
        outputs: The instance's output memory; empty where the instance does not have memory of fixed shape.
        run_batch: Runs one batch ``[unit, ...]`` of float32 samples, of artifacts with one input. The attribute is None
            where the instance does not have memory of fixed shape.
        run_each: Runs any number of float32 samples one by one, of an instance with batch size 1; None as `run_batch`.
        run_raw: Runs one sample ``[1, ...]`` in the artifact's dtype; returns outputs in the artifact's dtypes.
    """

    __slots__ = (
        "_accepts_float32",
        "_inputs",
        "_instance",
        "_put",
        "_signature",
        "_unit",
        "outputs",
        "run_batch",
        "run_each",
        "run_raw",
    )

    def __init__(self, instance: EngineInstance, unit: int | None, signature: Signature) -> None:
        self._instance = instance
        self._unit = unit
        self._signature = signature
        self.outputs = instance.outputs
        self._put = instance.put if isinstance(instance, ArrayInstance) else None
        self._accepts_float32 = [_accepts_float32(spec) for spec in signature.inputs]
        self._inputs = [
            (place, spec, input_converter(spec, place.shape))
            for place, spec in zip(instance.inputs, signature.inputs, strict=False)
        ]
        self.run_batch: Run | None = None
        self.run_each: Run | None = None
        self.run_raw: Callable[[np.ndarray], list[np.ndarray]] = lambda values: instance((values,))
        if instance.outputs and len(instance.inputs) == 1:
            ((place, _, convert),) = self._inputs
            self.run_raw = _raw_run(place, instance)
            self.run_batch = _batch_run(convert, instance, signature.outputs)
            self.run_each = _each_run(convert, instance, signature.outputs)

    def __call__(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run any number of samples in the artifact's dtypes; return new arrays in the artifact's dtypes."""
        unit, count = self._unit, len(values[0])
        if unit is None or count == unit:
            return self._instance(values)
        parts = []
        for begin in range(0, count, unit):
            some = [_pad(value[begin : begin + unit], unit) for value in values]
            parts.append([output[: count - begin] for output in self._instance(some)])
        return [np.concatenate(column) for column in zip(*parts, strict=True)]

    def run_checked(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run samples as a call does, and check the shapes of the outputs.

        Raises:
            TargetError: An output does not have one row per sample, or not the shape of the signature. Without the
                check numpy would broadcast an output that is too short.
        """
        outputs, count = self(values), len(values[0])
        for output, spec in zip(outputs, self._signature.outputs, strict=True):
            shape = (count, *spec.shape[1:])
            fits = all(want in {None, got} for want, got in zip(shape, output.shape, strict=False))
            if output.ndim != len(shape) or not fits:
                raise TargetError(
                    f"Output '{spec.name}' of the artifact: got shape {list(output.shape)} for {count} samples, "
                    f"expected {list(spec.shape)}: the artifact does not process each sample independently."
                )
        return outputs

    def run_into(
        self,
        results: Sequence[np.ndarray],
        arrays: Sequence[np.ndarray],
        begin: int,
        end: int,
        size: int,
        check: Check | None,
    ) -> None:
        """Run some samples and write the outputs into the caller's arrays, with as few copies as possible.

        Args:
            results: Arrays ``[samples, ...]`` in the dtypes of the source, or of the artifact.
            arrays: Inputs ``[samples, ...]``.
            begin: Position of the first sample.
            end: Position behind the last sample.
            size: Batch size; the instance's own where it has one.
            check: Validates samples. None where they are in the artifact's dtypes.
        """
        if check is not None and self.run_each is not None and size == 1 and self._has_plain_dtypes(results, arrays[0]):
            outputs = self.run_each(arrays[0][begin:end])
            if outputs is not None:  # else a sample must be validated
                for result, output in zip(results, outputs, strict=True):
                    result[begin:end] = output
                return
        run = self._run_in_memory if self.outputs else self._run_arrays
        run(results, arrays, range(begin, end, size), end, check)

    def _has_plain_dtypes(self, results: Sequence[np.ndarray], array: np.ndarray) -> bool:
        """Return whether samples and outputs have the dtypes and layout of `run_each`."""
        specs = zip(results, self._signature.outputs, strict=True)
        real_units = all(result.dtype == source_dtype(spec) for result, spec in specs)
        return real_units and array.dtype == _FLOAT32 and array.flags.c_contiguous

    def _run_in_memory(
        self,
        results: Sequence[np.ndarray],
        arrays: Sequence[np.ndarray],
        firsts: range,
        end: int,
        check: Check | None,
    ) -> None:
        unit, run = firsts.step, self._instance.run
        reads = [
            output_reader(place, spec) if result.dtype != place.dtype else place.view
            for result, place, spec in zip(results, self.outputs, self._signature.outputs, strict=True)
        ]
        for first in firsts:
            last = min(first + unit, end)
            for i, (place, spec, convert) in enumerate(self._inputs):
                values = arrays[i][first:last]
                whole = check is not None and last - first == unit and values.dtype == _FLOAT32
                converted = convert(values.reshape(-1)) if whole and values.flags.c_contiguous else None
                if converted is not None:
                    place[...] = converted.reshape(place.shape)
                    continue
                if check is not None:
                    values = encode(check(values, i, first), spec)
                place[...] = _pad(values, unit)
            run()
            for result, read in zip(results, reads, strict=True):
                result[first:last] = read()[: last - first]

    def _run_arrays(
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
                array[first:last] if check is None else self._encode(array[first:last], i, first, check)
                for i, array in enumerate(arrays)
            ]
            places = [result[first:last] for result in results]
            if put is not None:
                put(values, places)
                continue
            for place, output, spec in zip(places, self.run_checked(values), specs, strict=True):
                place[...] = output if output.dtype == place.dtype else to_source(output, spec)

    def _encode(self, values: np.ndarray, i: int, first: int, check: Check) -> np.ndarray:
        """Convert samples of one input to the artifact's dtype."""
        if self._accepts_float32[i] and values.dtype == _FLOAT32 and values.flags.c_contiguous and all_finite(values):
            return values
        return encode(check(values, i, first), self._signature.inputs[i])


def encode(values: np.ndarray, spec: TensorSpec) -> np.ndarray:
    """Convert numbers or text that the model accepts to the artifact's dtype."""
    return to_artifact(encoder(spec.encoding)(values), spec)


def _accepts_float32(spec: TensorSpec) -> bool:
    """Return whether the artifact accepts the source's numbers as float32, without conversion."""
    return spec.dtype == "float32" and spec.quantization is None and spec.encoding is None


def _pad(values: np.ndarray, unit: int) -> np.ndarray:
    """Append copies of the last sample to an incomplete batch."""
    missing = unit - len(values)
    return np.concatenate([values, np.repeat(values[-1:], missing, axis=0)]) if missing else values


def _raw_run(place: np.ndarray, instance: EngineInstance) -> Callable[[np.ndarray], list[np.ndarray]]:
    outputs, run = instance.outputs, instance.run

    def run_raw(values: np.ndarray) -> list[np.ndarray]:
        place[...] = values
        run()
        return [output.copy() for output in outputs]

    return run_raw


def _batch_run(convert: Converter, instance: EngineInstance, specs: tuple[TensorSpec, ...]) -> Run:
    run, (read, *others) = instance.run, map(output_reader, instance.outputs, specs)
    row = instance.inputs[0].reshape(-1)

    def run_batch(values: np.ndarray) -> list[np.ndarray] | None:
        converted = convert(values.ravel())
        if converted is None:
            return None
        row[...] = converted
        run()
        return [read()]

    def run_batch_to_outputs(values: np.ndarray) -> list[np.ndarray] | None:
        outputs = run_batch(values)
        return None if outputs is None else outputs + [read_other() for read_other in others]

    return run_batch_to_outputs if others else run_batch


def _each_run(convert: Converter, instance: EngineInstance, specs: tuple[TensorSpec, ...]) -> Run:
    """Return a function that runs samples one by one and converts all inputs, and all outputs, in one step."""
    invoke, empty = instance.run, np.empty
    row = instance.inputs[0].reshape(-1)
    at_once = rows_at_once(row.size)
    places = [place[0, ...] for place in instance.outputs]  # views, also of outputs of one number
    converters = [output_converter(spec, place.dtype) for place, spec in zip(places, specs, strict=True)]
    (place, *others), (convert_output, *_) = places, converters
    shape, dtype = place.shape, place.dtype

    def run_to_output(values: np.ndarray) -> list[np.ndarray] | None:
        count, converted = len(values), convert(values.ravel())
        if converted is None:
            return None
        rows = converted.reshape(count, -1)
        output = empty((count, *shape), dtype)
        for i in range(count):
            row[...] = rows[i]
            invoke()
            output[i] = place
        return [output if convert_output is None else convert_output(output)]

    def run_to_outputs(values: np.ndarray) -> list[np.ndarray] | None:
        count, converted = len(values), convert(values.ravel())
        if converted is None:
            return None
        rows = converted.reshape(count, -1)
        outputs = [empty((count, *place.shape), place.dtype) for place in places]
        for i in range(count):
            row[...] = rows[i]
            invoke()
            for output, place in zip(outputs, places, strict=True):
                output[i] = place
        return [
            output if convert_one is None else convert_one(output)
            for output, convert_one in zip(outputs, converters, strict=True)
        ]

    run = run_to_outputs if others else run_to_output

    def run_each(values: np.ndarray) -> list[np.ndarray] | None:
        if len(values) <= at_once:
            return run(values)
        parts = []
        for begin in range(0, len(values), at_once):
            part = run(values[begin : begin + at_once])
            if part is None:
                return None
            parts.append(part)
        return [np.concatenate(column) for column in zip(*parts, strict=True)]

    return run_each
