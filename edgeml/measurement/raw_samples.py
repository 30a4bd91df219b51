"""Typical raw inputs of a package, by its declarations, to time preprocessing."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgeml.core.preprocessing import Audio, Declaration, Image, Table
from edgeml.core.session import Session

__all__ = ["raw_sample"]

_FRAME = (480, 640)  # height and width of a common camera
_SEED = 0


def raw_sample(session: Session, samples: Mapping[str, np.ndarray]) -> object:
    """Return one raw sample, as `Session.predict` accepts it with `raw`; None without declared preprocessing.

    An image is a frame of 640 × 480 pixels, audio is a clip as long as the samples, and a table's row is the first
    sample.

    Args:
        session: The session.
        samples: Prepared samples ``[samples, ...]`` by input name.
    """
    declared = session.preprocessing
    if not declared:
        return None
    names = [spec.name for spec in session.signature.inputs]
    inputs = {name: _raw(declared[name], samples[name]) if name in declared else samples[name][:1] for name in names}
    if all(isinstance(declared.get(name), Table) for name in names):  # tables together form one row
        return {column: value for row in inputs.values() for column, value in dict(row).items()}  # type: ignore[call-overload]
    return inputs[names[0]] if len(names) == 1 else inputs


def _raw(declaration: Declaration, prepared: np.ndarray) -> object:
    random = np.random.default_rng(_SEED)
    if isinstance(declaration, Image):
        return random.integers(0, 256, (*_FRAME, declaration.channels), dtype=np.uint8)
    if isinstance(declaration, Audio):
        frames = prepared[0].size // declaration.features
        whole = declaration.frame_length + (frames - 1) * declaration.frame_step
        return random.uniform(-0.5, 0.5, declaration.samples or whole).astype(np.float32)
    return dict(zip(declaration.columns, prepared[0].reshape(-1).tolist(), strict=True))
