"""Reader of an artifact's evidence file."""

from __future__ import annotations

from edgeml.core.errors import PackageError
from edgeml.core.records.evidence_details import Evidence
from edgeml.core.records.record import decode_strict

__all__ = ["MAX_EVIDENCE_BYTES", "decode_evidence"]

MAX_EVIDENCE_BYTES = 8 * 2**20  # a file has some kB, and 1.5 MB with the most cells of confusion matrices


def decode_evidence(data: bytes, label: str, classes: int) -> Evidence:
    """Read an evidence file strictly.

    Args:
        data: The JSON text.
        label: Name of the file in messages.
        classes: Number of the package's labels.

    Raises:
        PackageError: The data are not a valid evidence file, or name classes that the package does not have.
    """
    evidence = decode_strict(data, Evidence, label, error=PackageError)
    for confusion in (evidence.confusion, evidence.source_confusion):
        if confusion is not None and any(max(true, predicted) >= classes for true, predicted, _ in confusion.cells):
            raise PackageError(
                f"{label} is not sound: its confusion matrix has more classes than the package's {classes}."
            )
    return evidence
