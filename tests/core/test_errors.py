from __future__ import annotations

import inspect
import pickle
import re

import pytest

from edgeml.core import errors
from edgeml.core.errors import EdgemlError, MissingDependencyError
from tests.support.hints import install_hint


def drawn_parents() -> dict[str, str]:
    """Each error's parent, as the tree in the module's docstring draws it."""
    parents: dict[str, str] = {}
    path: list[str] = []
    for line in inspect.getdoc(errors).splitlines():  # type: ignore[union-attr]
        if match := re.match(r"^( {4}(?:[│├└─ ]{4})*)(\w+Error)\b", line):
            depth = len(match[1]) // 4 - 1
            path[depth:] = [match[2]]
            if depth:
                parents[match[2]] = path[depth - 1]
    return parents


def classes() -> dict[str, type]:
    return {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and kind.__module__ == errors.__name__
    }


def test_the_docstring_draws_the_classes_that_there_are() -> None:
    parents = {name: kind.__mro__[1].__name__ for name, kind in classes().items() if kind is not EdgemlError}
    assert drawn_parents() == parents
    assert len(parents) == 10


def test_all_are_public_and_documented() -> None:
    assert sorted(classes()) == sorted(errors.__all__)
    assert all(kind.__doc__ for kind in classes().values())


def test_the_tree_is_the_designed_one() -> None:
    assert EdgemlError.__mro__[1] is Exception
    assert errors.VerificationError.__mro__[1] is errors.PackageError


@pytest.mark.parametrize("name", [name for name in errors.__all__ if name != "MissingDependencyError"])
def test_the_fix_is_part_of_the_text(name: str) -> None:
    error = getattr(errors, name)("x.npy has no rows.", fix="give some.", log="noise")
    assert str(error) == "x.npy has no rows. Fix: give some."
    assert (error.message, error.fix, error.log) == ("x.npy has no rows.", "give some.", "noise")
    assert str(getattr(errors, name)("x.npy has no rows.")) == "x.npy has no rows."


def test_a_missing_extra_names_the_command() -> None:
    error = MissingDependencyError("Running a .tflite artifact", "litert")
    assert str(error) == (
        f"Running a .tflite artifact needs the extra 'litert', which is not installed. Fix: {install_hint('litert')}"
    )
    copied = pickle.loads(pickle.dumps(error))
    assert (str(copied), copied.what, copied.extra) == (str(error), error.what, error.extra)
