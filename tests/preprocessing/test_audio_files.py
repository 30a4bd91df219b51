from __future__ import annotations

import wave
from pathlib import Path

import numpy as np
import pytest

from edgeml.core.errors import InputError
from tests.support.raw_input_files import SOUND, read_one, write


def wav(path: Path, *, rate: int = 16000, channels: int = 1, width: int = 2) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(np.arange(100, dtype="<i2").tobytes())
    return path


def test_sound(tmp_path: Path) -> None:
    found = read_one(wav(tmp_path / "x.wav"), SOUND)
    assert found.dtype == np.int16
    np.testing.assert_array_equal(found, np.arange(100))
    for other, words in (
        (wav(tmp_path / "a.wav", rate=44100), "44100 samples per second, expected 16000"),
        (wav(tmp_path / "b.wav", channels=2), "2 channels, expected 1"),
        (wav(tmp_path / "c.wav", width=1), "8 bits per sample, expected 16"),
        (write(tmp_path / "d.wav", b""), "cannot be read as a WAV file"),
        (write(tmp_path / "e.wav", b"RIFF\x10\0\0\0WAVEfmt "), "cannot be read as a WAV file"),
        (tmp_path / "absent.wav", "no such file"),
    ):
        with pytest.raises(InputError, match=words):
            read_one(other, SOUND)
