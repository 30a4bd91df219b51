"""Free sizes of TFLite files, settled in the file itself."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from edgeml.core.errors import UnsupportedModelError
from edgeml.core.formats.tflite import TfliteFile
from edgeml.core.free_sizes import SizeOption, beyond, combinations, fixed, size_text
from edgeml.sources.tflite_trial import TfliteTrials

__all__ = ["settle_sizes"]

Shapes = dict[int, tuple[int, ...]]
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
        UnsupportedModelError: The model does not run at these sizes, or sizes of outputs depend on values.
    """
    from ai_edge_litert import schema_py_generated as schema

    trials = TfliteTrials(data, file)
    runs: list[Shapes] = []
    for free in combinations(sizes):
        numbers = {**fixed(sizes), **free}
        try:
            runs.append(_shapes_at(trials, numbers, name))
        except (ValueError, RuntimeError) as error:
            raise UnsupportedModelError(
                f"{name} does not run with the sizes {size_text(numbers)}.",
                fix="give other sizes, for instance those of its documentation.",
                log=str(error),
            ) from error
    for free in beyond(sizes):
        with contextlib.suppress(ValueError, RuntimeError):
            runs.append(_shapes_at(trials, {**fixed(sizes), **free}, name))
    return _rewritten(schema, data, runs)


def _shapes_at(trials: TfliteTrials, sizes: Mapping[str, int], name: str) -> Shapes:
    """Return the shapes of inputs and outputs at these sizes, which two runs share."""
    first, second = ({place: array.shape for place, array in trials.run(sizes, seed).items()} for seed in (0, 1))
    for place, shape in first.items():
        if shape != second[place]:
            raise UnsupportedModelError(
                f"{name}: the size of an output depends on the values of the inputs: {list(shape)} in a trial run, "
                f"{list(second[place])} in another.",
                fix="end the model before the operator that selects, as non-maximum suppression, and select after it.",
            )
    return first


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
