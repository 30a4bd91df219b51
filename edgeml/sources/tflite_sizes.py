"""Free sizes of TFLite files, fixed in the file itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edgeml.core.errors import UnsupportedModelError
from edgeml.core.formats.tflite import TfliteFile

__all__ = ["fix_sizes"]


def fix_sizes(data: bytes, file: TfliteFile, sizes: Mapping[str, int], name: str) -> bytes:
    """Return a TFLite file whose inputs have fixed sizes, and whose outputs have those that follow.

    Args:
        data: The file.
        file: Its parsed contents.
        sizes: A number for each of its free sizes, by ``INPUT.AXIS``.
        name: Name of the file in messages.

    Raises:
        UnsupportedModelError: The model does not run at these sizes.
    """
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter

    inputs = [spec.name for spec in file.signature.inputs]
    shapes = [list(spec.shape) for spec in file.signature.inputs]
    for key, size in sizes.items():
        tensor, _, axis = key.rpartition(".")
        shapes[inputs.index(tensor)][int(axis)] = size
    interpreter = Interpreter(model_content=data, num_threads=1)
    # The order of the interpreter is that of the graph; a signature may have another, by the same numbers of tensors.
    places = file.tensors[: len(inputs)]
    try:
        for place, shape in zip(places, shapes, strict=True):
            interpreter.resize_tensor_input(place, shape, strict=False)
        interpreter.allocate_tensors()
        interpreter.invoke()
        fixed = {place: list(map(int, interpreter.get_tensor(place).shape)) for place in file.tensors}
    except (ValueError, RuntimeError) as error:
        text = ", ".join(f"{key}={size}" for key, size in sizes.items())
        raise UnsupportedModelError(
            f"{name} does not run with the sizes {text}.",
            fix="give other sizes, for instance those of its documentation.",
            log=str(error),
        ) from error
    return _rewritten(schema, data, fixed)


def _rewritten(schema: Any, data: bytes, shapes: Mapping[int, list[int]]) -> bytes:
    """Return the file with the shapes of tensors of its first graph, by their numbers."""
    import flatbuffers
    import numpy as np

    model = schema.ModelT.InitFromPackedBuf(data, 0)
    for place, shape in shapes.items():
        tensor = model.subgraphs[0].tensors[place]
        tensor.shape, tensor.shapeSignature = np.array(shape, np.int32), None
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
