"""Untrusted text, made safe to print, and lists of clauses."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["join_clauses", "printable"]

_MAX_CLAUSES = 5


def printable(text: str) -> str:
    """Escape characters that are not printable: terminal codes, line ends, changes of the writing direction.

    Names and labels come from packages; a right-to-left override in a label would disguise the line that shows it.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def join_clauses(clauses: Iterable[str]) -> str:
    """Join the first five different clauses of a message, and name the number of the others."""
    different = list(dict.fromkeys(clauses))
    more = f"; and {len(different) - _MAX_CLAUSES} more" if len(different) > _MAX_CLAUSES else ""
    return "; ".join(different[:_MAX_CLAUSES]) + more
