"""Text vectorizers as ONNX: words in any script, repeated words, and pairs over dropped letters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from tests.support.sklearn_columns import assert_near, columns, opened

TEXTS = ["très bon café", "un café et un thé", "größer als дом", "bon prix, bon thé", "x bon a prix"]
NEW = [*TEXTS, "", "bon bon bon", "cafés caf", "bon x prix", "café_2 thé-thé", "дом дома 日本語", "BON É"]


def frame(texts: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"text": texts, "size": np.linspace(0.0, 1.0, len(texts))})


@pytest.mark.parametrize(
    "words",
    [
        CountVectorizer(lowercase=False),
        CountVectorizer(lowercase=False, ngram_range=(1, 2)),
        CountVectorizer(lowercase=False, token_pattern=r"(?u)\b\w+\b", ngram_range=(1, 2), binary=True),
        TfidfVectorizer(lowercase=False),
        TfidfVectorizer(lowercase=False, sublinear_tf=True),
        TfidfVectorizer(lowercase=False, sublinear_tf=True, norm="l1", use_idf=False),
        TfidfVectorizer(lowercase=False, norm=None, ngram_range=(1, 2)),
    ],
    ids=str,
)
def test_words_are_counted_as_in_scikit_learn(words: Any, tmp_path: Path) -> None:
    parts = ColumnTransformer([("words", words, "text"), ("rest", "passthrough", ["size"])])
    table = frame(TEXTS)
    model = make_pipeline(parts, Ridge(alpha=0.1)).fit(table, np.arange(5.0))
    rows = frame([text for text in NEW if text])
    assert_near(opened(model, tmp_path).predict(columns(rows, ["text", "size"])), model.predict(rows))
