"""Texts that show whether words and characters are counted as a scikit-learn vectorizer counts them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = ["probe_texts"]

_WORDS = 12  # of the vocabulary, for each way to write them
_PAIRS, _STOP_WORDS = 4, 3
_ACCENTS = str.maketrans("aceinouAEO", "áçéíñóüÁÉÖ")
_NONE_KNOWN = ("qqxzz", "?! ...", "12 345", "\u00fc\u00df\u00e9\u0142\u00f1", "日本語 テキスト", "l\u2019\u00e9t\u00e9")


def probe_texts(vectorizer: Any, rng: np.random.Generator) -> list[str]:
    """Return texts of a vectorizer's vocabulary, and some without any of it.

    Args:
        vectorizer: A fitted CountVectorizer or TfidfVectorizer, or a HashingVectorizer, which has no vocabulary.
        rng: Generator that chooses among the words.
    """
    terms = sorted(getattr(vectorizer, "vocabulary_", None) or _NONE_KNOWN)
    words = [term for term in terms if " " not in term.strip()]
    several = [term for term in terms if " " in term.strip()]
    stop_words = sorted(vectorizer.get_stop_words() or ())
    texts = dict.fromkeys(_NONE_KNOWN)
    for word in _chosen([word for word in words if not word.isascii()], rng):
        texts.update(dict.fromkeys((word, f"{word} {word}", word.upper(), f"{_one(words, rng)} {word}")))
    for word in _chosen(words, rng):
        texts.update(dict.fromkeys(_spellings(word, _one(words, rng))))
    for term in _chosen(several, rng):
        texts.update(dict.fromkeys(_gaps(term, _chosen(stop_words, rng, _STOP_WORDS))))
    for word in _chosen(words, rng, _PAIRS):
        texts.update(dict.fromkeys(_gaps(f"{word} {_one(words, rng)}", _chosen(stop_words, rng, _STOP_WORDS))))
    return list(texts)


def _spellings(word: str, other: str) -> Iterator[str]:
    """Yield texts with a word of the vocabulary, and another."""
    yield word
    yield f"{word} {word}"
    yield f"{other} {word} {word} {word} {other}"
    yield word.upper()
    yield word.title()
    yield f"{word}, {other}! ({word}s)"
    yield f"{word}-{other}/{word}_{other}"
    yield f"{word}'s {other}2 3{word}"
    yield f"  {word}\t{other}\n {word}"
    yield f"{word}é {other}"  # a prefix of another word
    yield word.translate(_ACCENTS)


def _gaps(term: str, stop_words: list[str]) -> Iterator[str]:
    """Yield a term of several words, and with words between them that vectorizers drop."""
    yield term
    yield f"{term} {term}"
    for dropped in ("a", *stop_words):
        yield term.replace(" ", f" {dropped} ")
        yield f"{dropped} {term}"


def _chosen(items: list[str], rng: np.random.Generator, count: int = _WORDS) -> list[str]:
    return [items[i] for i in sorted(rng.permutation(len(items))[:count].tolist())]


def _one(items: list[str], rng: np.random.Generator) -> str:
    return items[int(rng.integers(len(items)))] if items else "word"
