"""Fit a scikit-learn model, optionally after a search over its parameters."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeml.core.errors import InputError
from edgeml.trainers.result import Candidate, SearchResult
from edgeml.trainers.sklearn_parameters import check_value
from edgeml.trainers.training_schema import Search

__all__ = ["FittedModel", "fit_model"]


@dataclass(frozen=True, slots=True)
class FittedModel:
    """A fitted pipeline.

    Attributes:
        model: The pipeline.
        search: Result of the search; None without a search.
        remarks: Warnings of scikit-learn.
    """

    model: Any
    search: SearchResult | None
    remarks: tuple[str, ...]


def fit_model(model: Any, x: Any, y: np.ndarray | None, search: Search | None) -> FittedModel:
    """Fit a pipeline on a single thread, so that sums are reproducible.

    Raises:
        InputError: scikit-learn refuses the parameters or the data; the message is scikit-learn's.
    """
    from sklearn.model_selection import GridSearchCV
    from threadpoolctl import threadpool_limits

    result = None
    with threadpool_limits(1), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if search is None:
                model = model.fit(x, y)
            else:
                _check_grid(model, search)
                grid_search = GridSearchCV(
                    model, search.grid, cv=search.folds, scoring=search.scoring, error_score="raise"
                ).fit(x, y)
                model, result = grid_search.best_estimator_, _search_result(grid_search)
        except (ValueError, TypeError, AttributeError, NotImplementedError, np.linalg.LinAlgError) as error:
            raise InputError(
                f"model: scikit-learn cannot fit it: {str(error).strip() or type(error).__name__}",
                fix="correct the parameters or the data that the message names.",
            ) from error
    return FittedModel(model, result, tuple(dict.fromkeys(_first_sentence(warning) for warning in caught)))


def _check_grid(model: Any, search: Search) -> None:
    known = model.get_params()
    for name, values in search.grid.items():
        if name not in known:
            near = sorted(key for key in known if key.endswith(name) or key.rpartition("__")[0] == name)
            raise InputError(
                f"search.grid: the model does not have a parameter '{name}'.",
                fix=f"the parameters are {', '.join(near or sorted(key for key in known if '__' in key))}.",
            )
        if not values:
            raise InputError(f"search.grid: the list of values of '{name}' is empty.")
    check_value("grid", search.grid, "search.grid")


def _search_result(search: Any) -> SearchResult:
    results = search.cv_results_
    return SearchResult(
        best=_plain(search.best_params_),
        score=float(search.best_score_),
        candidates=tuple(
            Candidate(parameters=_plain(parameters), score=float(score), deviation=float(deviation), rank=int(rank))
            for parameters, score, deviation, rank in zip(
                results["params"],
                results["mean_test_score"],
                results["std_test_score"],
                results["rank_test_score"],
                strict=True,
            )
        ),
    )


def _plain(parameters: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value if value is None or isinstance(value, bool | int | float | str | list) else str(value)
        for key, value in parameters.items()
    }


def _first_sentence(warning: warnings.WarningMessage) -> str:
    """Return the first sentence of a warning; the rest of scikit-learn's warnings is references."""
    return " ".join(str(warning.message).split()).partition(". ")[0].rstrip(".")
