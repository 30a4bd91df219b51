"""SHA-256, as packages write it."""

from __future__ import annotations

from hashlib import sha256

__all__ = ["digest_of"]


def digest_of(data: bytes) -> str:
    """``sha256:`` and the hexadecimal digest."""
    return f"sha256:{sha256(data).hexdigest()}"
