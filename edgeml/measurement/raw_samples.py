"""Typical raw input of a package, by what it declares: for the time that preprocessing takes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from edgeml.core.preprocessing import Audio, Declaration, Image, Table
from edgeml.core.session import Session

__all__ = ["raw_sample"]

_FRAME = (480, 640)  # of a usual camera
_SEED = 0


def raw_sample(session: Session, samples: Mapping[str, np.ndarray]) -> object:
    """One raw sample, as `Session.predict` takes it with `raw`; None where the package declares no preprocessing.

    An image is a frame of 640 × 480 pixels, a sound a clip as long as the samples, a table's row the first of the
    samples.

    Args:
        session: The session.
        samples: Prepared samples ``[samples, ...]`` by input name.
    """
    declared = session.preprocessing
    if not declared:
        return None
    names = [spec.name for spec in session.signature.inputs]
    given = {name: _raw(declared[name], samples[name]) if name in declared else samples[name][:1] for name in names}
    if all(isinstance(declared.get(name), Table) for name in names):  # which are given together, as one row
        return {column: value for row in given.values() for column, value in dict(row).items()}  # type: ignore[call-overload]
    return given[names[0]] if len(names) == 1 else given


def _raw(declaration: Declaration, prepared: np.ndarray) -> object:
    random = np.random.default_rng(_SEED)
    if isinstance(declaration, Image):
        return random.integers(0, 256, (*_FRAME, declaration.channels), dtype=np.uint8)
    if isinstance(declaration, Audio):
        frames = prepared[0].size // declaration.features
        whole = declaration.frame_length + (frames - 1) * declaration.frame_step
        return random.uniform(-0.5, 0.5, declaration.samples or whole).astype(np.float32)
    return dict(zip(declaration.columns, prepared[0].reshape(-1).tolist(), strict=True))
