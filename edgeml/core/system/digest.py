"""SHA-256 in the form that packages store."""

from __future__ import annotations

from hashlib import sha256

__all__ = ["digest_of"]


def digest_of(data: bytes) -> str:
    """Return the SHA-256 digest of data, as ``sha256:`` and hexadecimal digits."""
    return f"sha256:{sha256(data).hexdigest()}"
