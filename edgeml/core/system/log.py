"""Records for the standard library's logging, under the logger ``edgeml``.

A program that never imports `logging` cannot have a handler, so that nothing is recorded and the module is not loaded:
`logging` would take a tenth of the time in which a device opens a package.
"""

from __future__ import annotations

import sys

__all__ = ["debug_enabled", "log_debug", "log_info"]

_LOGGER = "edgeml"


def log_info(message: str, *arguments: object) -> None:
    """Record a step of long work, or a choice, at level INFO; not for code that runs per sample.

    Args:
        message: Text with %-style places.
        arguments: Values of the places.
    """
    _log("INFO", message, arguments)


def log_debug(message: str, *arguments: object) -> None:
    """Record details at level DEBUG, such as the log of a child process.

    Args:
        message: Text with %-style places.
        arguments: Values of the places.
    """
    _log("DEBUG", message, arguments)


def debug_enabled() -> bool:
    """Return whether somebody listens at level DEBUG, for records that cost time to collect."""
    logging = sys.modules.get("logging")
    return logging is not None and bool(logging.getLogger(_LOGGER).isEnabledFor(logging.DEBUG))


def _log(level: str, message: str, arguments: tuple[object, ...]) -> None:
    logging = sys.modules.get("logging")
    if logging is None:
        return
    logger = logging.getLogger(_LOGGER)
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    logger.log(getattr(logging, level), message, *arguments)
