from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from edgeml.core.errors import InputError
from edgeml.core.tensors import TensorSpec
from edgeml.preprocessing import Audio
from edgeml.preprocessing.audio import mel_matrix, prepare

SPEC = TensorSpec("sound", (None, 49, 40), "float32")
# As keyword spotting on Speech Commands has it.
LOG_MEL = Audio(
    front_end="log-mel", sample_rate=16000, frame_length=640, frame_step=320, fft_size=1024, mel_bins=40, low_hz=20.0,
    high_hz=4000.0, log_offset=1e-6, samples=16000,
)  # fmt: skip
MFCC = msgspec.structs.replace(LOG_MEL, front_end="mfcc", coefficients=10)
OTHERS = [
    LOG_MEL,
    MFCC,
    msgspec.structs.replace(
        LOG_MEL, window="hamming", spectrum="power", frame_length=401, frame_step=161, fft_size=512
    ),
    msgspec.structs.replace(MFCC, window="none", mel_bins=13, coefficients=13, low_hz=0.0, high_hz=8000.0),
    msgspec.structs.replace(LOG_MEL, sample_rate=44100, high_hz=22050.0, mel_bins=80, log_offset=0.01, scale=32768.0),
]


def clip(length: int = 16000) -> np.ndarray:
    rng = np.random.default_rng(0)
    times = np.arange(length) / 16000
    made = 0.3 * np.sin(2 * np.pi * 440 * times * (1 + times)) + 0.05 * rng.standard_normal(length)
    return made.astype(np.float32)


def by_tensorflow(samples: np.ndarray, declared: Audio) -> np.ndarray:
    import tensorflow as tf

    windows = {"hann": tf.signal.hann_window, "hamming": tf.signal.hamming_window, "none": None}
    spectrum = tf.abs(
        tf.signal.stft(
            samples * np.float32(declared.scale), declared.frame_length, declared.frame_step, declared.fft_size,
            window_fn=windows[declared.window],
        )
    )  # fmt: skip
    if declared.spectrum == "power":
        spectrum = spectrum**2
    matrix = tf.signal.linear_to_mel_weight_matrix(
        declared.mel_bins, declared.fft_size // 2 + 1, declared.sample_rate, declared.low_hz, declared.high_hz
    )
    mel = tf.math.log(tf.matmul(spectrum, matrix) + declared.log_offset)
    if declared.front_end == "mfcc":
        mel = tf.signal.mfccs_from_log_mel_spectrograms(mel)[..., : declared.coefficients]
    found: np.ndarray = mel.numpy()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("declared", OTHERS, ids=lambda d: f"{d.front_end}-{d.window}-{d.mel_bins}")
def test_front_ends_are_tensorflows(declared: Audio) -> None:
    spec = TensorSpec("sound", (None, None, None), "float32")
    found = prepare(declared, clip(), spec)
    assert found.dtype == np.float32
    assert found.shape == (1, declared.frames, declared.features)
    # TensorFlow works in float32 throughout; its own error is some 1e-4 in the logarithm of the faintest bins.
    np.testing.assert_allclose(found[0], by_tensorflow(clip(), declared), rtol=0, atol=2e-3)


def test_mel_matrix_is_tensorflows() -> None:
    import tensorflow as tf

    reference = tf.signal.linear_to_mel_weight_matrix(40, 513, 16000, 20.0, 4000.0, dtype=tf.float64).numpy()
    np.testing.assert_allclose(mel_matrix(LOG_MEL), reference, atol=1e-12)


def test_int16_samples_are_those_from_minus_1_to_1() -> None:
    samples = np.round(clip() * 32767).astype(np.int16)
    as_float = samples.astype(np.float32) / 32768
    np.testing.assert_array_equal(prepare(LOG_MEL, samples, SPEC), prepare(LOG_MEL, as_float, SPEC))


def test_short_clips_are_filled_with_zeros() -> None:
    filled = np.pad(clip(15000), (0, 1000))
    np.testing.assert_array_equal(prepare(LOG_MEL, clip(15000), SPEC), prepare(LOG_MEL, filled, SPEC))


@pytest.mark.parametrize(
    ("shape", "made"),
    [((None, 49, 40), (2, 49, 40)), ((None, 49, 40, 1), (2, 49, 40, 1)), ((None, 1, 49, 40), (2, 1, 49, 40)),
     ((None, 1960), (2, 1960))],
)  # fmt: skip
def test_the_axes_that_the_input_has(shape: tuple[int | None, ...], made: tuple[int, ...]) -> None:
    found = prepare(LOG_MEL, [clip(), clip(9000)], TensorSpec("sound", shape, "float32"))
    assert found.shape == made
    np.testing.assert_array_equal(found.reshape(2, 49, 40), prepare(LOG_MEL, [clip(), clip(9000)], SPEC))


def test_several_clips() -> None:
    stacked = np.stack([clip(), clip()[::-1]])
    np.testing.assert_array_equal(prepare(LOG_MEL, stacked, SPEC), prepare(LOG_MEL, list(stacked), SPEC))
    assert prepare(LOG_MEL, [], SPEC).shape == (0, 49, 40)


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (clip() * 32768, "samples reach .*, expected -1 to 1.*as int16"),
        (clip() * np.nan, "samples reach nan"),
        (clip(16001), "got 16001 samples, expected at most 16000"),
        (np.zeros(16000, np.int32), "got int32"),
        (np.zeros(16000, np.uint8), "got uint8"),
        (np.zeros((1, 2, 3)), r"shape \[1, 2, 3\]"),
        ([np.zeros((2, 100))], r"clip 0: got float64 \[2, 100\]"),
        ("x.wav", "got str"),
        ([[0.0, [1.0]]], "sequences of different lengths"),
    ],
)
def test_what_is_no_clip(raw: Any, words: str) -> None:
    with pytest.raises(InputError, match=f"raw input 'sound'.*{words}"):
        prepare(LOG_MEL, raw, SPEC)


def test_clips_of_any_length() -> None:
    free = msgspec.structs.replace(LOG_MEL, samples=None)
    spec = TensorSpec("sound", (None, None, 40), "float32")
    assert prepare(free, clip(3200), spec).shape == (1, 9, 40)
    with pytest.raises(InputError, match="different lengths"):
        prepare(free, [clip(3200), clip(3201)], spec)
    with pytest.raises(InputError, match="got 639 samples, expected at least the 640 of a frame"):
        prepare(free, clip(639), spec)


def test_silence_has_no_logarithm_without_an_offset() -> None:
    with pytest.raises(InputError, match=r"log_offset above 0"):
        prepare(msgspec.structs.replace(LOG_MEL, log_offset=0.0), np.zeros(16000), SPEC)
