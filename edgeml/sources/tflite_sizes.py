"""Free sizes of TFLite files, settled in the file itself."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from edgeml.core.errors import UnsupportedModelError
from edgeml.core.formats.tflite import TfliteFile
from edgeml.core.free_sizes import SizeOption, beyond, combinations, fixed, size_text

__all__ = ["settle_sizes"]

Shapes = dict[int, list[int]]
"""Shapes by the numbers of tensors."""


def settle_sizes(data: bytes, file: TfliteFile, sizes: SizeOption, name: str) -> bytes:
    """Return a TFLite file whose inputs have these sizes, and whose outputs have those that follow.

    Args:
        data: The file.
        file: Its parsed contents.
        sizes: A number for each of its free sizes, or those that it stays free for, by ``INPUT.AXIS``. The file holds
            the first of these.
        name: Name of the file in messages.

    Raises:
        UnsupportedModelError: The model does not run at these sizes.
    """
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=data, num_threads=1)
    runs: list[Shapes] = []
    for numbers in combinations(sizes):
        try:
            runs.append(_shapes_at(interpreter, file, {**fixed(sizes), **numbers}))
        except (ValueError, RuntimeError) as error:
            raise UnsupportedModelError(
                f"{name} does not run with the sizes {size_text({**fixed(sizes), **numbers})}.",
                fix="give other sizes, for instance those of its documentation.",
                log=str(error),
            ) from error
    if beyond(sizes):  # which shows sizes of outputs that happen to be the same for all these numbers
        with contextlib.suppress(ValueError, RuntimeError):
            runs.append(_shapes_at(interpreter, file, {**fixed(sizes), **beyond(sizes)}))
    return _rewritten(schema, data, runs)


def _shapes_at(interpreter: Any, file: TfliteFile, sizes: Mapping[str, int]) -> Shapes:
    """Return the shapes of inputs and outputs in a run of inputs of these sizes."""
    inputs = [spec.name for spec in file.signature.inputs]
    shapes = [list(spec.shape) for spec in file.signature.inputs]
    for key, size in sizes.items():
        tensor, _, axis = key.rpartition(".")
        shapes[inputs.index(tensor)][int(axis)] = size
    # The order of the interpreter is that of the graph; a signature may have another, by the same numbers of tensors.
    for place, shape in zip(file.tensors[: len(inputs)], shapes, strict=True):
        interpreter.resize_tensor_input(place, shape, strict=False)
    interpreter.allocate_tensors()
    interpreter.invoke()
    return {place: list(map(int, interpreter.get_tensor(place).shape)) for place in file.tensors}


def _rewritten(schema: Any, data: bytes, runs: Sequence[Shapes]) -> bytes:
    """Return the file with the shapes of its first run; sizes that differ in others stay dynamic."""
    import flatbuffers
    import numpy as np

    model = schema.ModelT.InitFromPackedBuf(data, 0)
    for place, shape in runs[0].items():
        tensor = model.subgraphs[0].tensors[place]
        differing = [len({*sizes}) > 1 for sizes in zip(*(run[place] for run in runs), strict=True)]
        signature = [-1 if differs else size for size, differs in zip(shape, differing, strict=True)]
        tensor.shape = np.array(shape, np.int32)
        tensor.shapeSignature = np.array(signature, np.int32) if any(differing) else None
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
