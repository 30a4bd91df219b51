"""ONNX models in onnxruntime alone."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from edgeml.core.engine import is_out_of_memory
from edgeml.core.errors import TargetError
from edgeml.core.onnxruntime_errors import plain_reason
from edgeml.core.system.machine import cores
from edgeml.core.tensors import Signature, TensorSpec, source_dtype

__all__ = ["run_samples", "run_steps"]

Arrays = dict[str, np.ndarray]


def run_samples(model: Any, signature: Signature, inputs: Mapping[str, np.ndarray], batch: int) -> Arrays:
    """Run samples that do not depend on each other, on all cores.

    Args:
        model: The `onnx.ModelProto`.
        signature: Its tensors, without a state.
        inputs: Arrays ``[samples, ...]`` by input name.
        batch: Samples per call; 1 where a tensor does not have the axis of the batch. An incomplete last call of a
            fixed batch repeats its last sample.

    Returns:
        The outputs ``[samples, ...]`` by name, in the source's dtypes.

    Raises:
        TargetError: onnxruntime does not run the model.
    """
    count = len(next(iter(inputs.values())))
    size = signature.inputs[0].shape[0] or 1
    calls = [
        {name: _padded(array[begin : begin + batch], size) for name, array in inputs.items()}
        for begin in range(0, count, batch)
    ]
    try:
        run = partial(_call, _open(model), signature)
        with ThreadPoolExecutor(cores()) as threads:
            runs = list(threads.map(run, calls))
    except Exception as error:  # onnxruntime's exceptions do not have a common base
        if is_out_of_memory(error) and batch > size:
            return run_samples(model, signature, inputs, size)
        raise _translated(error) from error
    return _joined(signature.outputs, runs, count)


def run_steps(model: Any, signature: Signature, inputs: Mapping[str, np.ndarray]) -> tuple[Arrays, Arrays]:
    """Run samples as consecutive steps of a model with a state, from its initial state.

    Args:
        model: The `onnx.ModelProto`.
        signature: Its tensors, of a batch of 1.
        inputs: Arrays ``[steps, ...]`` by input name, without those of the state.

    Returns:
        The outputs ``[steps, ...]`` by name, in the source's dtypes, and the state before each step by input name.

    Raises:
        TargetError: onnxruntime does not run the model.
    """
    specs = {spec.name: spec for spec in signature.inputs if spec.state}
    state = {name: np.zeros((1, *(size or 1 for size in spec.shape[1:])), spec.dtype) for name, spec in specs.items()}
    following = {spec.state for spec in specs.values()}
    count = len(next(iter(inputs.values())))
    runs: list[Arrays] = []
    states: list[Arrays] = []
    try:
        session = _open(model)
        for i in range(count):
            states.append(state)
            outputs = _call(session, signature, {name: array[i : i + 1] for name, array in inputs.items()} | state)
            state = {name: outputs[spec.state] for name, spec in specs.items()}
            runs.append(outputs)
    except Exception as error:  # as above
        raise _translated(error) from error
    visible = tuple(spec for spec in signature.outputs if spec.name not in following)
    return _joined(visible, runs, count), {name: np.concatenate([each[name] for each in states]) for name in specs}


def _open(model: Any) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def _call(session: Any, signature: Signature, samples: Mapping[str, np.ndarray]) -> Arrays:
    """Run samples ``[batch, ...]`` in one call, and return the outputs likewise."""
    feeds = {
        spec.name: np.asarray(samples[spec.name][0] if spec.unbatched else samples[spec.name]).astype(
            object if spec.dtype == "string" else spec.dtype
        )
        for spec in signature.inputs
    }
    arrays = map(np.asarray, session.run([spec.name for spec in signature.outputs], feeds))
    return {
        spec.name: array[None] if spec.unbatched else array
        for spec, array in zip(signature.outputs, arrays, strict=True)
    }


def _padded(samples: np.ndarray, size: int) -> np.ndarray:
    missing = size - len(samples)
    return np.concatenate([samples, np.repeat(samples[-1:], missing, axis=0)]) if missing > 0 else samples


def _joined(specs: tuple[TensorSpec, ...], runs: list[Arrays], count: int) -> Arrays:
    own = {spec.name: np.str_ if spec.dtype == "string" else source_dtype(spec) for spec in specs}
    return {name: np.concatenate([run[name] for run in runs])[:count].astype(dtype) for name, dtype in own.items()}


def _translated(error: Exception) -> TargetError:
    import onnxruntime

    if is_out_of_memory(error):
        return TargetError(
            f"onnxruntime {onnxruntime.__version__}: not enough memory to run the model.",
            fix="allow more: memory_mb= (--memory on the command line).",
            log=str(error),
        )
    return TargetError(f"onnxruntime {onnxruntime.__version__}: {plain_reason(error)}.", log=str(error))
