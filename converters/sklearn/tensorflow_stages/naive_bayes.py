"""Naive Bayes classifiers of scikit-learn as sums over features."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from ._stage import Function, Stage, affine, softmax
from .transformers import greater_than

__all__ = ["BAYES"]


def _gaussian(model: Any) -> list[Stage]:
    priors = np.log(model.class_prior_) - 0.5 * np.log(2.0 * np.pi * model.var_).sum(axis=1)
    return [_distances(model.theta_, np.sqrt(model.var_)), affine(np.full(len(priors), -0.5), priors), softmax]


def _distances(means: np.ndarray, deviations: np.ndarray) -> Function:
    """Return a function for squared distances in standard deviations ``[batch, classes]``, up to a common term.

    A feature that was constant in training can be 10^10 deviations away from all classes, which would hide the others.
    """

    def distances(value: Any) -> Any:
        import tensorflow as tf

        offsets = value[:, None, :] - tf.constant(means[None].astype(np.float32))
        scaled = offsets * tf.constant((1.0 / deviations)[None].astype(np.float32))
        squares = scaled * scaled
        return tf.reduce_sum(squares - tf.reduce_min(squares, axis=1, keepdims=True), axis=2)

    return distances


def _bernoulli(model: Any) -> list[Stage]:
    absent = np.log1p(-np.exp(model.feature_log_prob_))
    counts = affine((model.feature_log_prob_ - absent).T, absent.sum(axis=1) + model.class_log_prior_)
    return [*([] if model.binarize is None else [greater_than(model.binarize)]), counts, softmax]


def _multinomial(model: Any) -> list[Stage]:
    return [affine(model.feature_log_prob_.T, model.class_log_prior_), softmax]


def _complement(model: Any) -> list[Stage]:
    prior = model.class_log_prior_ if len(model.classes_) == 1 else 0.0
    return [affine(model.feature_log_prob_.T, prior), softmax]


BAYES: Mapping[str, Callable[[Any], list[Stage]]] = MappingProxyType(
    {
        "BernoulliNB": _bernoulli,
        "ComplementNB": _complement,
        "GaussianNB": _gaussian,
        "MultinomialNB": _multinomial,
    }
)
