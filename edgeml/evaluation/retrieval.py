"""Retrieval by embeddings: recall at k, and similarity to the source's embeddings."""

from __future__ import annotations

import numpy as np

__all__ = ["MAX_RETRIEVED", "mean_cosine", "retrieval_hits"]

MAX_RETRIEVED = 20_000
"""Largest number of samples: each is compared with each."""
_CHUNK = 512  # rows of the similarity matrix at a time


def mean_cosine(first: np.ndarray, second: np.ndarray) -> float:
    """Return the mean cosine similarity of embeddings ``[samples, ...]`` of the same samples; 1 where both are zero."""
    units = _unit(first), _unit(second)
    both_zero = ~(units[0].any(axis=1) | units[1].any(axis=1))
    return float(np.where(both_zero, 1.0, (units[0] * units[1]).sum(axis=1)).mean())


def retrieval_hits(identities: np.ndarray, embeddings: np.ndarray, k: int) -> np.ndarray:
    """Return for each sample whether one of the k nearest others, by cosine, has its identity.

    Args:
        identities: Numbers ``[samples]``; samples whose identity occurs once are left out as queries.
        embeddings: Embeddings ``[samples, ...]``.
        k: Number of neighbors.

    Returns:
        Bool ``[queries]``.
    """
    units = _unit(embeddings)
    _, inverse, counts = np.unique(identities, return_inverse=True, return_counts=True)
    queries = np.flatnonzero(counts[inverse] > 1)
    hits = []
    for begin in range(0, len(queries), _CHUNK):
        rows = queries[begin : begin + _CHUNK]
        similarity = units[rows] @ units.T
        similarity[np.arange(len(rows)), rows] = -np.inf
        nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
        hits.append((inverse[nearest] == inverse[rows, None]).any(axis=1))
    return np.concatenate(hits) if hits else np.zeros(0, bool)


def _unit(embeddings: np.ndarray) -> np.ndarray:
    flat = embeddings.reshape(len(embeddings), -1).astype(np.float64)
    lengths = np.linalg.norm(flat, axis=1, keepdims=True)
    return flat / np.where(lengths > 0, lengths, 1.0)
