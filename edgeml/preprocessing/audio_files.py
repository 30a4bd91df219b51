"""Read audio from files."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np

from edgeml.core.errors import InputError
from edgeml.core.preprocessing import Audio
from edgeml.core.system.files import read_bytes

__all__ = ["AUDIO_SUFFIXES", "read_audio"]

AUDIO_SUFFIXES = (".wav",)
_BYTES = 2


def read_audio(path: Path, declaration: Audio) -> np.ndarray:
    """Read a WAV file of one channel with 16 bits at the declared rate.

    Returns:
        int16 ``[length]``.

    Raises:
        InputError: The file does not exist or is not such a file.
        StorageError: The file cannot be read.
    """
    try:
        with wave.open(io.BytesIO(read_bytes(path)), "rb") as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            data = file.readframes(file.getnframes())
    except (wave.Error, EOFError, ZeroDivisionError) as error:
        raise InputError(
            f"{path.name} cannot be read as a WAV file of 16-bit samples: {str(error) or 'it ends too early'}.",
            fix="save it as 16-bit PCM.",
        ) from error
    for what, actual, expected in (
        ("channels", channels, 1),
        ("bits per sample", 8 * width, 8 * _BYTES),
        ("samples per second", rate, declaration.sample_rate),
    ):
        if actual != expected:
            raise InputError(f"{path.name} has {actual} {what}, expected {expected}.", fix="convert it first.")
    return np.frombuffer(data[: len(data) // _BYTES * _BYTES], "<i2").astype(np.int16)
