"""Pickles and joblib files: code that makes an object. Loaded only where the caller trusts whoever wrote it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgeml.core.errors import InputError
from edgeml.core.system.files import read_errors
from edgeml.sources.findings import refuse_untrusted

__all__ = ["unpickled"]


def unpickled(path: Path, *, trust: bool) -> Any:
    """The object that a file makes.

    Raises:
        InputError: There is no such file, or it makes none.
        UnsupportedModelError: It is not trusted.
    """
    with read_errors(path):
        path.stat()
    refuse_untrusted(path.name, ["it is a pickle, which runs whatever code it holds"], trust=trust)
    import joblib

    try:
        return joblib.load(path)  # which reads plain pickles too
    except Exception as error:  # a pickle raises whatever its code raises
        raise InputError(
            f"{path.name} cannot be loaded: {type(error).__name__}: {error}.",
            fix="use the versions of Python and scikit-learn that wrote it, and have its modules installed.",
        ) from error
