"""Declarations of preprocessing: the conversion of raw images, sound and tables to an input's numbers.

`edgeml.preprocessing` applies them.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from edgeml.core.errors import InputError
from edgeml.core.tensors import TensorSpec

__all__ = [
    "GAPS",
    "Audio",
    "Declaration",
    "Image",
    "Table",
    "check_declaration",
    "describe_declaration",
    "parse_declaration",
]

GAPS = frozenset(
    {"", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA"}
    | {"NULL", "NaN", "None", "n/a", "nan", "null"}
)
"""Fields of CSV files that stand for missing values: those of pandas, including the empty field."""

_MAX_PIXELS = 2**23  # 4K video; the conversion takes 12 bytes and more for each
_MAX_SAMPLES = 2**24  # five minutes at 48 kHz
_MAX_WEIGHTS = 2**21  # of the matrices to mel bins and of the DCT, 16 MB each: 8,192 by 512

_Count = Annotated[int, Meta(ge=1, le=1_000_000)]
_Column = Annotated[str, Meta(min_length=1, max_length=1_000)]


class _Declaration(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="kind"):
    pass


class Image(_Declaration, frozen=True, tag="image", kw_only=True):
    """An image input: ``(pixel * scale - mean) / std``, with pixels from 0 to 255.

    Colors are converted first, then the image is resized, then scaled, without rounding in between.

    Attributes:
        height: Rows of the model's input.
        width: Columns of the model's input.
        colour: Order of the channels; ``gray`` has one channel.
        layout: ``NHWC`` for ``[batch, height, width, channels]``, ``NCHW`` for ``[batch, channels, height, width]``.
        resize: Method of `tf.image.resize` for images of other sizes, without antialiasing; the aspect ratio is not
            preserved.
        scale: Factor for pixels: 1/255 for values from 0 to 1.
        mean: Subtracted after scaling; one value per channel, in order, or one value for all.
        std: Divisor after subtraction; one value per channel, in order, or one value for all.

    Example:
        >>> Image(height=96, width=96, scale=1 / 127.5, mean=(1.0,))  # as Keras's Rescaling(1 / 127.5, -1)
    """

    height: _Count
    width: _Count
    colour: Literal["RGB", "BGR", "gray"] = "RGB"
    layout: Literal["NHWC", "NCHW"] = "NHWC"
    resize: Literal["bilinear", "nearest", "area"] = "bilinear"
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    @property
    def channels(self) -> int:
        """Number of channels of the model's input."""
        return 1 if self.colour == "gray" else 3


class Audio(_Declaration, frozen=True, tag="audio", kw_only=True):
    """An audio input, computed by a front end like that of `tf.signal`.

    The samples are split into frames and multiplied by the window. An FFT yields magnitudes, which are summed into mel
    bins (HTK's mel scale), and then ``log(bin + log_offset)``; ``mfcc`` applies a DCT-II to the logarithms.

    Attributes:
        front_end: ``log-mel`` or ``mfcc``.
        sample_rate: Sample rate in hertz.
        frame_length: Samples per frame.
        frame_step: Samples from the start of one frame to the start of the next.
        fft_size: Size of the FFT; frames are padded with zeros.
        mel_bins: Number of mel bins.
        low_hz: Lower edge of the lowest bin.
        high_hz: Upper edge of the highest bin.
        log_offset: Added before the logarithm.
        coefficients: Number of MFCCs; None for ``log-mel``.
        window: ``hann`` and ``hamming`` as in tf.signal, periodic for even lengths and symmetric for odd ones;
            ``none`` for no window.
        spectrum: ``magnitude``, or its square, ``power``.
        scale: Factor for samples from -1 to 1: 32768 for int16 values.
        samples: Samples per clip: shorter clips are padded with zeros at the end, longer clips are refused. None for
            clips of any length.
    """

    front_end: Literal["log-mel", "mfcc"]
    sample_rate: _Count
    frame_length: _Count
    frame_step: _Count
    fft_size: _Count
    mel_bins: _Count
    low_hz: float
    high_hz: float
    log_offset: float
    coefficients: _Count | None = None
    window: Literal["hann", "hamming", "none"] = "hann"
    spectrum: Literal["magnitude", "power"] = "magnitude"
    scale: float = 1.0
    samples: Annotated[int, Meta(ge=1, le=1_000_000_000)] | None = None

    @property
    def frames(self) -> int | None:
        """Number of frames per clip; None for clips of any length."""
        return None if self.samples is None else 1 + (self.samples - self.frame_length) // self.frame_step

    @property
    def features(self) -> int:
        """Number of values per frame."""
        return self.coefficients or self.mel_bins


class Table(_Declaration, frozen=True, tag="table", kw_only=True):
    """A table input: one row of a table.

    Attributes:
        columns: Names of the columns in the model's order. The columns hold numbers, or text for an input of text.
    """

    columns: Annotated[tuple[_Column, ...], Meta(min_length=1, max_length=100_000)]


Declaration = Image | Audio | Table


def parse_declaration(declaration: object, name: str) -> Declaration:
    """Validate a declaration, or create one from its fields.

    Raises:
        InputError: The fields are not those of a declaration, or have wrong types.
    """
    try:
        parsed: Declaration = msgspec.convert(msgspec.to_builtins(declaration), type=Declaration)
    except (msgspec.ValidationError, TypeError) as error:
        raise InputError(
            f"preprocessing of input '{name}': {error}.",
            fix='use an Image, Audio or Table of edgeml.preprocessing; in a file, kind = "image", "audio" or "table".',
        ) from error
    return parsed


def describe_declaration(declaration: Declaration) -> str:
    """Describe a declaration in one line."""
    if isinstance(declaration, Image):
        mean, std = (" ".join(f"{value:g}" for value in values) for values in (declaration.mean, declaration.std))
        return (
            f"image {declaration.height} × {declaration.width} {declaration.colour}, {declaration.layout}, "
            f"{declaration.resize}; (pixel × {declaration.scale:.6g} − {mean}) / {std}"
        )
    if isinstance(declaration, Audio):
        kept = f"{declaration.coefficients} of " if declaration.coefficients else ""
        return (
            f"audio at {declaration.sample_rate} Hz, {declaration.front_end}: {declaration.window} frames of "
            f"{declaration.frame_length} every {declaration.frame_step}, FFT {declaration.fft_size}, {kept}"
            f"{declaration.mel_bins} mel bins {declaration.low_hz:g}–{declaration.high_hz:g} Hz, "
            f"{declaration.spectrum}, log(x + {declaration.log_offset:g})"
        )
    if len(declaration.columns) == 1:
        return f"column {declaration.columns[0]} of a table"
    return f"table of {len(declaration.columns)} columns: {', '.join(declaration.columns)}"


def check_declaration(declaration: Declaration, spec: TensorSpec) -> str | None:
    """Return the reason why a declaration does not fit an input, or None if it fits."""
    numbers = [value for value in msgspec.structs.astuple(declaration) if isinstance(value, float)]
    if isinstance(declaration, Image):
        numbers += [*declaration.mean, *declaration.std]
    if not all(map(math.isfinite, numbers)):
        return "a number is NaN or infinite"
    expected = tuple(spec.shape[1:])
    if isinstance(declaration, Image):
        return _check_image(declaration, expected)
    if isinstance(declaration, Audio):
        return _check_audio(declaration, expected)
    if len(set(declaration.columns)) != len(declaration.columns):
        return "a column is listed twice"
    return _compare_shapes((len(declaration.columns),), expected)


def _check_image(image: Image, expected: tuple[int | None, ...]) -> str | None:
    for name, values in (("mean", image.mean), ("std", image.std)):
        if len(values) not in {1, image.channels}:
            return f"{name} has {len(values)} values, expected 1 or {image.channels}"
    if 0.0 in image.std or image.scale == 0.0:
        return "std or scale is 0"
    if image.height * image.width > _MAX_PIXELS:
        return f"{image.height} × {image.width} pixels exceed {_MAX_PIXELS}"
    size = (image.height, image.width)
    return _compare_shapes((*size, image.channels) if image.layout == "NHWC" else (image.channels, *size), expected)


def _check_audio(audio: Audio, expected: tuple[int | None, ...]) -> str | None:
    for failed, problem in (
        (audio.fft_size < audio.frame_length, f"fft_size {audio.fft_size} is less than frame_length"),
        (
            not 0.0 <= audio.low_hz < audio.high_hz <= audio.sample_rate / 2,
            f"low_hz {audio.low_hz:g} and high_hz {audio.high_hz:g} are not a range within 0 to half of sample_rate",
        ),
        (audio.log_offset < 0.0, f"log_offset {audio.log_offset:g} is less than 0"),
        (audio.front_end == "mfcc" and audio.coefficients is None, "mfcc needs coefficients"),
        (audio.front_end == "log-mel" and audio.coefficients is not None, "log-mel does not support coefficients"),
        (audio.features > audio.mel_bins, f"{audio.features} coefficients exceed {audio.mel_bins} mel bins"),
        (
            max(audio.fft_size // 2 + 1, audio.mel_bins) * audio.mel_bins > _MAX_WEIGHTS,
            f"an FFT of {audio.fft_size} and {audio.mel_bins} mel bins need more than {_MAX_WEIGHTS} weights",
        ),
        (
            (audio.samples or 0) > _MAX_SAMPLES,
            f"a clip of {audio.samples} samples exceeds {_MAX_SAMPLES}",
        ),
        (
            audio.samples is not None and audio.samples < audio.frame_length,
            f"a clip of {audio.samples} samples is shorter than a frame of {audio.frame_length}",
        ),
    ):
        if failed:
            return problem
    actual = (audio.frames, audio.features)
    # Features of a clip may be flattened, or have additional axes of size 1; they are never transposed.
    if (
        len(expected) == 1
        and audio.frames is not None
        and _compare_shapes((audio.frames * audio.features,), expected) is None
    ):
        return None
    return _compare_shapes(actual, tuple(size for size in expected if size != 1) if len(expected) > 2 else expected)


def _compare_shapes(actual: tuple[int | None, ...], expected: tuple[int | None, ...]) -> str | None:
    fits = len(actual) == len(expected) and all(
        a is None or b is None or a == b for a, b in zip(actual, expected, strict=True)
    )
    shapes = [", ".join("any" if size is None else str(size) for size in shape) for shape in (actual, expected)]
    return None if fits else f"produces shape [{shapes[0]}] per sample, but the input expects [{shapes[1]}]"
