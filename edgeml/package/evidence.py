"""Reading an artifact's evidence file."""

from __future__ import annotations

from edgeml.core.errors import PackageError
from edgeml.core.records.evidence_details import Evidence
from edgeml.core.records.record import decode_strict

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
    evidence = decode_strict(data, Evidence, label, error=PackageError)
    for confusion in (evidence.confusion, evidence.source_confusion):
        if confusion is not None and any(max(true, given) >= classes for true, given, _ in confusion.cells):
            raise PackageError(f"{label} is not sound: it tells of more classes than the package's {classes}.")
    return evidence
