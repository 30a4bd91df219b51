"""Errors of a command as JSON, for programs and for benchmarks on devices."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from edgeml.core import errors
from edgeml.core.errors import EdgemlError

__all__ = ["ErrorDocument", "ErrorRecord", "decode_error", "error_class", "error_record"]


class ErrorRecord(Struct, frozen=True, kw_only=True):
    """An error that ended a command.

    Attributes:
        kind: Name of a class of `edgeml.core.errors`; or ``UsageError``, ``Interrupted`` or ``InternalError``.
        message: What went wrong and where, with what was got and what was expected.
        fix: What the user can do; empty if unknown.
        log: What native code printed, or the traceback of an internal error; empty if there is none.
        exit_code: Exit code of the command.
    """

    kind: str
    message: str
    fix: str = ""
    log: str = ""
    exit_code: int


class ErrorDocument(Struct, frozen=True):
    """The JSON document that a command prints with ``--json`` when it fails.

    Attributes:
        error: The error.
    """

    error: ErrorRecord


def error_record(error: EdgemlError, exit_code: int) -> ErrorRecord:
    """Return the record of an error.

    Args:
        error: The error. A class that is not public is named by its public base class.
        exit_code: Exit code of the command.
    """
    kind = next(base.__name__ for base in type(error).__mro__ if base.__name__ in errors.__all__)
    return ErrorRecord(kind=kind, message=error.message, fix=error.fix, log=error.log, exit_code=exit_code)


def decode_error(data: bytes) -> ErrorRecord | None:
    """Return the error that a command printed with ``--json``, or None if the data are another or no document."""
    try:
        return msgspec.json.decode(data, type=ErrorDocument).error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def error_class(kind: str) -> type[EdgemlError] | None:
    """Return the public class of a record's kind, or None for kinds that are not of edgeml's error tree."""
    return getattr(errors, kind) if kind in errors.__all__ else None
