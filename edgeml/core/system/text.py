"""Text of others, made fit to be shown."""

__all__ = ["printable"]


def printable(text: str) -> str:
    """The text with what would steer a terminal, turn a line around or end it, shown as an escape.

    Names and labels come with packages; a right-to-left override among them would show a line as another.
    """
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
