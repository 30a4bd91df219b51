"""scikit-learn models as TensorFlow functions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import msgspec
import numpy as np

from edgeml.core.conversion import ConversionJob
from edgeml.core.errors import UnsupportedModelError
from edgeml.core.recipe import Recipe
from edgeml.core.source import Source
from edgeml.core.tensors import Signature, TensorSpec

from .graph import Graph
from .sklearn_encoding import encoded
from .sklearn_graph_bayes import BAYES
from .sklearn_graph_kernels import KERNELS
from .sklearn_graph_linear import LINEAR
from .sklearn_graph_table import TRANSFORMERS, monotone
from .sklearn_graph_trees import TREES, Trees
from .sklearn_stages import Decided, Stage, folded, refused

__all__ = ["graph_of_sklearn"]


def graph_of_sklearn(source: Source, recipe: Recipe, job: ConversionJob) -> tuple[Graph, ConversionJob]:
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
    info = source.info
    ((features,), (output,)) = info.signature.inputs, info.signature.outputs
    stages = folded(_stages(source.model, features.shape[1] or 0))
    if recipe.precision != "fp32" and any(isinstance(stage, Trees) for stage in stages):
        _check_trees(stages, recipe, info.architecture)
    if recipe.needs_calibration and job.calibration is not None:
        encoding, stages, rows = encoded(stages, job.calibration[features.name])
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


def _check_trees(stages: list[Stage], recipe: Recipe, name: str) -> None:
    """Refuses trees in precisions that would move their thresholds, or that have nothing for them."""
    if recipe.id == "tflite-int8" and isinstance(stages[0], Trees):
        return
    if recipe.precision == "fp16":
        why = "in float16 they would send rows down other branches"
    elif recipe.id == "tflite-int8":
        why = "what they compare comes of several features, and rounding it sends rows down other branches"
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
        steps = [step for _, step in model.steps if step is not None and step != "passthrough"]
        return _pipeline(steps, inputs, last=last)
    if name in TREES and last:
        (trees, *rest) = TREES[name](model)
        assert isinstance(trees, Trees)
        return [trees.before(lambda rows: rows, inputs), *rest]
    builders = _BUILDERS if last else TRANSFORMERS
    if name not in builders:
        raise refused(
            f"A {name} {_WHY.get(name, 'is not among the models that are rebuilt')}; edgeml carries it in float32 "
            "ONNX alone."
        )
    return builders[name](model)


def _pipeline(steps: list[Any], inputs: int, *, last: bool) -> list[Stage]:
    before, final = steps[:-1], steps[-1:]
    if last and final and type(final[0]).__name__ in TREES and all(map(monotone, before)):
        (trees, *rest) = TREES[type(final[0]).__name__](final[0])
        assert isinstance(trees, Trees)
        return [trees.before(_transformed(before), inputs), *rest]
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


_BUILDERS: Mapping[str, Callable[[Any], list[Stage]]] = MappingProxyType({**BAYES, **KERNELS, **LINEAR, **TRANSFORMERS})

_NEIGHBORS = "keeps its training rows, and rounding changes which are the nearest"

_WHY: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("KNeighborsClassifier", "KNeighborsRegressor"), _NEIGHBORS),
        "AdaBoostRegressor": "gives a weighted median of its models",
    }
)
