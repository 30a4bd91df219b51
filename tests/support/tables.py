"""scikit-learn's own tables, split into rows to train on and rows held out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from sklearn import datasets
from sklearn.model_selection import train_test_split

__all__ = ["CLASSIFICATION", "Table", "table"]

CLASSIFICATION = ("digits", "wine", "breast_cancer")


@dataclass(frozen=True, slots=True)
class Table:
    """float32 rows and int64 labels, or float64 targets."""

    x: np.ndarray
    y: np.ndarray
    held_out: np.ndarray

    def text(self) -> np.ndarray:
        """The labels as words, in another order than the numbers."""
        words = np.array(["ten", "nine", "eight", "seven", "six", "five", "four", "three", "two", "one"])
        return words[self.y]


@cache
def table(name: str) -> Table:
    """`digits`, `wine`, `breast_cancer` or `diabetes`."""
    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    x, held_out, y, _ = train_test_split(x.astype(np.float32), y, test_size=0.3, random_state=0)
    for array in (x, y, held_out):
        array.setflags(write=False)  # all tests share them
    return Table(x, y, held_out)
