"""Whether a declaration of raw input can give an input's values."""

from __future__ import annotations

import math

import msgspec

from edgeml.core.preprocessing import Audio, Declaration, Image
from edgeml.core.tensors import TensorSpec

__all__ = ["misfit"]


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
