"""Every error that edgeml raises on purpose.

::

    EdgemlError
    ├── InputError               what the caller gave is missing, malformed or of the wrong kind
    ├── UnsupportedModelError    the model is sound, but edgeml cannot do this with it honestly
    ├── ConversionError          a converter failed, or its child process died
    ├── StorageError             the disk is full, the folder cannot be written, a file cannot be read
    ├── PackageError             a file that is no sound package
    │   └── VerificationError    a digest or a golden vector does not hold
    ├── TargetError              an engine or a target is not there, or cannot run the artifact
    └── MissingDependencyError   an extra is not installed
"""

from __future__ import annotations

__all__ = [
    "ConversionError",
    "EdgemlError",
    "InputError",
    "MissingDependencyError",
    "PackageError",
    "StorageError",
    "TargetError",
    "UnsupportedModelError",
    "VerificationError",
]


class EdgemlError(Exception):
    """The root of the tree.

    Args:
        message: What went wrong and where, with what was got and what was expected.
        fix: What the caller can do about it; empty where nothing is known.
        log: What native code printed meanwhile; shown only on failure.
    """

    def __init__(self, message: str, *, fix: str = "", log: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.fix = fix
        self.log = log

    def __str__(self) -> str:
        return f"{self.message} Fix: {self.fix}" if self.fix else self.message


class InputError(EdgemlError):
    """What the caller gave is missing, malformed or of the wrong kind."""


class UnsupportedModelError(EdgemlError):
    """The model is sound, but edgeml cannot do this with it honestly."""


class ConversionError(EdgemlError):
    """A converter failed, or the child process that ran it died."""


class StorageError(EdgemlError):
    """Storage fails: a full disk, an unwritable folder, an unreadable file."""


class PackageError(EdgemlError):
    """The file is no sound package."""


class VerificationError(PackageError):
    """A digest or a golden vector does not hold."""


class TargetError(EdgemlError):
    """An engine or a target is not there, or cannot run the artifact."""


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
