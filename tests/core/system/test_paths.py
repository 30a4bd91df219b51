"""Paths of callers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgeml.core.errors import InputError
from edgeml.core.system.paths import checked_path, is_path


class Entry:
    """A path-like object that is not a Path, as `os.DirEntry`."""

    def __fspath__(self) -> str:
        return "a/b"


@pytest.mark.parametrize("path", ["a/b", Path("a/b"), Entry()])
def test_paths_are_text_and_path_like_objects(path: Any) -> None:
    assert is_path(path)
    assert checked_path(path) == "a/b"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("", "model: the path is empty"),
        ("a\0b", r"model: the path 'a\\x00b' contains a null character"),
        (3, "model: expected a path .*, got int"),
        (None, "model: expected a path .*, got NoneType"),
        (b"a", "model: expected a path .*, got bytes"),
    ],
)
def test_what_is_not_a_path_is_refused_by_the_name_of_the_argument(path: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        checked_path(path, "model")
