"""SHA-256, as packages write it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["digest_of"]

_FEW_BYTES = 2**20  # which take Python's own code no longer than OpenSSL takes to load
_OWN = "_sha256" if sys.version_info < (3, 12) else "_sha2"


def digest_of(data: bytes) -> str:
    """``sha256:`` and the hexadecimal digest."""
    plain = len(data) <= _FEW_BYTES and "hashlib" not in sys.modules
    return f"sha256:{(_plain() if plain else _openssl())(data).hexdigest()}"


def _plain() -> Callable[[bytes], Any]:
    """Python's own code, by the name that the standard library itself takes it by: it has no public one."""
    try:
        return importlib.import_module(_OWN).sha256
    except ImportError:  # a Python that was built without
        return _openssl()


def _openssl() -> Callable[[bytes], Any]:
    from hashlib import sha256

    return sha256
