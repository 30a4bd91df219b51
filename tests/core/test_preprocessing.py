from __future__ import annotations

from typing import Any

import msgspec
import pytest

from edgeml.core.errors import InputError
from edgeml.core.preprocessing import (
    Audio,
    Declaration,
    Image,
    Table,
    check_declaration,
    describe_declaration,
    parse_declaration,
)
from edgeml.core.tensors import TensorSpec

IMAGE = Image(height=96, width=64)
LOG_MEL = Audio(
    front_end="log-mel", sample_rate=16000, frame_length=640, frame_step=320, fft_size=1024, mel_bins=40, low_hz=20.0,
    high_hz=4000.0, log_offset=1e-6, samples=16000,
)  # fmt: skip
MFCC = msgspec.structs.replace(LOG_MEL, front_end="mfcc", coefficients=10)
TABLE = Table(columns=("a", "b"))


def spec(*shape: int | None) -> TensorSpec:
    return TensorSpec("x", (None, *shape), "float32")


@pytest.mark.parametrize(
    ("declared", "shape"),
    [
        (IMAGE, (96, 64, 3)),
        (IMAGE, (None, None, 3)),
        (Image(height=96, width=64, layout="NCHW"), (3, 96, 64)),
        (Image(height=96, width=64, colour="gray"), (96, 64, 1)),
        (LOG_MEL, (49, 40)),
        (LOG_MEL, (49, 40, 1)),
        (LOG_MEL, (1, 49, 40)),
        (LOG_MEL, (1960,)),
        (MFCC, (49, 10, 1)),
        (msgspec.structs.replace(LOG_MEL, samples=None), (None, 40)),
        (TABLE, (2,)),
    ],
)
def test_what_fits(declared: Declaration, shape: tuple[int | None, ...]) -> None:
    assert check_declaration(declared, spec(*shape)) is None


@pytest.mark.parametrize(
    ("declared", "change", "shape", "told"),
    [
        (IMAGE, {}, (64, 96, 3), "produces shape [96, 64, 3] per sample, but the input expects [64, 96, 3]"),
        (IMAGE, {}, (3, 96, 64), "produces shape [96, 64, 3]"),
        (IMAGE, {}, (96 * 64 * 3,), "produces shape [96, 64, 3]"),
        (IMAGE, {"colour": "gray"}, (96, 64, 3), "produces shape [96, 64, 1]"),
        (IMAGE, {"mean": (1.0, 2.0)}, (96, 64, 3), "mean has 2 values, expected 1 or 3"),
        (IMAGE, {"std": ()}, (96, 64, 3), "std has 0 values"),
        (IMAGE, {"std": (1.0, 0.0, 1.0)}, (96, 64, 3), "std or scale is 0"),
        (IMAGE, {"scale": 0.0}, (96, 64, 3), "std or scale is 0"),
        (IMAGE, {"scale": float("inf")}, (96, 64, 3), "NaN or infinite"),
        (IMAGE, {"mean": (float("nan"),)}, (96, 64, 3), "NaN or infinite"),
        (LOG_MEL, {}, (40, 49), "produces shape [49, 40]"),
        (LOG_MEL, {}, (40, 49, 1), "produces shape [49, 40]"),
        (LOG_MEL, {}, (1961,), "produces shape [49, 40]"),
        (LOG_MEL, {"samples": None}, (49, 41), "produces shape [any, 40]"),
        (LOG_MEL, {"fft_size": 512}, (49, 40), "fft_size 512 is less than frame_length"),
        (LOG_MEL, {"high_hz": 8001.0}, (49, 40), "not a range within 0 to half of sample_rate"),
        (LOG_MEL, {"low_hz": 4000.0}, (49, 40), "not a range"),
        (LOG_MEL, {"log_offset": -1.0}, (49, 40), "log_offset -1 is less than 0"),
        (LOG_MEL, {"log_offset": float("nan")}, (49, 40), "NaN or infinite"),
        (LOG_MEL, {"coefficients": 10}, (49, 10), "log-mel does not support coefficients"),
        (MFCC, {"coefficients": None}, (49, 40), "mfcc needs coefficients"),
        (MFCC, {"coefficients": 41}, (49, 41), "41 coefficients exceed 40 mel bins"),
        (LOG_MEL, {"samples": 639}, (49, 40), "shorter than a frame"),
        (TABLE, {}, (3,), "produces shape [2]"),
        (TABLE, {"columns": ("a", "a")}, (2,), "listed twice"),
    ],
)
def test_what_does_not_fit(declared: Declaration, change: dict[str, Any], shape: tuple[int, ...], told: str) -> None:
    found = check_declaration(msgspec.structs.replace(declared, **change), spec(*shape))
    assert found is not None
    assert told in found


@pytest.mark.parametrize("declared", [IMAGE, LOG_MEL, MFCC, TABLE])
def test_a_declaration_is_a_frozen_value_that_json_keeps(declared: Declaration) -> None:
    assert msgspec.json.decode(msgspec.json.encode(declared), type=Declaration) == declared
    assert parse_declaration(declared, "x") == declared
    assert "\n" not in describe_declaration(declared)
    with pytest.raises(AttributeError):
        declared.kind = 1  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "given",
    [
        Image(height=0, width=8),
        Image(height=8.5, width=8),  # type: ignore[arg-type]
        Image(height=8, width=8, colour="rgb"),  # type: ignore[arg-type]
        Table(columns=()),
        Table(columns=("",)),
        {"kind": "image"},
        {"height": 8},
        "image",
        3,
        object(),
    ],
)  # fmt: skip
def test_what_is_no_declaration(given: object) -> None:
    with pytest.raises(InputError, match=r"preprocessing of input 'x'.*use an Image, Audio or Table"):
        parse_declaration(given, "x")
