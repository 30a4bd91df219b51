"""SHA-256, as packages write it."""

from __future__ import annotations

import importlib
import sys

__all__ = ["digest_of"]

_FEW_BYTES = 2**20  # which take Python's own code no longer than OpenSSL takes to load

try:  # Python's own code, by the name that the standard library takes it by: it has no public one
    _plain = importlib.import_module("_sha256" if sys.version_info < (3, 12) else "_sha2").sha256
except ImportError:  # a Python that was built without
    _plain = None


def digest_of(data: bytes) -> str:
    """``sha256:`` and the hexadecimal digest."""
    if _plain is not None and len(data) <= _FEW_BYTES and "hashlib" not in sys.modules:
        return f"sha256:{_plain(data).hexdigest()}"
    from hashlib import sha256

    return f"sha256:{sha256(data).hexdigest()}"
