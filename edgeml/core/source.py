"""The description of a trained model, independent of its framework."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

import numpy as np
from msgspec import Struct

from edgeml.core.boxes import Boxes
from edgeml.core.decisions import Decision
from edgeml.core.tensors import Signature

__all__ = ["DENSE", "FILES", "MAIN_METRIC", "Head", "Metric", "Probes", "Reference", "SourceInfo", "Task", "is_bare"]

Task = Literal[
    "classification",
    "multi-label",
    "segmentation",
    "sequence",
    "detection",
    "regression",
    "reconstruction",
    "anomaly",
    "embedding",
    "transformation",
    "clustering",
    "multi-output",
]
Metric = Literal["accuracy", "f1", "mean_iou", "mean_average_precision", "r2", "relative_mse", "auc", "recall_at_1"]

MAIN_METRIC: Mapping[str, Metric] = MappingProxyType(
    {
        "classification": "accuracy",
        "multi-label": "f1",
        "segmentation": "mean_iou",
        "sequence": "accuracy",
        "detection": "mean_average_precision",
        "regression": "r2",
        "reconstruction": "relative_mse",
        "anomaly": "auc",
        "embedding": "recall_at_1",
    }
)
"""Main metric of each task, in which a drop is measured; other tasks do not have one."""

DENSE = frozenset({"segmentation", "sequence"})
"""Tasks with a label for each pixel or step of a sample."""

FILES = frozenset({"tflite", "onnx"})
"""Frameworks of existing model files; the `architecture` of such a source is the recipe that the file matches."""


def is_bare(name: object) -> bool:
    """Return whether a name or path is that of a bare model file, outside a package."""
    return str(name).lower().endswith(tuple(f".{format_}" for format_ in FILES))


class Head(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The task of one of several outputs.

    Attributes:
        task: Task of the output; None if only its fidelity is judged.
        decision: Labels, and the rule from scores to labels; None for an output that does not classify.
    """

    task: Task | None = None
    decision: Decision | None = None


class SourceInfo(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The description of a source.

    Attributes:
        framework: ``keras``, ``tf_keras`` (Keras 2), ``sklearn``, or of an existing file ``tflite`` or ``onnx``.
        architecture: Name of the model's class, or of the steps of a pipeline.
        signature: Named inputs and outputs with a dynamic batch: float32, for columns of tables float64, or text;
            int32 and int64 inputs, and all outputs of integers and bools, in the model's own dtype.
        task: Task of the model; None where the model alone does not determine it.
        decision: Labels, and the rule from scores to a label; None for models that do not classify.
        digest: ``sha256:…`` of architecture and weights, the same for the same model in any file.
        versions: Version of each package that can change the model's outputs.
        whole_inputs: Names of the inputs that hold whole numbers, such as ids for an embedding, or bytes.
        columns: Names of the table's columns by the input that holds them, for models trained on named columns.
        computes: Precision that the model computes in, such as ``mixed_float16``; empty for float32. Artifacts are
            converted from the same weights in float32, and judged by the outputs of these.
        heads: Task of each output, of a model with several outputs (``multi-output``); empty for others.
        boxes: Place of the decoded boxes in the outputs of a detection model; None for other models.
        stateful: Whether the model keeps a state: samples are consecutive steps of a sequence.
        class_names: Names of classes in the metadata of a model file, in the order of its scores; empty without.
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
    heads: dict[str, Head] = {}
    boxes: Boxes | None = None
    class_names: tuple[str, ...] = ()
    stateful: bool = False

    @property
    def tasks(self) -> dict[str, Head]:
        """The task of each output, by name; empty where several outputs have one task together."""
        if self.heads or len(self.signature.outputs) != 1:
            return self.heads
        return {self.signature.outputs[0].name: Head(self.task, self.decision)}

    @property
    def decisions(self) -> Decision | dict[str, Decision] | None:
        """The decision; of a model with several outputs, that of each output that has one; None without any."""
        by_output = {name: head.decision for name, head in self.heads.items() if head.decision is not None}
        return by_output or self.decision


class Reference(Struct, frozen=True):
    """The outputs of the source itself.

    Attributes:
        outputs: Arrays ``[samples, ...]`` by output name, in the dtypes of the signature.
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
