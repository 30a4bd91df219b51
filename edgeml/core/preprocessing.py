"""What an input's numbers mean: how raw images, sound and tables become them.

These are the declarations alone; `edgeml.preprocessing` applies them.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from edgeml.core.errors import InputError

__all__ = ["GAPS", "Audio", "Declaration", "Image", "Table", "checked_declaration", "described"]

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
