"""What an input's numbers mean: how raw images, sound and tables become them.

These are the declarations alone; `edgeml.preprocessing` applies them.
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from edgeml.core.errors import InputError
from edgeml.core.tensors import TensorSpec

__all__ = ["GAPS", "Audio", "Declaration", "Image", "Table", "checked_declaration", "described", "misfit"]

GAPS = frozenset(
    {"", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA"}
    | {"NULL", "NaN", "None", "n/a", "nan", "null"}
)
"""Fields of a CSV file that stand for a missing value, the empty one among them: those of pandas."""

_Count = Annotated[int, Meta(ge=1, le=1_000_000)]
_Column = Annotated[str, Meta(min_length=1, max_length=1_000)]


class _Declaration(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="kind"):
    pass


class Image(_Declaration, frozen=True, tag="image", kw_only=True):
    """An input that is an image: ``(pixel * scale - mean) / std``, pixels from 0 to 255.

    Colours are converted first, then the image is resized, then scaled; nothing is rounded between.

    Attributes:
        height: Rows that the model takes. `width`: columns.
        colour: Order of the channels; ``gray`` has one.
        layout: ``NHWC`` for ``[batch, height, width, channels]``, ``NCHW`` for ``[batch, channels, height, width]``.
        resize: How an image of another size is resized, as `tf.image.resize` of that name does without
            antialiasing; the aspect ratio is not kept.
        scale: What pixels are multiplied by: 1/255 for values from 0 to 1.
        mean: What is taken off then, in the order of the channels; one value for all of them.
        std: What the rest is divided by, the same way.

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
        """How many the model takes."""
        return 1 if self.colour == "gray" else 3


class Audio(_Declaration, frozen=True, tag="audio", kw_only=True):
    """An input that is made of sound by a front end, as `tf.signal` makes it.

    Frames of the samples, each times the window, become magnitudes by an FFT, these become mel bins (HTK's mel
    scale), and these ``log(bin + log_offset)``; ``mfcc`` takes the DCT-II of that.

    Attributes:
        front_end: ``log-mel`` or ``mfcc``.
        sample_rate: In hertz.
        frame_length: Samples of a frame. `frame_step`: from the start of one frame to the next one's.
        fft_size: Size of the FFT; frames are filled with zeros.
        mel_bins: How many.
        low_hz: Lower edge of the lowest bin. `high_hz`: upper edge of the highest.
        log_offset: What is added before the logarithm.
        coefficients: How many MFCCs are kept; None for ``log-mel``.
        window: ``hann`` and ``hamming`` are tf.signal's: periodic for even lengths, symmetric for odd ones;
            ``none`` takes samples as they are.
        spectrum: ``magnitude``, or its square, ``power``.
        scale: What samples from -1 to 1 are multiplied by: 32768 for int16 values.
        samples: Samples of a clip: zeros fill shorter ones up at the end, longer ones are refused. None takes
            any length.
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
        """Frames of a clip; None where clips have any length."""
        return None if self.samples is None else 1 + (self.samples - self.frame_length) // self.frame_step

    @property
    def features(self) -> int:
        """Values of a frame."""
        return self.coefficients or self.mel_bins


class Table(_Declaration, frozen=True, tag="table", kw_only=True):
    """An input that is a row of a table.

    Attributes:
        columns: Names of the columns in the model's order. They hold numbers, or text where the input is text.
    """

    columns: Annotated[tuple[_Column, ...], Meta(min_length=1, max_length=100_000)]


Declaration = Image | Audio | Table


def checked_declaration(declaration: object, name: str) -> Declaration:
    """A caller's declaration, or the fields of one, held to its types.

    Raises:
        InputError: It is none.
    """
    try:
        found: Declaration = msgspec.convert(msgspec.to_builtins(declaration), type=Declaration)
    except (msgspec.ValidationError, TypeError) as error:
        raise InputError(
            f"preprocessing of input '{name}': {error}.",
            fix='give an Image, Audio or Table of edgeml.preprocessing; in a file kind = "image", "audio" or "table".',
        ) from error
    return found


def described(declaration: Declaration) -> str:
    """A declaration in a line."""
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


def misfit(declaration: Declaration, spec: TensorSpec) -> str | None:
    """Why a declaration cannot give an input's values; None where it can."""
    numbers = [value for value in msgspec.structs.astuple(declaration) if isinstance(value, float)]
    if isinstance(declaration, Image):
        numbers += [*declaration.mean, *declaration.std]
    if not all(map(math.isfinite, numbers)):
        return "a number of it is NaN or infinity"
    wanted = tuple(spec.shape[1:])
    if isinstance(declaration, Image):
        return _image_misfit(declaration, wanted)
    if isinstance(declaration, Audio):
        return _audio_misfit(declaration, wanted)
    if len(set(declaration.columns)) != len(declaration.columns):
        return "a column is named twice"
    return _unlike((len(declaration.columns),), wanted)


def _image_misfit(image: Image, wanted: tuple[int | None, ...]) -> str | None:
    for name, values in (("mean", image.mean), ("std", image.std)):
        if len(values) not in {1, image.channels}:
            return f"{name} has {len(values)} values, expected 1 or {image.channels}"
    if 0.0 in image.std or image.scale == 0.0:
        return "std or scale is 0"
    size = (image.height, image.width)
    return _unlike((*size, image.channels) if image.layout == "NHWC" else (image.channels, *size), wanted)


def _audio_misfit(audio: Audio, wanted: tuple[int | None, ...]) -> str | None:
    for wrong, told in (
        (audio.fft_size < audio.frame_length, f"fft_size {audio.fft_size} is less than frame_length"),
        (
            not 0.0 <= audio.low_hz < audio.high_hz <= audio.sample_rate / 2,
            f"low_hz {audio.low_hz:g} and high_hz {audio.high_hz:g} are no range within 0 to half of sample_rate",
        ),
        (audio.log_offset < 0.0, f"log_offset {audio.log_offset:g} is less than 0"),
        (audio.front_end == "mfcc" and audio.coefficients is None, "mfcc needs coefficients"),
        (audio.front_end == "log-mel" and audio.coefficients is not None, "log-mel has no coefficients"),
        (audio.features > audio.mel_bins, f"there are {audio.features} coefficients of {audio.mel_bins} mel bins"),
        (
            audio.samples is not None and audio.samples < audio.frame_length,
            f"a clip of {audio.samples} samples holds no frame of {audio.frame_length}",
        ),
    ):
        if wrong:
            return told
    made = (audio.frames, audio.features)
    # A clip's features may lie flat, or have axes of size 1 around them; they are never transposed.
    if len(wanted) == 1 and audio.frames is not None and _unlike((audio.frames * audio.features,), wanted) is None:
        return None
    return _unlike(made, tuple(size for size in wanted if size != 1) if len(wanted) > 2 else wanted)


def _unlike(made: tuple[int | None, ...], wanted: tuple[int | None, ...]) -> str | None:
    fits = len(made) == len(wanted) and all(a is None or b is None or a == b for a, b in zip(made, wanted, strict=True))
    shapes = [", ".join("any" if size is None else str(size) for size in shape) for shape in (made, wanted)]
    return None if fits else f"it gives [{shapes[0]}] for a sample, and the input takes [{shapes[1]}]"
