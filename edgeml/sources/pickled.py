"""Pickles and joblib files, which run code as they are loaded: only for callers who trust the author."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgeml.core.errors import InputError
from edgeml.core.system.files import open_file
from edgeml.sources.audit_findings import refuse_untrusted

__all__ = ["load_pickle"]


def load_pickle(path: Path, *, trust: bool) -> Any:
    """Return the object in a pickle or joblib file.

    Raises:
        InputError: The file does not exist or cannot be loaded.
        UnsupportedModelError: The file is not trusted.
    """
    with open_file(path):
        pass
    refuse_untrusted(path.name, ["it is a pickle, which runs any code that it holds"], trust=trust)
    import joblib

    try:
        return joblib.load(path)  # which reads plain pickles too
    except Exception as error:  # a pickle raises whatever its code raises
        raise InputError(
            f"{path.name} cannot be loaded: {type(error).__name__}: {error}.",
            fix="use the versions of Python and scikit-learn that wrote it, and install the modules that it needs.",
        ) from error
