from __future__ import annotations

import wave
import zlib
from pathlib import Path
from typing import Any, cast

import numpy as np
import pandas as pd
import pytest

from edgeml.core.errors import InputError, MissingDependencyError
from edgeml.core.preprocessing import Declaration
from edgeml.core.tensors import Signature, TensorSpec
from edgeml.preprocessing import Audio, Image, Table, read_declarations, read_raw
from edgeml.preprocessing.image_files import read_image

IMAGE = Image(height=8, width=8)
SOUND = Audio(
    front_end="log-mel", sample_rate=16000, frame_length=4, frame_step=2, fft_size=4, mel_bins=2, low_hz=0.0,
    high_hz=8000.0, log_offset=1.0,
)  # fmt: skip
TABLE = Table(columns=("area", "rooms"))
PIXELS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def read(path: Path, declaration: Audio | Image | Table) -> Any:
    columns = len(declaration.columns) if isinstance(declaration, Table) else 1
    return read_raw(path, Signature((TensorSpec("i", (None, columns), "float32"),), ()), {"i": declaration})


def wav(path: Path, *, rate: int = 16000, channels: int = 1, width: int = 2) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(np.arange(100, dtype="<i2").tobytes())
    return path


def test_portable_images(tmp_path: Path) -> None:
    colour = written(tmp_path / "x.PPM", b"P6\n# a comment\n7 5\n255\n" + PIXELS.tobytes())
    np.testing.assert_array_equal(read(colour, IMAGE), PIXELS)
    gray = written(tmp_path / "x.pgm", b"P5 7 5 255 " + PIXELS[..., 0].tobytes() + b"more")
    np.testing.assert_array_equal(read_image(gray), PIXELS[..., :1])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "no binary PPM or PGM"),
        (b"P3 1 1 255 1 2 3", "no binary PPM or PGM"),
        (b"P6 7 5 255\n" + PIXELS.tobytes()[:-1], "7 × 5 pixels by its header, and 104 bytes follow"),
        (b"P6 999999999 999999999 255\n", "999999999 × 999999999 pixels"),
        (b"P6 0 5 255\n", "0 × 5 pixels"),
        (b"P6 7 5 65535\n" + PIXELS.tobytes() * 2, "largest value is 65535"),
        (b"P6 7" + b"#" * 100_000, "no binary PPM or PGM"),
    ],
)
def test_damaged_portable_images(data: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=rf"x\.ppm.*{words}"):
        read_image(written(tmp_path / "x.ppm", data))


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
            read_image(written(tmp_path / "bad.png", data))
    with pytest.raises(InputError, match=r"bad\.jpg cannot be read as an image"):
        read_image(written(tmp_path / "bad.jpg", whole))  # each name means one format
    pillow.fromarray(np.concatenate([PIXELS, PIXELS[..., :1]], axis=2)).save(tmp_path / "clear.png")
    with pytest.raises(InputError, match="has transparent pixels"):
        read_image(tmp_path / "clear.png")
    pillow.fromarray(PIXELS[..., 0].astype(np.uint16) * 256).save(tmp_path / "deep.png")
    with pytest.raises(InputError, match="pixels of mode I;16, expected 8 bits"):
        read_image(tmp_path / "deep.png")


def test_pillow_is_an_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "PIL", None)
    with pytest.raises(MissingDependencyError, match=r"Reading x\.png needs the extra 'images'.*edgeml\[images\]"):
        read_image(written(tmp_path / "x.png", b""))


def test_sound(tmp_path: Path) -> None:
    found = read(wav(tmp_path / "x.wav"), SOUND)
    assert found.dtype == np.int16
    np.testing.assert_array_equal(found, np.arange(100))
    for other, words in (
        (wav(tmp_path / "a.wav", rate=44100), "44100 samples per second, expected 16000"),
        (wav(tmp_path / "b.wav", channels=2), "2 channels, expected 1"),
        (wav(tmp_path / "c.wav", width=1), "8 bits per sample, expected 16"),
        (written(tmp_path / "d.wav", b""), "no WAV file"),
        (written(tmp_path / "e.wav", b"RIFF\x10\0\0\0WAVEfmt "), "no WAV file"),
        (tmp_path / "absent.wav", "no such file"),
    ):
        with pytest.raises(InputError, match=words):
            read(other, SOUND)


@pytest.mark.parametrize(
    "text",
    [
        "area,rooms\n80.5,3\n120,5\n",
        "\ufeffarea,rooms\r\n80.5,3\r\n120,5\r\n",
        "rooms, district ,area\n3,north,80.5\n\n5,,1.2e2\n",
        '"area","rooms","note"\n"80.5"," 3 ","a, b\nc"\n120,5,""',
    ],
)
def test_tables(text: str, tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", text.encode())
    found = read(path, TABLE)
    assert list(found) == ["area", "rooms"]
    np.testing.assert_array_equal(np.stack(list(found.values()), axis=1), [[80.5, 3], [120, 5]])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "columns are missing: area, rooms; it has none"),
        (b"area,rooms\n", "has no rows"),
        (b"area,rooms\n\n\n", "has no rows"),
        (b"area,age\n1,2\n", "columns are missing: rooms; it has area, age"),
        (b"1,2\n3,4\n", "columns are missing: area, rooms; it has 1, 2.*first line"),
        (b"area;rooms\n1;2\n", "part the fields by commas, not by ';'"),
        (b"area\trooms\n1\t2\n", r"not by '\\t'"),
        (b"area,rooms\n1;2\n", "line 2: got 1 fields, expected 2"),
        (b"area,rooms\n1,2\n1,2,3\n", "line 3: got 3 fields, expected 2"),
        (b"area,rooms,area\n1,2,3\n", "column 'area' is there twice"),
        (b"area,rooms\n1,2\nmany,3\n", "line 3, column 'area': got 'many', expected a number"),
        (b"area,rooms\n1,\n", "line 2, column 'rooms': is empty, expected a number"),
        (b"area,rooms\n1,nan\n", "column 'rooms': got 'nan'"),
        (b"area,rooms\n1,inf\n", "column 'rooms': got 'inf'"),
        (b"area,rooms\n1,1_000\n", "column 'rooms': got '1_000'"),
        (b'area,rooms\n1,"1,5"\n', "column 'rooms': got '1,5'"),
        ("area,rooms\n1,2\n".encode("utf-16"), "cannot be read as CSV"),
        (b"area,rooms\n1,\xff\n", "cannot be read as CSV"),
        (b"area,rooms\n1,\0\n", "x.csv"),
        (b'area,rooms\n1,"2\n', "cannot be read as CSV"),
        (b"area,rooms\n" + b"1" * 200_000 + b",2\n", "cannot be read as CSV.*field larger"),
    ],
)
def test_bad_tables(data: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=words):
        read(written(tmp_path / "x.csv", data), TABLE)


def test_a_table_with_text_and_gaps(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", "district,area,rooms\nSüd,1.5,\n,NA,3\nn/a, 2 ,4\n".encode())
    specs = (TensorSpec("a", (None, 2), "float64", gaps=True), TensorSpec("b", (None, 1), "string", gaps=True))
    tables = {"a": Table(columns=("area", "rooms")), "b": Table(columns=("district",))}
    found = cast("dict[str, np.ndarray]", read_raw(path, Signature(specs, ()), tables))
    frame = pd.read_csv(path)
    for name in ("area", "rooms"):
        np.testing.assert_array_equal(found[name], frame[name])
    assert found["district"].tolist() == frame["district"].fillna("").tolist()


@pytest.mark.parametrize(
    ("gaps", "data", "words"),
    [
        ((0,), b"area,rooms,district\n,,x\n", "line 2, column 'rooms': is empty, expected a number"),
        (
            (0,),
            b"area,rooms,district\n,NA,x\n",
            "column 'rooms': got 'NA', which is a missing value, expected a number",
        ),
        (True, b"area,rooms,district\n,,\n", "line 2, column 'district': is empty, expected text"),
        (True, b"area,rooms,district\nx,,a\n", "column 'area': got 'x', expected a number"),
        (True, b"area,rooms\n1,2\n", "columns are missing: district"),
    ],
)
def test_gaps_and_text_that_the_model_does_not_take(
    gaps: bool | tuple[int, ...], data: bytes, words: str, tmp_path: Path
) -> None:
    specs = (TensorSpec("a", (None, 2), "float64", gaps=gaps), TensorSpec("b", (None, 1), "string"))
    tables = {"a": Table(columns=("area", "rooms")), "b": Table(columns=("district",))}
    with pytest.raises(InputError, match=words):
        read_raw(written(tmp_path / "x.csv", data), Signature(specs, ()), tables)


def test_a_file_for_several_inputs(tmp_path: Path) -> None:
    signature = Signature((TensorSpec("a", (None, 1), "float32"), TensorSpec("b", (None, 1), "float32")), ())
    cases: tuple[tuple[dict[str, Declaration], str], ...] = (
        ({"a": Table(columns=("a",))}, "does not declare what input 'b' is made of"),
        ({"a": Table(columns=("a",)), "b": IMAGE}, "the model has 2 inputs"),
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
            read(tmp_path / name, declared)
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "x.ppm", IMAGE)
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "x.csv", TABLE)


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
    assert read_declarations(written(tmp_path / "x.toml", text.encode())) == {
        "photo": Image(height=96, width=64, colour="BGR", mean=(1.0, 2.5, 3.0)),
        "facts": TABLE,
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "declares nothing"),
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
        read_declarations(written(tmp_path / "x.toml", text.encode()))
    with pytest.raises(InputError, match="cannot be read"):
        read_declarations(tmp_path / "absent.toml")
