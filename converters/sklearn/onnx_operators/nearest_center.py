"""Nearest-center models as ONNX, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError

from ._builder import BOOL, Container, GraphBuilder, Operator, Scope

__all__ = ["center_converters"]


def center_converters() -> dict[type, Any]:
    """Return the skl2onnx conversion functions by estimator class."""
    from sklearn.cluster import AffinityPropagation, BisectingKMeans, MeanShift
    from sklearn.neighbors import NearestCentroid

    return {
        AffinityPropagation: _nearest_center,
        BisectingKMeans: _bisecting,
        MeanShift: _nearest_center,
        NearestCentroid: _nearest_centroid,
    }


def _nearest_center(scope: Scope, operator: Operator, container: Container) -> None:
    model, graph = operator.raw_operator, GraphBuilder(scope, container)
    distances = graph.exact_square_distances(graph.double(operator.inputs[0].full_name), model.cluster_centers_)
    graph("ArgMin", distances, axis=1, keepdims=0, output=operator.outputs[0].full_name)
    graph.single(distances, output=operator.outputs[1].full_name)


def _bisecting(scope: Scope, operator: Operator, container: Container) -> None:
    """Descend the tree of centers, on all branches at once."""
    model, graph = operator.raw_operator, GraphBuilder(scope, container)
    rows = graph.double(operator.inputs[0].full_name)
    shift = getattr(model, "_X_mean", 0.0)

    def label(node: Any) -> str:
        if node.left is None:
            return graph.constant(np.array(node.label, dtype=np.int64))
        pair = np.stack([node.left.center, node.right.center]) + shift
        right = graph("ArgMin", graph.exact_square_distances(rows, pair), axis=1, keepdims=0)
        return graph("Where", graph("Cast", right, to=BOOL), label(node.right), label(node.left))

    graph("Identity", label(model._bisecting_tree), output=operator.outputs[0].full_name)  # noqa: SLF001
    distances = graph.exact_square_distances(rows, model.cluster_centers_)
    graph.single(distances, output=operator.outputs[1].full_name)


def _nearest_centroid(scope: Scope, operator: Operator, container: Container) -> None:
    """Convert labels and scores separately: with equal priors, scikit-learn's labels ignore the deviations."""
    model, graph = operator.raw_operator, GraphBuilder(scope, container)
    if model.metric != "euclidean":
        raise UnsupportedModelError(
            f"NearestCentroid: the metric {model.metric!r} is not supported in ONNX.",
            fix="train it with metric='euclidean'.",
        )
    rows = graph.double(operator.inputs[0].full_name)
    deviations = np.asarray(model.within_class_std_dev_)
    scale = np.where(deviations == 0, 1.0, deviations)
    distances = graph.exact_square_distances(graph("Div", rows, graph.number(scale)), model.centroids_ / scale)
    decisions = graph("Sub", graph.number(2 * np.log(model.class_prior_)), distances)
    label, scores = (output.full_name for output in operator.outputs)
    graph.single(graph("Softmax", decisions, axis=1), output=scores)
    if np.isclose(model.class_prior_, 1 / len(model.classes_)).all():
        unscaled = graph.exact_square_distances(rows, model.centroids_)
        graph.label(graph("Neg", unscaled), model.classes_, output=label)
    else:
        graph.label(decisions, model.classes_, output=label)
