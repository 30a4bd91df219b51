"""Kinds of values that a training file may give to parameters of scikit-learn's estimators.

Numbers, truth values and estimators are harmless. A text is one of the options that scikit-learn lists for the
parameter and checks itself, or is used as text; where scikit-learn would take it for a folder of pickles, a file to
read or an expression to evaluate, it is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from edgeml.core.errors import InputError

__all__ = ["all_estimators", "check_value"]

# Parameters that take any text, and use it as no more than that: scikit-learn 1.9's code was read for each.
_TEXT = frozenset(
    {
        "constant", "dtype", "encoding", "fill_value", "importance_getter", "metric", "missing_values", "outlier_label",
        "pos_label", "refit", "scoring", "separator", "threshold", "token_pattern",
    }
)  # fmt: skip
# Options by which a vectorizer takes its texts for names of files.
_READS_FILES = {"input": frozenset({"file", "filename"})}


def check_value(name: str, value: Any, where: str) -> None:
    """Refuse a value that lets scikit-learn run code or read files.

    Args:
        name: Name of the parameter, alone or after the names of steps as in ``vectorizer__input``.
        value: The value, as TOML has it. The values in a table count as those of parameters, alone or in lists, as in
            the grid of a search.
        where: Place of the value, for messages.

    Raises:
        InputError: The value is, or contains, such a text.
    """
    parameter = name.rpartition("__")[2]
    if isinstance(value, str):
        if parameter in _unchecked() or value in _READS_FILES.get(parameter, ()):
            raise InputError(
                f"{where}: got {value[:40]!r}, expected no text for '{parameter}' that may name files or contain code.",
                fix="remove it, and scikit-learn uses its default.",
            )
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, Mapping):
                check_value(name, item, where)
    elif isinstance(value, Mapping):
        for key, candidates in value.items():
            for item in candidates if isinstance(candidates, list) else [candidates]:
                check_value(key, item, f"{where}.{key}")


@cache
def all_estimators() -> dict[str, type]:
    """Return scikit-learn's estimators by name."""
    from sklearn import utils
    from sklearn.pipeline import FeatureUnion, Pipeline

    return {**dict(utils.all_estimators()), "Pipeline": Pipeline, "FeatureUnion": FeatureUnion}


@cache
def _unchecked() -> frozenset[str]:
    """Return the parameters that take a text of any kind, or whose values scikit-learn does not check."""
    names = set()
    for kind in all_estimators().values():
        constraints = getattr(kind, "_parameter_constraints", {})
        for name in kind._get_param_names():  # type: ignore[attr-defined]  # noqa: SLF001  # also of abstract classes
            allowed = constraints.get(name, "no_validation")
            if allowed == "no_validation" or str in allowed:
                names.add(name)
    return frozenset(names - _TEXT)
