"""scikit-learn models as TensorFlow functions."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np

from edgeml.core.conversion import ConversionJob, TableSource
from edgeml.core.errors import UnsupportedModelError
from edgeml.core.recipe import Recipe
from edgeml.core.tensors import Signature, TensorSpec

from ..tensorflow.function import Graph
from .prepare.input_adapter import in_float32, reading_inputs
from .tensorflow_stages._stage import (
    Branches,
    Decided,
    Filled,
    Function,
    Stage,
    added,
    affine,
    folded,
    refused,
    side_by_side,
)
from .tensorflow_stages.ensembles import TREES
from .tensorflow_stages.input_encoding import encoded
from .tensorflow_stages.linear_models import LINEAR
from .tensorflow_stages.naive_bayes import BAYES
from .tensorflow_stages.support_vectors import KERNELS
from .tensorflow_stages.transformers import TRANSFORMERS, parts_of, risen_through
from .tensorflow_stages.trees import Trees

__all__ = ["sklearn_to_graph"]


def sklearn_to_graph(source: TableSource, recipe: Recipe, job: ConversionJob) -> tuple[Graph, ConversionJob]:
    """Rebuilds a model of stages.

    Steps that only multiply and add are folded into one, in float64. Trees take the scalers before them into their
    thresholds. Where activations are quantized, the features are encoded outside of the graph.

    Args:
        source: The model.
        recipe: What the graph is for.
        job: Its calibration samples choose the encoding.

    Returns:
        The graph, and the job with the samples to calibrate it.

    Raises:
        UnsupportedModelError: A part of the model is none of those that are rebuilt, or the precision is not honest
            for it.
    """
    if any(spec.dtype == "string" for spec in source.info.signature.inputs):
        raise refused("TFLite runtimes take no text, and half precision and integers hold none; a column is text.")
    info = source.info
    ((features,), (output,)) = in_float32(info.signature).inputs, info.signature.outputs
    stages = folded(_stages(reading_inputs(copy.deepcopy(source.model), source), features.shape[1] or 0))
    if all(isinstance(stage, Filled) for stage in stages):
        raise refused(f"The {info.architecture} leaves numbers as they are.")
    if recipe.precision != "fp32" and _holds_trees(stages):
        _check_trees(stages, recipe, info.architecture)
    if recipe.needs_calibration and job.calibration is not None:
        encoding, stages, rows = encoded(stages, np.asarray(job.calibration[features.name], dtype=np.float32))
        job = replace(job, calibration={features.name: rows})
        features = msgspec.structs.replace(features, encoding=encoding)
    decided = stages[-1] if isinstance(stages[-1], Decided) else None
    outputs = [output]
    if decided is not None:
        outputs.append(TensorSpec("position", (None,), "int32", meaning="position"))

    def function(features: Any) -> dict[str, Any]:
        import tensorflow as tf

        value = features
        for stage in stages[:-1] if decided else stages:
            assert not isinstance(stage, Decided)
            value = stage(value)
        found = {outputs[-1].name: decided.position(value)} if decided else {}
        value = decided.scores(value) if decided else value
        return {output.name: tf.squeeze(value, axis=1) if len(output.shape) == 1 else value, **found}

    return Graph(function, Signature((features,), tuple(outputs))), job


def _holds_trees(stages: Sequence[Stage]) -> bool:
    return any(
        isinstance(stage, Trees) or (isinstance(stage, Branches) and any(map(_holds_trees, stage.parts)))
        for stage in stages
    )


def _check_trees(stages: list[Stage], recipe: Recipe, name: str) -> None:
    """Refuses trees in precisions that would move their thresholds, or that have nothing for them."""
    if recipe.id == "tflite-int8" and isinstance(stages[0], Trees):
        return
    if recipe.precision == "fp16":
        why = "in float16 they would send rows down other branches"
    elif recipe.id == "tflite-int8":
        why = "what is before or beside them would be rounded, and rows sent down other branches"
    elif recipe.precision == "int16x8":
        why = "TFLite has no 16-bit form of the operators for that"
    else:
        why = "there are no matrix products whose weights could be stored in 8 bits"
    fix = "use tflite-fp32, tflite-int8 or onnx-fp32." if isinstance(stages[0], Trees) else "use onnx-fp32."
    raise UnsupportedModelError(f"The trees of the {name} compare features with thresholds: {why}.", fix=fix)


def _stages(model: Any, inputs: int, *, last: bool = True) -> list[Stage]:
    """The stages of a model.

    Args:
        model: Of scikit-learn.
        inputs: Number of its features.
        last: Whether its scores or predictions are wanted, else what it transforms rows to.
    """
    name = type(model).__name__
    if type(model).__module__.partition(".")[0] != "sklearn":
        raise refused(f"A {name} is none of scikit-learn's own models.")
    if name == "Pipeline":
        return _pipeline([step for _, step in model.steps if not _skipped(step)], inputs, last=last)
    if last and name in TREES:
        return _pipeline([model], inputs, last=last)
    composed = _COMPOSED | _VOTING if last else _COMPOSED
    if name in composed:
        return composed[name](model, inputs)
    builders = _BUILDERS if last else TRANSFORMERS
    if name not in builders:
        raise refused(
            f"A {name} {_WHY.get(name, 'is not among the models that are rebuilt')}; edgeml carries it in float32 "
            "ONNX alone."
        )
    return builders[name](model)


def _skipped(step: Any) -> bool:
    return step is None or isinstance(step, str)  # 'passthrough'


def _pipeline(steps: list[Any], inputs: int, *, last: bool) -> list[Stage]:
    if last and steps and type(steps[-1]).__name__ in TREES:
        origin = risen_through(steps[:-1], inputs)
        if origin is not None:
            (trees, *rest) = TREES[type(steps[-1]).__name__](steps[-1])
            assert isinstance(trees, Trees)
            return [trees.before(_transformed(steps[:-1]), origin, inputs), *rest]
        own = int(steps[-1].n_features_in_)
        return [*_pipeline(steps[:-1], inputs, last=False), *_pipeline(steps[-1:], own, last=True)]
    stages: list[Stage] = []
    for step in steps:
        own = int(getattr(step, "n_features_in_", inputs))
        stages += _stages(step, own, last=last and step is steps[-1])
    return stages


def _transformed(steps: list[Any]) -> Callable[[np.ndarray], np.ndarray]:
    """What the steps make of float32 rows ``[rows, features]``, however large."""

    def transform(rows: np.ndarray) -> np.ndarray:
        from sklearn import config_context

        with config_context(assume_finite=True):
            for step in steps:
                rows = step.transform(rows)
        return rows

    return transform


def _column_transformer(model: Any, inputs: int) -> list[Stage]:
    parts: list[list[Stage]] = []
    for step, columns in parts_of(model):
        own = [] if isinstance(step, str) else _stages(step, len(columns), last=False)
        parts.append([affine(np.eye(inputs)[:, columns]), *own])
    return [Branches(tuple(map(tuple, map(folded, parts))), side_by_side)]


def _feature_union(model: Any, inputs: int) -> list[Stage]:
    weights = model.transformer_weights or {}
    parts = []
    for name, step in model.transformer_list:
        if isinstance(step, str) and step == "drop":
            continue
        own = [] if _skipped(step) else _stages(step, inputs, last=False)
        parts.append([*own, _times(float(weights[name]))] if name in weights else own)
    return [Branches(tuple(map(tuple, map(folded, parts))), side_by_side)]


def _voting(model: Any, inputs: int) -> list[Stage]:
    votes = getattr(model, "voting", "soft")
    if votes != "soft":
        raise refused("A VotingClassifier of hard votes is not among the models that are rebuilt.")
    weights = np.array(model.weights or [1.0] * len(model.estimators))
    kept = [weight for (_, step), weight in zip(model.estimators, weights, strict=True) if not isinstance(step, str)]
    parts = [
        [*_stages(step, inputs), _times(float(weight / sum(kept)))]
        for step, weight in zip(model.estimators_, kept, strict=True)
    ]
    return [Branches(tuple(map(tuple, map(folded, parts))), added)]


def _times(factor: float) -> Function:
    def times(value: Any) -> Any:
        return value * np.float32(factor)

    return times


_COMPOSED: Mapping[str, Callable[[Any, int], list[Stage]]] = MappingProxyType(
    {"ColumnTransformer": _column_transformer, "FeatureUnion": _feature_union}
)
_VOTING = MappingProxyType({"VotingClassifier": _voting, "VotingRegressor": _voting})

_BUILDERS: Mapping[str, Callable[[Any], list[Stage]]] = MappingProxyType({**BAYES, **KERNELS, **LINEAR, **TRANSFORMERS})

_NEIGHBORS = "keeps its training rows, and rounding changes which are the nearest"

_WHY: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("KNeighborsClassifier", "KNeighborsRegressor"), _NEIGHBORS),
        "AdaBoostRegressor": "gives a weighted median of its models",
    }
)
