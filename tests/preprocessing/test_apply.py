"""Each kind of declaration is prepared as by the kind's own module."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from edgeml.core.errors import InputError
from edgeml.core.preprocessing import Declaration, Image
from edgeml.core.tensors import TensorSpec
from edgeml.preprocessing import audio, image, table
from edgeml.preprocessing.apply import apply
from tests.support.raw_input_files import IMAGE, SOUND, TABLE

PHOTO = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
CLIP = np.sin(np.arange(16, dtype=np.float32))
ROWS = [{"area": 80.5, "rooms": 3, "note": "a"}, {"area": 120, "rooms": 5, "note": "b"}]


def test_an_image_becomes_pixels() -> None:
    spec = TensorSpec("photo", (None, 8, 8, 3), "float32")
    np.testing.assert_array_equal(apply(IMAGE, PHOTO, spec), image.prepare(IMAGE, PHOTO, spec))
    same_size = Image(height=5, width=7)  # nothing is to be resized
    found = apply(same_size, PHOTO, TensorSpec("photo", (None, 5, 7, 3), "float32"))
    np.testing.assert_array_equal(found, PHOTO[None])


def test_sound_becomes_frames() -> None:
    spec = TensorSpec("sound", (None, None, SOUND.mel_bins), "float32")
    found = apply(SOUND, CLIP, spec)
    assert found.shape == (1, 1 + (len(CLIP) - SOUND.frame_length) // SOUND.frame_step, SOUND.mel_bins)
    np.testing.assert_array_equal(found, audio.prepare(SOUND, CLIP, spec))


def test_rows_become_columns() -> None:
    spec = TensorSpec("facts", (None, 2), "float32")
    found = apply(TABLE, ROWS, spec)
    assert found.tolist() == [[80.5, 3], [120, 5]]
    np.testing.assert_array_equal(found, table.prepare(TABLE, ROWS, spec))


@pytest.mark.parametrize(
    ("declaration", "raw", "shape"),
    [(IMAGE, CLIP, (None, 8, 8, 3)), (SOUND, PHOTO, (None, None, 2)), (TABLE, PHOTO, (None, 2))],
    ids=["image", "sound", "table"],
)
def test_what_is_of_another_kind_is_refused(
    declaration: Declaration, raw: np.ndarray, shape: tuple[int | None, ...]
) -> None:
    with pytest.raises(InputError, match="raw input 'i'"):
        apply(declaration, raw, TensorSpec("i", shape, "float32"))


LOADED = """
import sys
from edgeml.core.preprocessing import Image
from edgeml.core.tensors import TensorSpec
from edgeml.preprocessing.apply import apply
import numpy as np
apply(Image(height=5, width=7), np.zeros((5, 7, 3), np.uint8), TensorSpec("i", (None, 5, 7, 3), "float32"))
print(*sorted(name for name in sys.modules if name.startswith("edgeml.preprocessing.")))
"""


def test_only_the_module_of_the_kind_is_loaded() -> None:
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    loaded = {name.rpartition(".")[2] for name in done.stdout.split()}
    assert "image" in loaded
    assert not loaded & {"audio", "table"}
