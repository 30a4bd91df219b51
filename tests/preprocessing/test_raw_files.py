from __future__ import annotations

from pathlib import Path

import pytest

from edgeml.core.errors import InputError
from edgeml.core.preprocessing import Declaration
from edgeml.core.tensors import Signature, TensorSpec
from edgeml.preprocessing import Table, read_raw
from tests.support.raw_input_files import IMAGE, SOUND, TABLE, read_one


def test_a_file_for_several_inputs(tmp_path: Path) -> None:
    signature = Signature((TensorSpec("a", (None, 1), "float32"), TensorSpec("b", (None, 1), "float32")), ())
    cases: tuple[tuple[dict[str, Declaration], str], ...] = (
        ({"a": Table(columns=("a",))}, "does not declare how to make input 'b' from a file"),
        ({"a": Table(columns=("a",)), "b": IMAGE}, "cannot fill the model's 2 inputs"),
    )
    for tables, words in cases:
        with pytest.raises(InputError, match=words):
            read_raw(tmp_path / "x.csv", signature, tables)


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    for name, declared, words in (
        ("x.csv", IMAGE, r"'i' to be an image. Fix: give a file .png or .jpg"),
        ("x.png", SOUND, r"'i' to be sound. Fix: give a file .wav"),
        ("x.wav", TABLE, r"'i' to be a table. Fix: give a file .csv"),
    ):
        with pytest.raises(InputError, match=words):
            read_one(tmp_path / name, declared)
    with pytest.raises(InputError, match="no such file"):
        read_one(tmp_path / "x.ppm", IMAGE)
    with pytest.raises(InputError, match="no such file"):
        read_one(tmp_path / "x.csv", TABLE)
