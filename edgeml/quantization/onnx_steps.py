"""ONNX models in onnxruntime alone, one sample after the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from edgeml.core.errors import TargetError
from edgeml.core.onnxruntime_errors import plain_reason
from edgeml.core.tensors import Signature, source_dtype

__all__ = ["run_steps"]

Arrays = dict[str, np.ndarray]


def run_steps(model: Any, signature: Signature, inputs: Mapping[str, np.ndarray]) -> tuple[Arrays, Arrays]:
    """Run samples as consecutive steps; of a model without a state each step is a sample of its own.

    Args:
        model: The `onnx.ModelProto`.
        signature: Its tensors, of a batch of 1.
        inputs: Arrays ``[samples, ...]`` by input name, without those of a state.

    Returns:
        The outputs ``[samples, ...]`` by name, in the source's dtypes, and the state before each step by input name.

    Raises:
        TargetError: onnxruntime does not run the model.
    """
    import onnxruntime

    try:
        return _run(onnxruntime, model, signature, inputs)
    except Exception as error:  # onnxruntime's exceptions do not have a common base
        raise TargetError(f"onnxruntime {onnxruntime.__version__}: {plain_reason(error)}.", log=str(error)) from error


def _run(onnxruntime: Any, model: Any, signature: Signature, inputs: Mapping[str, np.ndarray]) -> tuple[Arrays, Arrays]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    specs = {spec.name: spec for spec in signature.inputs}
    dtypes = {name: object if spec.dtype == "string" else spec.dtype for name, spec in specs.items()}
    state = {
        name: np.zeros([size or 1 for size in spec.file_shape], spec.dtype)
        for name, spec in specs.items()
        if spec.state
    }
    names, following = [spec.name for spec in signature.outputs], {spec.state for spec in signature.inputs}
    steps: list[Arrays] = []
    states: dict[str, list[np.ndarray]] = {name: [] for name in state}
    for i in range(len(next(iter(inputs.values())))):
        sample = {
            name: np.asarray(array[i] if specs[name].unbatched else array[i : i + 1]).astype(dtypes[name])
            for name, array in inputs.items()
        }
        outputs = dict(zip(names, map(np.asarray, session.run(names, {**sample, **state})), strict=True))
        for name, array in state.items():
            states[name].append(array)
        state = {name: outputs[specs[name].state] for name in state}
        steps.append(outputs)
    results = {
        spec.name: np.stack([step[spec.name] if spec.unbatched else step[spec.name][0] for step in steps])
        for spec in signature.outputs
        if spec.name not in following
    }
    own = {spec.name: np.str_ if spec.dtype == "string" else source_dtype(spec) for spec in signature.outputs}
    return (
        {name: values.astype(own[name]) for name, values in results.items()},
        {name: np.stack(arrays).reshape(len(steps), *specs[name].shape[1:]) for name, arrays in states.items()},
    )
