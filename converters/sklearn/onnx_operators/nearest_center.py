"""Models that look for the nearest of a few centers as ONNX, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgeml.core.errors import UnsupportedModelError

from ._builder import BOOL, Container, Nodes, Operator, Scope

__all__ = ["center_converters"]


def center_converters() -> dict[type, Any]:
    """The conversion functions that skl2onnx is to use, by class of model."""
    from sklearn.cluster import AffinityPropagation, BisectingKMeans, MeanShift
    from sklearn.neighbors import NearestCentroid

    return {
        AffinityPropagation: _nearest_center,
        BisectingKMeans: _bisecting,
        MeanShift: _nearest_center,
        NearestCentroid: _nearest_centroid,
    }


def _nearest_center(scope: Scope, operator: Operator, container: Container) -> None:
    model, nodes = operator.raw_operator, Nodes(scope, container)
    distances = nodes.exact_square_distances(nodes.double(operator.inputs[0].full_name), model.cluster_centers_)
    nodes("ArgMin", distances, axis=1, keepdims=0, output=operator.outputs[0].full_name)
    nodes.single(distances, output=operator.outputs[1].full_name)


def _bisecting(scope: Scope, operator: Operator, container: Container) -> None:
    """Goes down the tree of centers, on all ways at once."""
    model, nodes = operator.raw_operator, Nodes(scope, container)
    rows = nodes.double(operator.inputs[0].full_name)
    shift = getattr(model, "_X_mean", 0.0)

    def label(node: Any) -> str:
        if node.left is None:
            return nodes.constant(np.array(node.label, dtype=np.int64))
        pair = np.stack([node.left.center, node.right.center]) + shift
        right = nodes("ArgMin", nodes.exact_square_distances(rows, pair), axis=1, keepdims=0)
        return nodes("Where", nodes("Cast", right, to=BOOL), label(node.right), label(node.left))

    nodes("Identity", label(model._bisecting_tree), output=operator.outputs[0].full_name)  # noqa: SLF001
    distances = nodes.exact_square_distances(rows, model.cluster_centers_)
    nodes.single(distances, output=operator.outputs[1].full_name)


def _nearest_centroid(scope: Scope, operator: Operator, container: Container) -> None:
    """Its labels ignore the deviations within classes where the classes are equally likely; its scores never do."""
    model, nodes = operator.raw_operator, Nodes(scope, container)
    if model.metric != "euclidean":
        raise UnsupportedModelError(
            f"A NearestCentroid with the metric {model.metric!r} has no route.", fix="train it with metric='euclidean'."
        )
    rows = nodes.double(operator.inputs[0].full_name)
    deviations = np.asarray(model.within_class_std_dev_)
    scale = np.where(deviations == 0, 1.0, deviations)
    distances = nodes.exact_square_distances(nodes("Div", rows, nodes.number(scale)), model.centroids_ / scale)
    decisions = nodes("Sub", nodes.number(2 * np.log(model.class_prior_)), distances)
    label, scores = (output.full_name for output in operator.outputs)
    nodes.single(nodes("Softmax", decisions, axis=1), output=scores)
    if np.isclose(model.class_prior_, 1 / len(model.classes_)).all():
        plain = nodes.exact_square_distances(rows, model.centroids_)
        nodes.label(nodes("Neg", plain), model.classes_, output=label)
    else:
        nodes.label(decisions, model.classes_, output=label)
