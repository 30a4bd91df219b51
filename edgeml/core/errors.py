"""The errors that edgeml raises on purpose.

::

    EdgemlError
    ├── InputError               an argument or input file is missing, malformed or of the wrong type
    ├── UnsupportedModelError    the model is valid, but edgeml does not support this operation on it
    ├── ConversionError          a converter failed, or its child process died
    ├── StorageError             the disk is full, the folder cannot be written, a file cannot be read
    ├── PackageError             the file is not a valid package
    │   └── VerificationError    a digest or a golden vector does not match
    ├── TargetError              an engine or a target is missing, or cannot run the artifact
    │   └── IsolationError       an artifact in a child process crashed it, or exceeded a limit
    ├── ResourceError            the machine lacks memory, processes or file descriptors
    └── MissingDependencyError   an extra is not installed

All classes are names of the top level as well: ``except edgeml.InputError``.
"""

from __future__ import annotations

__all__ = [
    "ConversionError",
    "EdgemlError",
    "InputError",
    "IsolationError",
    "MissingDependencyError",
    "PackageError",
    "ResourceError",
    "StorageError",
    "TargetError",
    "UnsupportedModelError",
    "VerificationError",
]


class EdgemlError(Exception):
    """Base class of all errors that edgeml raises on purpose.

    Args:
        message: Description of the problem: place, actual value, expected value.
        fix: Suggestion for the caller; empty if unknown.
        log: Output of native code during the operation.

    Attributes:
        message: Description of the problem, without the fix.
        fix: Suggestion for the caller; empty if unknown.
        log: Output of native code during the operation.

    Example:
        >>> try:
        ...     package = edgeml.open_package("digits.edgeml")
        ... except edgeml.EdgemlError as error:
        ...     print(error.message, error.fix)
    """

    def __init__(self, message: str, *, fix: str = "", log: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.log = log

    def __str__(self) -> str:
        return f"{self.message} Fix: {self.fix}" if self.fix else self.message


class InputError(EdgemlError):
    """An argument or input file is missing, malformed or of the wrong type."""


class UnsupportedModelError(EdgemlError):
    """The model is valid, but edgeml does not support this operation on it."""


class ConversionError(EdgemlError):
    """A converter failed, or the child process that ran it died."""


class StorageError(EdgemlError):
    """Storage failed: a full disk, a folder without write permission, an unreadable file."""


class PackageError(EdgemlError):
    """The file is not a valid package."""


class VerificationError(PackageError):
    """A digest or a golden vector does not match."""


class TargetError(EdgemlError):
    """An engine or a target is missing, or cannot run the artifact."""


class IsolationError(TargetError):
    """An artifact crashed the child process that ran it, or exceeded its limit of memory or time."""


class ResourceError(EdgemlError):
    """The machine, or a limit on this process, lacks memory, processes or file descriptors."""


class MissingDependencyError(EdgemlError):
    """An extra is not installed.

    Args:
        what: Subject of the message: the step that needs the extra.
        extra: Name of the extra. The fix is the command that adds it to this copy of edgeml.
    """

    def __init__(self, what: str, extra: str) -> None:
        from edgeml.core.system.installation import install_command  # for errors alone

        super().__init__(f"{what} needs the extra '{extra}', which is not installed.", fix=install_command(extra))
        self.what = what
        self.extra = extra

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.what, self.extra)
