"""What is known of a trained model, whatever framework made it."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import numpy as np
from msgspec import Struct

from edgeml.core.decisions import Decision
from edgeml.core.tensors import Signature

__all__ = ["FILES", "MAIN_METRIC", "Reference", "SourceInfo", "Task", "is_bare"]

Task = Literal["classification", "regression", "reconstruction", "transformation", "clustering"]


MAIN_METRIC: Mapping[str, Literal["accuracy", "r2", "relative_mse"]] = MappingProxyType(
    {"classification": "accuracy", "regression": "r2", "reconstruction": "relative_mse"}
)
"""Metric of a task by which a drop is judged; the other tasks have none."""

FILES = frozenset({"tflite", "onnx"})
"""Frameworks that are formats: their sources are existing artifacts, and `architecture` is the recipe that they are."""


def is_bare(name: object) -> bool:
    """Whether that is the name of a file, a path too, that is such an artifact, in no package."""
    return str(name).lower().endswith(tuple(f".{format_}" for format_ in FILES))


class SourceInfo(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The description of a source.

    Attributes:
        framework: ``keras``, ``tf_keras`` (Keras 2), ``sklearn``, or of an existing file ``tflite`` or ``onnx``.
        architecture: Name of the model's class, or of the steps of a pipeline.
        signature: Its named inputs and outputs, the batch free: float32, for columns of tables float64, or text.
        task: What it does; None where the model alone does not tell.
        decision: Its labels and how scores become one of them; None where it does not classify.
        digest: ``sha256:…`` of architecture and weights, the same for the same model in any file.
        versions: Version of each package that can change what the model computes.
        whole_inputs: Names of the inputs that stand for whole numbers, as of an embedding or of bytes.
        columns: By input the names of the table's columns that it is made of, where the model was trained on a table
            with named ones.
        computes: In what the model computes, where that is not float32, as ``mixed_float16``. Artifacts are then made
            of the same weights in float32, and judged by what these give.
    """

    framework: Literal["keras", "tf_keras", "sklearn", "tflite", "onnx"]
    architecture: str
    signature: Signature
    task: Task | None
    decision: Decision | None
    digest: str
    versions: dict[str, str]
    whole_inputs: tuple[str, ...] = ()
    columns: dict[str, tuple[str, ...]] = {}
    computes: str = ""


class Reference(Struct, frozen=True):
    """What the source itself answers.

    Attributes:
        outputs: float32 arrays ``[samples, ...]`` by output name.
        labels: Positions of the source's own labels in the decision's ``[samples]``, or None. For models
            that do not decide by their largest score it is this, not the scores, that counts.
        own: Where the model computes in something else than float32, what it gives so; else None.
    """

    outputs: dict[str, np.ndarray]
    labels: np.ndarray | None = None
    own: dict[str, np.ndarray] | None = None
