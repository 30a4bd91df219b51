"""Untrusted text, made safe to print."""

__all__ = ["printable"]


def printable(text: str) -> str:
    """Escape characters that are not printable: terminal codes, line ends, changes of the writing direction.

    Names and labels come from packages; a right-to-left override in a label would disguise the line that shows it.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
