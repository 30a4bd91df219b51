"""Untrusted text, made safe to print, and lists of clauses."""

from __future__ import annotations

import re
from collections.abc import Iterable

__all__ = ["as_unicode", "escape_json", "join_clauses", "printable"]

_MAX_CLAUSES = 5
_UNPRINTABLE = re.compile(r"[^ -~]")


def as_unicode(text: str) -> str:
    """Escape halves of characters, which Python has in names of files that are not UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode()


def printable(text: str) -> str:
    """Escape characters that are not printable: terminal codes, line ends, changes of the writing direction.

    Names and labels come from packages; a right-to-left override in a label would disguise the line that shows it.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def escape_json(text: str) -> str:
    """Escape the characters of a JSON document that are not printable; its value stays the same.

    Such characters are parts of texts: elsewhere JSON has only printable characters and line ends.
    """
    return "\n".join(line if line.isprintable() else _UNPRINTABLE.sub(_escape, line) for line in text.split("\n"))


def _escape(match: re.Match[str]) -> str:
    if match[0].isprintable():
        return match[0]
    units = match[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def join_clauses(clauses: Iterable[str]) -> str:
    """Join the first five different clauses of a message, and name the number of the others."""
    different = list(dict.fromkeys(clauses))
    more = f"; and {len(different) - _MAX_CLAUSES} more" if len(different) > _MAX_CLAUSES else ""
    return "; ".join(different[:_MAX_CLAUSES]) + more
