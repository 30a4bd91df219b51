"""Raw input as files, and the declarations that they are read by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from edgeml.core.tensors import Signature, TensorSpec
from edgeml.preprocessing import Audio, Image, Table, read_raw

__all__ = ["IMAGE", "PIXELS", "SOUND", "TABLE", "read_one", "write"]

IMAGE = Image(height=8, width=8)
SOUND = Audio(
    front_end="log-mel", sample_rate=16000, frame_length=4, frame_step=2, fft_size=4, mel_bins=2, low_hz=0.0,
    high_hz=8000.0, log_offset=1.0,
)  # fmt: skip
TABLE = Table(columns=("area", "rooms"))
PIXELS = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)


def write(path: Path, data: bytes) -> Path:
    """Writes a file, and gives its path."""
    path.write_bytes(data)
    return path


def read_one(path: Path, declaration: Audio | Image | Table) -> Any:
    """What `read_raw` makes of a file for a model with one input."""
    columns = len(declaration.columns) if isinstance(declaration, Table) else 1
    return read_raw(path, Signature((TensorSpec("i", (None, columns), "float32"),), ()), {"i": declaration})
