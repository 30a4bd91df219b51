"""Arrays from files, against NumPy; other, damaged and dangerous files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgeml.core.errors import EdgemlError, InputError
from edgeml.preprocessing.array_files import read_array_file, select_inputs

X = np.arange(12, dtype=np.float32).reshape(3, 4)


def test_arrays_are_those_that_numpy_wrote(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", X)
    np.savez(tmp_path / "some.npz", x=X, y=np.array(["a", "b", "c"]))
    np.testing.assert_array_equal(read_array_file(tmp_path / "x.npy")["x"], X)
    arrays = read_array_file(tmp_path / "some.npz")
    np.testing.assert_array_equal(arrays["x"], X)
    assert arrays["y"].tolist() == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.npy", b"not a model\n" * 9, r"data: a\.npy is a text file, expected arrays in a \.npy or \.npz file"),
        ("a.npz", b"", r"data: a\.npz does not contain arrays of numbers or text"),
        ("a.npz", b"PK\x05\x06" + b"\0" * 18, r"data: a\.npz does not contain arrays"),
        ("a.npy", b"\x93NUMPY\x01\x00", r"data: a\.npy does not contain arrays of numbers or text"),
    ],
)
def test_other_and_damaged_files_are_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_array_file(tmp_path / name, "data")


def test_python_objects_are_not_loaded(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.array([{}], dtype=object))
    with pytest.raises(InputError, match="could run code"):
        read_array_file(tmp_path / "a.npz")


def test_a_folder_in_place_of_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data.npz").mkdir()
    with pytest.raises(EdgemlError, match=r"data\.npz"):
        read_array_file(tmp_path / "data.npz")


def test_inputs_are_selected_by_name_then_x_then_all_but_y() -> None:
    arrays = {"x": X, "y": X[:, 0]}
    assert select_inputs(arrays) is X
    assert list(select_inputs({"left": X, "right": X, "y": X})) == ["left", "right"]
    named = select_inputs(arrays | {"image": X + 1}, ["image"])
    assert isinstance(named, dict)
    np.testing.assert_array_equal(named["image"], X + 1)
