from __future__ import annotations

from pathlib import Path

import pytest

from edgeml.core.errors import InputError
from edgeml.preprocessing import Image, read_declarations
from tests.support.raw_input_files import TABLE, write


def test_declarations_from_toml(tmp_path: Path) -> None:
    text = """
[photo]
kind = "image"
height = 96
width = 64
colour = "BGR"
mean = [1, 2.5, 3]

[facts]
kind = "table"
columns = ["area", "rooms"]
"""
    assert read_declarations(write(tmp_path / "x.toml", text.encode())) == {
        "photo": Image(height=96, width=64, colour="BGR", mean=(1.0, 2.5, 3.0)),
        "facts": TABLE,
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty, expected a declaration"),
        ("kind = 1", "input 'kind'"),
        ("[x", "cannot be read"),
        ("[x]", "input 'x'.*kind"),
        ("[x]\nkind = 'smell'", "input 'x'.*smell"),
        ("[x]\nkind = 'image'\nheight = 8", "input 'x'.*width"),
        ("[x]\nkind = 'image'\nheight = 8\nwidth = 8\ncolor = 'RGB'", "input 'x'.*color"),
        ("[x]\nkind = 'image'\nheight = 0\nwidth = 8", "input 'x'.*>= 1"),
        ("[x]\nkind = 'image'\nheight = '8'\nwidth = 8", "input 'x'.*height"),
        ("[x]\nkind = 'table'\ncolumns = []", "input 'x'.*columns"),
    ],
)
def test_bad_declarations(text: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        read_declarations(write(tmp_path / "x.toml", text.encode()))
    with pytest.raises(InputError, match="no such file"):
        read_declarations(tmp_path / "absent.toml")
