"""Fitting a scikit-learn model, after a search over its parameters where one was asked for."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np

from edgeml.core.errors import InputError
from edgeml.trainers.result import Candidate, SearchResult
from edgeml.trainers.training_schema import Search

__all__ = ["FittedModel", "fit_model"]


@dataclass(frozen=True, slots=True)
class FittedModel:
    """A fitted pipeline.

    Attributes:
        model: The pipeline.
        search: What a search found; None without one.
        remarks: What scikit-learn warned of.
    """

    model: Any
    search: SearchResult | None
    remarks: tuple[str, ...]


def fit_model(model: Any, x: Any, y: np.ndarray | None, search: Search | None) -> FittedModel:
    """Fits a pipeline on one thread, so that sums come out the same every time.

    Raises:
        InputError: scikit-learn does not take the parameters or the data, with its own words.
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
                found = GridSearchCV(
                    model, search.grid, cv=search.folds, scoring=search.scoring, error_score="raise"
                ).fit(x, y)
                model, result = found.best_estimator_, _result(found)
        except (ValueError, TypeError, AttributeError, NotImplementedError, np.linalg.LinAlgError) as error:
            raise InputError(
                f"model: scikit-learn cannot fit it: {str(error).strip() or type(error).__name__}",
                fix="mend the parameters or the data that it names.",
            ) from error
    return FittedModel(model, result, tuple(dict.fromkeys(_told(warning) for warning in caught)))


def _check_grid(model: Any, search: Search) -> None:
    known = model.get_params()
    for name, values in search.grid.items():
        if name not in known:
            near = sorted(key for key in known if key.endswith(name) or key.rpartition("__")[0] == name)
            raise InputError(
                f"search.grid: there is no parameter '{name}'.",
                fix=f"the parameters are {', '.join(near or sorted(key for key in known if '__' in key))}.",
            )
        if not values:
            raise InputError(f"search.grid: '{name}' has no values to try.")


def _result(search: Any) -> SearchResult:
    found = search.cv_results_
    return SearchResult(
        best=_plain(search.best_params_),
        score=float(search.best_score_),
        candidates=tuple(
            Candidate(parameters=_plain(parameters), score=float(score), deviation=float(deviation), rank=int(rank))
            for parameters, score, deviation, rank in zip(
                found["params"],
                found["mean_test_score"],
                found["std_test_score"],
                found["rank_test_score"],
                strict=True,
            )
        ),
    )


def _plain(parameters: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value if value is None or isinstance(value, bool | int | float | str | list) else str(value)
        for key, value in parameters.items()
    }


def _told(warning: warnings.WarningMessage) -> str:
    """The first sentence of a warning: scikit-learn's go on about where to read more."""
    return " ".join(str(warning.message).split()).partition(". ")[0].rstrip(".")
