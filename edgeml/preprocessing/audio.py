"""Convert audio to the values of an input: log-mel spectrograms and MFCCs as in `tf.signal`."""

from __future__ import annotations

import numpy as np

from edgeml.core.errors import InputError
from edgeml.core.preprocessing import Audio
from edgeml.core.tensors import TensorSpec

__all__ = ["compute_features", "mel_matrix", "prepare"]

_INT16_SCALE = 32768.0
# Larger floats are int16 values that lost their dtype; resampling overshoots 1 by less.
_LOUDEST = 2.0
# The mel scale of the Hidden Markov Model Toolkit, as in tf.signal.linear_to_mel_weight_matrix.
_MEL_BREAK_HZ, _MEL_Q = 700.0, 1127.0
_BLOCK = 2**20  # FFT samples at a time, some 20 MB
_MAX_FFT_SAMPLES = 2**30  # of all frames of a clip: an hour and more at 16 kHz, computed within a minute


def prepare(declaration: Audio, raw: object, spec: TensorSpec) -> np.ndarray:
    """Convert clips to the values of an input.

    Args:
        declaration: The front end.
        raw: One clip ``[length]``, float samples from -1 to 1 or int16 samples; or several, in a list or as
            ``[clips, length]``.
        spec: The input.

    Returns:
        float32 ``[clips, ...]``.

    Raises:
        InputError: The clips are of another type, shape or range, or too long or too short.
    """
    where = f"raw input '{spec.name}'"
    clips = [_scale(clip, declaration, f"{where}, clip {i}") for i, clip in enumerate(_clips(raw, where))]
    if len({len(clip) for clip in clips}) > 1:
        raise InputError(f"{where}: the clips have different lengths.", fix="run them separately.")
    if not clips:
        return np.empty((0, *(size or 0 for size in spec.shape[1:])), np.float32)
    values = np.stack([compute_features(clip, declaration) for clip in clips])
    return values.reshape(len(values), *_input_shape(values.shape[1:], spec.shape[1:]))


def _input_shape(shape: tuple[int, ...], expected: tuple[int | None, ...]) -> tuple[int, ...]:
    """Return the shape ``[frames, features]`` flattened, or with the axes of size 1 that the input has."""
    if len(expected) == 1:
        return (shape[0] * shape[1],)
    if len(expected) == 2:
        return shape
    sizes = iter(shape)
    return tuple(1 if size == 1 else next(sizes) for size in expected)


def _clips(raw: object, where: str) -> list[object]:
    if isinstance(raw, np.ndarray) and raw.ndim in {1, 2}:
        return [raw] if raw.ndim == 1 else list(raw)
    if isinstance(raw, list | tuple) and all(isinstance(clip, np.ndarray | list | tuple) for clip in raw):
        return list(raw)
    actual = f"shape {list(raw.shape)}" if isinstance(raw, np.ndarray) else type(raw).__name__
    raise InputError(f"{where}: got {actual}, expected samples [length] as an array, or a list of them.")


def _scale(raw: object, declaration: Audio, where: str) -> np.ndarray:
    """Return a clip as float32 ``[length]``, scaled and padded as declared."""
    try:
        clip = np.asarray(raw)
    except ValueError as error:
        raise InputError(f"{where}: got sequences of different lengths, expected an array ({error}).") from error
    if clip.ndim != 1 or not (clip.dtype == np.int16 or clip.dtype.kind == "f"):
        raise InputError(
            f"{where}: got {clip.dtype} {list(clip.shape)}, expected one channel of float samples from -1 to 1, or of "
            "int16 samples."
        )
    samples = clip.astype(np.float32) / np.float32(_INT16_SCALE) if clip.dtype == np.int16 else clip.astype(np.float32)
    if samples.size and not np.abs(samples).max() <= _LOUDEST:
        raise InputError(
            f"{where}: float samples reach {float(np.abs(samples).max()):.4g}, expected -1 to 1.",
            fix="give int16 samples as int16, or divide them by 32768.",
        )
    if declaration.samples is not None:
        if len(samples) > declaration.samples:
            raise InputError(
                f"{where}: got {len(samples)} samples, expected at most {declaration.samples}.", fix="shorten it."
            )
        samples = np.pad(samples, (0, declaration.samples - len(samples)))
    if len(samples) < declaration.frame_length:
        raise InputError(
            f"{where}: got {len(samples)} samples, expected at least the {declaration.frame_length} of a frame."
        )
    return samples * np.float32(declaration.scale)


def compute_features(clip: np.ndarray, declaration: Audio) -> np.ndarray:
    """Compute the features of a clip.

    Args:
        clip: Scaled float32 samples ``[length]``.
        declaration: Parameters of the front end.

    Returns:
        float32 ``[frames, mel bins or coefficients]``.

    Raises:
        InputError: A mel bin is 0, and so is the declared offset.
    """
    frames = np.lib.stride_tricks.sliding_window_view(clip, declaration.frame_length)[:: declaration.frame_step]
    if len(frames) * declaration.fft_size > _MAX_FFT_SAMPLES:
        raise InputError(
            f"A clip of {len(clip)} samples has {len(frames)} frames with an FFT of {declaration.fft_size}, expected "
            f"at most {_MAX_FFT_SAMPLES // declaration.fft_size} frames.",
            fix="cut it into shorter clips.",
        )
    window, matrix = _window(declaration), mel_matrix(declaration)
    dct = _dct(declaration.mel_bins) if declaration.front_end == "mfcc" else None
    rows = max(1, _BLOCK // declaration.fft_size)
    features = np.empty((len(frames), declaration.features), np.float32)
    for begin in range(0, len(frames), rows):
        spectrum = np.abs(np.fft.rfft(frames[begin : begin + rows] * window, declaration.fft_size))
        if declaration.spectrum == "power":
            spectrum = np.square(spectrum)
        bins = spectrum @ matrix + declaration.log_offset
        if not bins.min() > 0.0:
            raise InputError(
                "The energy of a mel bin is 0, and the logarithm of 0 is undefined.",
                fix="declare a log_offset above 0.",
            )
        mel = np.log(bins)
        features[begin : begin + rows] = mel if dct is None else (mel @ dct)[:, : declaration.coefficients]
    return features


def _window(declaration: Audio) -> np.ndarray:
    """Return a window ``[frame_length]`` as in tf.signal: periodic for even lengths, symmetric for odd ones."""
    if declaration.window == "none":
        return np.ones(declaration.frame_length)
    window = np.hanning if declaration.window == "hann" else np.hamming
    even = 1 - declaration.frame_length % 2
    return window(declaration.frame_length + even)[: declaration.frame_length]


def mel_matrix(declaration: Audio) -> np.ndarray:
    """Return float64 ``[FFT bins, mel bins]``: triangles on the mel scale, as in linear_to_mel_weight_matrix."""
    bins = declaration.fft_size // 2 + 1
    positions = _mel(np.linspace(0.0, declaration.sample_rate / 2, bins))[1:, None]
    low, high = _mel(np.array([declaration.low_hz, declaration.high_hz]))
    edges = np.linspace(low, high, declaration.mel_bins + 2)
    left, center, right = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (positions - left) / (center - left), (right - positions) / (right - center)
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return np.concatenate([np.zeros((1, declaration.mel_bins)), triangles])  # no bin contains the constant component


def _mel(hertz: np.ndarray) -> np.ndarray:
    return _MEL_Q * np.log1p(hertz / _MEL_BREAK_HZ)


def _dct(size: int) -> np.ndarray:
    """Return float64 ``[size, size]``: DCT-II times 1 / sqrt(2 size), as in mfccs_from_log_mel_spectrograms."""
    n, k = np.arange(size)[:, None], np.arange(size)[None]
    return 2.0 * np.cos(np.pi * k * (2 * n + 1) / (2 * size)) / np.sqrt(2.0 * size)
