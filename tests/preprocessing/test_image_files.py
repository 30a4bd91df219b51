from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pytest

from edgeml.core.errors import InputError, MissingDependencyError
from edgeml.preprocessing.image_files import read_image
from tests.support.raw_input_files import IMAGE, PIXELS, read_one, write


def test_portable_images(tmp_path: Path) -> None:
    colour = write(tmp_path / "x.PPM", b"P6\n# a comment\n7 5\n255\n" + PIXELS.tobytes())
    np.testing.assert_array_equal(read_one(colour, IMAGE), PIXELS)
    gray = write(tmp_path / "x.pgm", b"P5 7 5 255 " + PIXELS[..., 0].tobytes() + b"more")
    np.testing.assert_array_equal(read_image(gray), PIXELS[..., :1])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "expected a binary PPM or PGM image"),
        (b"P3 1 1 255 1 2 3", "expected a binary PPM or PGM image"),
        (b"P6 7 5 255\n" + PIXELS.tobytes()[:-1], "the header says 7 × 5 pixels, and 104 bytes follow"),
        (b"P6 999999999 999999999 255\n", "999999999 × 999999999 pixels"),
        (b"P6 0 5 255\n", "0 × 5 pixels"),
        (b"P6 7 5 65535\n" + PIXELS.tobytes() * 2, "maximum value is 65535"),
        (b"P6 7" + b"#" * 100_000, "expected a binary PPM or PGM image"),
    ],
)
def test_damaged_portable_images(data: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"x\.ppm.*{words}"):
        read_image(write(tmp_path / "x.ppm", data))


def test_png_and_jpeg(tmp_path: Path) -> None:
    pillow = pytest.importorskip("PIL.Image")
    pillow.fromarray(PIXELS).save(tmp_path / "x.png")
    np.testing.assert_array_equal(read_image(tmp_path / "x.png"), PIXELS)
    pillow.fromarray(PIXELS[..., 0]).save(tmp_path / "gray.png")
    np.testing.assert_array_equal(read_image(tmp_path / "gray.png"), PIXELS[..., :1])
    pillow.fromarray(PIXELS).save(tmp_path / "x.jpg")
    np.testing.assert_array_equal(read_image(tmp_path / "x.jpg"), np.asarray(pillow.open(tmp_path / "x.jpg")))
    opaque = np.concatenate([PIXELS, np.full((5, 7, 1), 255, np.uint8)], axis=2)
    pillow.fromarray(opaque).save(tmp_path / "opaque.png")
    np.testing.assert_array_equal(read_image(tmp_path / "opaque.png"), PIXELS)


def png(width: int, height: int) -> bytes:
    """A PNG file that promises so many pixels and holds none."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")

    header = width.to_bytes(4, "big") + height.to_bytes(4, "big") + bytes([8, 2, 0, 0, 0])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_damaged_and_odd_images(tmp_path: Path) -> None:
    pillow = pytest.importorskip("PIL.Image")
    pillow.fromarray(PIXELS).save(tmp_path / "x.png")
    whole = (tmp_path / "x.png").read_bytes()
    for data in (b"", b"no image", whole[:-60], whole[:40] + bytes(20) + whole[60:], png(60_000, 60_000), png(9, 9)):
        with pytest.raises(InputError, match=r"bad\.png cannot be read as an image"):
            read_image(write(tmp_path / "bad.png", data))
    with pytest.raises(InputError, match=r"bad\.jpg cannot be read as an image"):
        read_image(write(tmp_path / "bad.jpg", whole))  # each name means one format
    pillow.fromarray(np.concatenate([PIXELS, PIXELS[..., :1]], axis=2)).save(tmp_path / "clear.png")
    with pytest.raises(InputError, match="has transparent pixels"):
        read_image(tmp_path / "clear.png")
    pillow.fromarray(PIXELS[..., 0].astype(np.uint16) * 256).save(tmp_path / "deep.png")
    with pytest.raises(InputError, match="pixels of mode I;16, expected 8 bits"):
        read_image(tmp_path / "deep.png")


def test_pillow_is_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(MissingDependencyError, match=r"Reading x\.png needs the extra 'images'.*edgeml\[images\]"):
        read_image(write(tmp_path / "x.png", b""))
