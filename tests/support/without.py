"""Python as it is where some modules are not installed: they cannot be found, by a process or its children."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import edgeml

__all__ = ["VARIABLE", "forget", "without"]

VARIABLE = "EDGEML_TEST_WITHOUT"
"""Name of the variable that tells a forked process which modules are to be missing."""

ROOT = Path(edgeml.__file__).parent.parent

# Python runs it at every start. Modules are missing as they are where a wheel was never installed: not found.
SITE = """
import sys
from importlib.machinery import PathFinder

class Without(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {missing!r} else super().find_spec(name, path, target)

sys.meta_path[:] = [Without if finder is PathFinder else finder for finder in sys.meta_path]
"""


def without(folder: Path, missing: Sequence[str]) -> dict[str, str]:
    """The variables that take modules away.

    Args:
        folder: Where to put the file that does it.
        missing: The modules, by their first name.
    """
    site = folder / "sitecustomize.py"
    site.write_text(SITE.format(missing=list(missing)), encoding="utf-8")
    return {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]), VARIABLE: " ".join(missing)}


def forget(names: Sequence[str]) -> None:
    """Takes modules away from a process that has them loaded already."""
    for loaded in list(sys.modules):
        if loaded.partition(".")[0] in names:
            del sys.modules[loaded]
    exec(SITE.format(missing=list(names)), {})
