"""Reading an artifact's evidence file."""

from __future__ import annotations

import msgspec

from edgeml.core.errors import PackageError
from edgeml.core.evidence_file import Evidence

__all__ = ["MAX_EVIDENCE_BYTES", "decode_evidence"]

MAX_EVIDENCE_BYTES = 64 * 2**20


def decode_evidence(data: bytes, label: str, classes: int) -> Evidence:
    """Reads an evidence file strictly.

    Args:
        data: The JSON text.
        label: What to call it in messages.
        classes: How many labels the package has.

    Raises:
        PackageError: It is none, or tells of classes that the package does not have.
    """
    try:
        evidence = msgspec.json.decode(data, type=Evidence)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        newer = "unknown field" in str(error)
        raise PackageError(
            f"{label} is not sound: {error}.",
            fix="it was made by a newer edgeml: pip install --upgrade edgeml" if newer else "",
        ) from error
    for confusion in (evidence.confusion, evidence.source_confusion):
        if confusion is not None and any(max(true, given) >= classes for true, given, _ in confusion.cells):
            raise PackageError(f"{label} is not sound: it tells of more classes than the package's {classes}.")
    return evidence
