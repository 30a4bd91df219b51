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
from .prepare.input_adapter import select_input_columns, with_float32_inputs
from .tensorflow_stages._stage import (
    Classify,
    Function,
    Impute,
    Parallel,
    Stage,
    affine,
    concatenate,
    fold_affine,
    sum_outputs,
    unsupported,
)
from .tensorflow_stages.ensembles import TREES
from .tensorflow_stages.input_encoding import encode_inputs
from .tensorflow_stages.linear_models import LINEAR
from .tensorflow_stages.naive_bayes import BAYES
from .tensorflow_stages.support_vectors import KERNELS
from .tensorflow_stages.transformers import TRANSFORMERS, column_transformers, monotone_column_origins
from .tensorflow_stages.trees import Trees

__all__ = ["sklearn_to_graph"]


def sklearn_to_graph(source: TableSource, recipe: Recipe, job: ConversionJob) -> tuple[Graph, ConversionJob]:
    """Rebuild a scikit-learn model as a TensorFlow function.

    Consecutive affine steps are merged into one, in float64. Scalers before trees are merged into their thresholds. For
    recipes that quantize activations, the features are encoded outside of the graph.

    Args:
        source: The model.
        recipe: The recipe that the graph is converted by.
        job: The conversion job; its calibration samples determine the encoding.

    Returns:
        The graph, and the job with the encoded calibration samples.

    Raises:
        UnsupportedModelError: A part of the model is not supported, or the precision would change its predictions too
            much.
    """
    if any(spec.dtype == "string" for spec in source.info.signature.inputs):
        raise unsupported("String inputs are supported in float32 ONNX only.")
    info = source.info
    ((features,), (output,)) = with_float32_inputs(info.signature).inputs, info.signature.outputs
    stages = fold_affine(_stages(select_input_columns(copy.deepcopy(source.model), source), features.shape[1] or 0))
    if all(isinstance(stage, Impute) for stage in stages):
        raise unsupported(f"{info.architecture}: the model returns its input unchanged.")
    if recipe.precision != "fp32" and _contains_trees(stages):
        _check_trees(stages, recipe, info.architecture)
    if recipe.needs_calibration and job.calibration is not None:
        encoding, stages, rows = encode_inputs(stages, np.asarray(job.calibration[features.name], dtype=np.float32))
        job = replace(job, calibration={features.name: rows})
        features = msgspec.structs.replace(features, encoding=encoding)
    classify = stages[-1] if isinstance(stages[-1], Classify) else None
    outputs = [output]
    if classify is not None:
        outputs.append(TensorSpec("position", (None,), "int32", meaning="position"))

    def function(features: Any) -> dict[str, Any]:
        import tensorflow as tf

        value = features
        for stage in stages[:-1] if classify else stages:
            assert not isinstance(stage, Classify)
            value = stage(value)
        position = {outputs[-1].name: classify.position(value)} if classify else {}
        value = classify.scores(value) if classify else value
        return {output.name: tf.squeeze(value, axis=1) if len(output.shape) == 1 else value, **position}

    return Graph(function, Signature((features,), tuple(outputs))), job


def _contains_trees(stages: Sequence[Stage]) -> bool:
    return any(
        isinstance(stage, Trees) or (isinstance(stage, Parallel) and any(map(_contains_trees, stage.parts)))
        for stage in stages
    )


def _check_trees(stages: list[Stage], recipe: Recipe, name: str) -> None:
    """Reject trees in precisions that would move their thresholds or have no effect on them."""
    if recipe.id == "tflite-int8" and isinstance(stages[0], Trees):
        return
    if recipe.precision == "fp16":
        reason = "float16 would change the branches that rows take"
    elif recipe.id == "tflite-int8":
        reason = "rounding the steps before or next to them would change the branches that rows take"
    elif recipe.precision == "int16x8":
        reason = "TFLite does not have 16-bit versions of the operators for that"
    else:
        reason = "they have no matrix products whose weights could be stored in 8 bits"
    fix = "use tflite-fp32, tflite-int8 or onnx-fp32." if isinstance(stages[0], Trees) else "use onnx-fp32."
    raise UnsupportedModelError(f"The trees of the {name} compare features with thresholds: {reason}.", fix=fix)


def _stages(model: Any, inputs: int, *, last: bool = True) -> list[Stage]:
    """Return the stages of a model.

    Args:
        model: A fitted scikit-learn estimator.
        inputs: Number of its features.
        last: Return its scores or predictions instead of its transformed rows.
    """
    name = type(model).__name__
    if type(model).__module__.partition(".")[0] != "sklearn":
        raise unsupported(f"{name}: only scikit-learn's own estimators are supported.")
    if name == "Pipeline":
        return _pipeline([step for _, step in model.steps if not _is_passthrough(step)], inputs, last=last)
    if last and name in TREES:
        return _pipeline([model], inputs, last=last)
    composed = _COMPOSED | _VOTING if last else _COMPOSED
    if name in composed:
        return composed[name](model, inputs)
    builders = _BUILDERS if last else TRANSFORMERS
    if name not in builders:
        raise unsupported(f"{name} is supported in float32 ONNX only{_REASONS.get(name, '')}.")
    return builders[name](model)


def _is_passthrough(step: Any) -> bool:
    return step is None or isinstance(step, str)  # 'passthrough'


def _pipeline(steps: list[Any], inputs: int, *, last: bool) -> list[Stage]:
    if last and steps and type(steps[-1]).__name__ in TREES:
        origin = monotone_column_origins(steps[:-1], inputs)
        if origin is not None:
            (trees, *rest) = TREES[type(steps[-1]).__name__](steps[-1])
            assert isinstance(trees, Trees)
            return [trees.before_transform(_compose_transforms(steps[:-1]), origin, inputs), *rest]
        width = int(steps[-1].n_features_in_)
        return [*_pipeline(steps[:-1], inputs, last=False), *_pipeline(steps[-1:], width, last=True)]
    stages: list[Stage] = []
    for step in steps:
        width = int(getattr(step, "n_features_in_", inputs))
        stages += _stages(step, width, last=last and step is steps[-1])
    return stages


def _compose_transforms(steps: list[Any]) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function that applies the steps to float32 rows ``[rows, features]`` of any magnitude."""

    def transform(rows: np.ndarray) -> np.ndarray:
        from sklearn import config_context

        with config_context(assume_finite=True):
            for step in steps:
                rows = step.transform(rows)
        return rows

    return transform


def _column_transformer(model: Any, inputs: int) -> list[Stage]:
    parts: list[list[Stage]] = []
    for step, columns in column_transformers(model):
        step_stages = [] if isinstance(step, str) else _stages(step, len(columns), last=False)
        parts.append([affine(np.eye(inputs)[:, columns]), *step_stages])
    return [Parallel(tuple(map(tuple, map(fold_affine, parts))), concatenate)]


def _feature_union(model: Any, inputs: int) -> list[Stage]:
    weights = model.transformer_weights or {}
    parts = []
    for name, step in model.transformer_list:
        if isinstance(step, str) and step == "drop":
            continue
        step_stages = [] if _is_passthrough(step) else _stages(step, inputs, last=False)
        parts.append([*step_stages, _scale_by(float(weights[name]))] if name in weights else step_stages)
    return [Parallel(tuple(map(tuple, map(fold_affine, parts))), concatenate)]


def _voting(model: Any, inputs: int) -> list[Stage]:
    voting = getattr(model, "voting", "soft")
    if voting != "soft":
        raise unsupported("VotingClassifier: voting='hard' is not supported.")
    weights = np.array(model.weights or [1.0] * len(model.estimators))
    kept = [weight for (_, step), weight in zip(model.estimators, weights, strict=True) if not isinstance(step, str)]
    parts = [
        [*_stages(step, inputs), _scale_by(float(weight / sum(kept)))]
        for step, weight in zip(model.estimators_, kept, strict=True)
    ]
    return [Parallel(tuple(map(tuple, map(fold_affine, parts))), sum_outputs)]


def _scale_by(factor: float) -> Function:
    def scale(value: Any) -> Any:
        return value * np.float32(factor)

    return scale


_COMPOSED: Mapping[str, Callable[[Any, int], list[Stage]]] = MappingProxyType(
    {"ColumnTransformer": _column_transformer, "FeatureUnion": _feature_union}
)
_VOTING = MappingProxyType({"VotingClassifier": _voting, "VotingRegressor": _voting})

_BUILDERS: Mapping[str, Callable[[Any], list[Stage]]] = MappingProxyType({**BAYES, **KERNELS, **LINEAR, **TRANSFORMERS})

_NEIGHBORS = "; rounding its training rows would change which ones are nearest"

_REASONS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("KNeighborsClassifier", "KNeighborsRegressor"), _NEIGHBORS),
        "AdaBoostRegressor": ", as it predicts a weighted median of its models",
    }
)
