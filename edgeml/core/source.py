"""The description of a trained model, independent of its framework."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import numpy as np
from msgspec import Struct

from edgeml.core.decisions import Decision
from edgeml.core.tensors import Signature

__all__ = ["FILES", "MAIN_METRIC", "Probes", "Reference", "SourceInfo", "Task", "is_bare"]

Task = Literal["classification", "regression", "reconstruction", "transformation", "clustering"]


MAIN_METRIC: Mapping[str, Literal["accuracy", "r2", "relative_mse"]] = MappingProxyType(
    {"classification": "accuracy", "regression": "r2", "reconstruction": "relative_mse"}
)
"""Main metric of each task, in which a drop is measured; other tasks do not have one."""

FILES = frozenset({"tflite", "onnx"})
"""Frameworks of existing model files; the `architecture` of such a source is the recipe that the file matches."""


def is_bare(name: object) -> bool:
    """Return whether a name or path is that of a bare model file, outside a package."""
    return str(name).lower().endswith(tuple(f".{format_}" for format_ in FILES))


class SourceInfo(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The description of a source.

    Attributes:
        framework: ``keras``, ``tf_keras`` (Keras 2), ``sklearn``, or of an existing file ``tflite`` or ``onnx``.
        architecture: Name of the model's class, or of the steps of a pipeline.
        signature: Named inputs and outputs with a dynamic batch: float32, for columns of tables float64, or text.
        task: Task of the model; None where the model alone does not determine it.
        decision: Labels, and the rule from scores to a label; None for models that do not classify.
        digest: ``sha256:…`` of architecture and weights, the same for the same model in any file.
        versions: Version of each package that can change the model's outputs.
        whole_inputs: Names of the inputs that hold whole numbers, such as ids for an embedding, or bytes.
        columns: Names of the table's columns by the input that holds them, for models trained on named columns.
        computes: Precision that the model computes in, such as ``mixed_float16``; empty for float32. Artifacts are
            converted from the same weights in float32, and judged by the outputs of these.
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
    """The outputs of the source itself.

    Attributes:
        outputs: float32 arrays ``[samples, ...]`` by output name.
        labels: Positions of the source's labels ``[samples]`` in the decision's labels, or None. The labels count,
            not the scores, for models that do not decide by their largest score.
        own: Outputs in the model's own precision, where that is not float32; else None.
        deciding: The scores ``[samples, classes]``, or ``[samples]`` above and below 0, that the source decides by,
            where these are not its output; else None.
    """

    outputs: dict[str, np.ndarray]
    labels: np.ndarray | None = None
    own: dict[str, np.ndarray] | None = None
    deciding: np.ndarray | None = None


class Probes(Struct, frozen=True):
    """Inputs made from a model itself, at values where its answers change and beyond the ranges of its data.

    Attributes:
        inputs: Arrays ``[rows, ...]`` by input name, of values that float32 can represent.
        reference: Outputs of the source, all finite.
    """

    inputs: dict[str, np.ndarray]
    reference: Reference

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(next(iter(self.inputs.values()), ()))
