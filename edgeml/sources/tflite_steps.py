"""TFLite models in LiteRT's interpreter alone."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from edgeml.core.errors import TargetError
from edgeml.core.formats.tflite import TfliteFile
from edgeml.core.integer_grid import dequantize, quantize, requantize, zeros
from edgeml.core.system.machine import cores, installed_version
from edgeml.core.tensors import TensorSpec, source_dtype

__all__ = ["run_samples", "run_steps"]

Arrays = dict[str, np.ndarray]


def run_samples(data: bytes, file: TfliteFile, inputs: Mapping[str, np.ndarray]) -> Arrays:
    """Run samples that do not depend on each other, on all cores; arguments and errors are those of `run_steps`."""
    count, size = len(next(iter(inputs.values()))), file.signature.inputs[0].shape[0] or 1
    share = max(1, -(-count // (cores() * size))) * size
    parts = [{name: array[i : i + share] for name, array in inputs.items()} for i in range(0, count, share)]
    with ThreadPoolExecutor(cores()) as threads:
        runs = list(threads.map(lambda part: run_steps(data, file, part), parts))
    return {name: np.concatenate([run[name] for run in runs]) for name in runs[0]}


def run_steps(data: bytes, file: TfliteFile, inputs: Mapping[str, np.ndarray]) -> Arrays:
    """Run samples one after the other, of a model with a state from its initial state.

    Args:
        data: The file.
        file: Its parsed contents, with its states.
        inputs: Arrays ``[samples, ...]`` by input name, without those of a state. An incomplete last batch repeats its
            last sample.

    Returns:
        The outputs ``[samples, ...]`` by name, in the source's units.

    Raises:
        TargetError: LiteRT does not run the model.
    """
    from ai_edge_litert.interpreter import Interpreter

    signature, place_count = file.signature, len(file.signature.inputs)
    places = dict(zip((spec.name for spec in signature.inputs), file.tensors[:place_count], strict=True))
    results = dict(zip((spec.name for spec in signature.outputs), file.tensors[place_count:], strict=True))
    specs = {spec.name: spec for spec in signature.outputs}
    count, size = len(next(iter(inputs.values()))), signature.inputs[0].shape[0] or 1
    state = {
        spec.name: zeros([size or 1 for size in spec.file_shape], spec.quantization, spec.dtype)
        for spec in signature.inputs
        if spec.state
    }
    steps = []
    try:
        interpreter = Interpreter(model_content=data, num_threads=1)
        for spec in signature.inputs:
            if spec.sizes:
                batch = () if spec.unbatched else (size,)
                interpreter.resize_tensor_input(places[spec.name], (*batch, *inputs[spec.name].shape[1:]))
        interpreter.allocate_tensors()
        for begin in range(0, count, size):
            rows = np.arange(begin, begin + size).clip(max=count - 1)
            for spec in signature.inputs:
                value = state.get(spec.name)
                value = _to_file(inputs[spec.name][rows], spec) if value is None else value
                interpreter.set_tensor(places[spec.name], value)
            interpreter.invoke()
            outputs = {name: interpreter.get_tensor(place) for name, place in results.items()}
            state = {
                spec.name: requantize(
                    outputs[spec.state], specs[spec.state].quantization, spec.quantization, spec.dtype
                )
                for spec in signature.inputs
                if spec.state
            }
            steps.append(outputs)
    except (ValueError, RuntimeError) as error:
        version = installed_version("ai-edge-litert")
        raise TargetError(f"ai-edge-litert {version}: {str(error).splitlines()[0][:300]}", log=str(error)) from error
    return {
        spec.name: np.concatenate([_to_source(step[spec.name], spec) for step in steps])[:count]
        for spec in signature.visible.outputs
    }


def _to_file(samples: np.ndarray, spec: TensorSpec) -> np.ndarray:
    value = np.asarray(samples[0] if spec.unbatched else samples)
    return value.astype(spec.dtype) if spec.quantization is None else quantize(value, spec.quantization, spec.dtype)


def _to_source(value: np.ndarray, spec: TensorSpec) -> np.ndarray:
    value = value[None] if spec.unbatched else value
    return value.astype(source_dtype(spec)) if spec.quantization is None else dequantize(value, spec.quantization)
