"""TFLite models in LiteRT's interpreter alone, one sample after the other."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgeml.core.errors import TargetError
from edgeml.core.formats.tflite import TfliteFile
from edgeml.core.integer_grid import dequantize, quantize, requantize, zeros
from edgeml.core.tensors import TensorSpec, source_dtype

__all__ = ["run_steps"]


def run_steps(data: bytes, file: TfliteFile, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Run samples as consecutive steps from the initial state, and return the outputs in the source's units.

    Args:
        data: The file, of a batch of 1.
        file: Its parsed contents, with its states.
        inputs: Arrays ``[samples, ...]`` by input name, without those of a state.

    Raises:
        TargetError: LiteRT does not run the model.
    """
    from ai_edge_litert.interpreter import Interpreter

    signature = file.signature
    count = len(signature.inputs)
    places = dict(zip((spec.name for spec in signature.inputs), file.tensors[:count], strict=True))
    results = dict(zip((spec.name for spec in signature.outputs), file.tensors[count:], strict=True))
    specs = {spec.name: spec for spec in signature.outputs}
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
                batch = () if spec.unbatched else (1,)
                interpreter.resize_tensor_input(places[spec.name], (*batch, *inputs[spec.name].shape[1:]))
        interpreter.allocate_tensors()
        for i in range(len(next(iter(inputs.values())))):
            for spec in signature.inputs:
                value = state.get(spec.name)
                value = _to_file(inputs[spec.name][i : i + 1], spec) if value is None else value
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
        raise TargetError(
            f"LiteRT does not run the model: {str(error).splitlines()[0][:300]}", log=str(error)
        ) from error
    return {
        spec.name: np.stack([_to_source(step[spec.name], spec) for step in steps]) for spec in signature.visible.outputs
    }


def _to_file(sample: np.ndarray, spec: TensorSpec) -> np.ndarray:
    value = np.asarray(sample[0] if spec.unbatched else sample)
    return value.astype(spec.dtype) if spec.quantization is None else quantize(value, spec.quantization, spec.dtype)


def _to_source(value: np.ndarray, spec: TensorSpec) -> np.ndarray:
    value = np.asarray(value if spec.unbatched else value[0])
    return value.astype(source_dtype(spec)) if spec.quantization is None else dequantize(value, spec.quantization)
