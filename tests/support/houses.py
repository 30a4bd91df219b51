"""A table of house prices with numbers that float32 does not hold, text and gaps; and pipelines that take it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

__all__ = ["NUMBERS", "houses", "pipeline"]

NUMBERS = ["area", "rooms", "age"]
_PRICES = {"north": 1800.0, "south": 2600.0, "Mitte": 4100.0, "Köln": 3300.0}


def houses(count: int, seed: int, *, gaps: float = 0.1) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows, and their prices; a share of all fields is empty."""
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "id": [f"house {number}" for number in range(count)],
            "area": rng.normal(95, 30, count).clip(20).round(1),
            "rooms": rng.integers(1, 7, count).astype(float),
            "age": rng.integers(0, 90, count).astype(float),
            "district": rng.choice(list(_PRICES), count),
        }
    )
    prices = frame["area"] * frame["district"].map(_PRICES) + 9000 * frame["rooms"] - 700 * frame["age"]
    noise = rng.normal(0, 9000, count)
    for column in (*NUMBERS, "district"):
        frame.loc[rng.random(count) < gaps, column] = np.nan
    return frame, (prices + noise).round(-2).to_numpy()


def pipeline(model: Any, *, numbers: Any = None, text: Any = None) -> Any:
    """A ColumnTransformer of a step for numbers and one for text, and a model behind it."""
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    numbers = numbers or make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    text = text or make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
    return make_pipeline(ColumnTransformer([("numbers", numbers, NUMBERS), ("text", text, ["district"])]), model)
