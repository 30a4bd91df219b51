"""Output files of the commands: what may be overwritten is decided before the work begins."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection
from pathlib import Path

import click
import msgspec

from edgeml.cli.verbosity import LOGGER
from edgeml.core.errors import EdgemlError, InputError, StorageError
from edgeml.core.system.files import atomic_write, open_file, read_bytes
from edgeml.core.system.text import printable
from edgeml.package.failures import is_folder_of_failures

__all__ = [
    "STDOUT",
    "OutputPath",
    "check_failures",
    "check_folder",
    "check_output",
    "check_stdout",
    "force_option",
    "is_package",
    "is_predictions",
    "is_report",
    "is_results",
    "write_output",
]

STDOUT = Path("-")
"""Name by which an output option means standard output."""

force_option = click.option(
    "--force", is_flag=True, help="Overwrite the output also if it is an input, or was not written by this command."
)

_HEAD_BYTES = 1024


class OutputPath(click.Path):
    """Type of output options: a path, or `STDOUT` for ``-`` and ``/dev/stdout``."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path."""
        if not str(value):
            self.fail("the path is empty.", param, ctx)
        path = Path(super().convert(str(value), param, ctx))  # type: ignore[arg-type]  # a str, or what path_type says
        return STDOUT if path == Path("/dev/stdout") else path


def check_output(
    output: Path,
    *inputs: Path | None,
    endings: Collection[str] = (),
    same_kind: Callable[[Path], bool] | None = None,
    force: bool = False,
) -> None:
    """Check where a command will write, before it does its work.

    Args:
        output: The file to write, or `STDOUT`.
        inputs: Files that the command reads.
        endings: Supported endings of the output's name, in lower case; any if empty.
        same_kind: Tells whether a file that exists is of the kind that will be written; any file is if None. An
            empty file may always be overwritten.
        force: Whether inputs and files of another kind may be overwritten.

    Raises:
        InputError: The output is an input, a file of another kind, or has an unsupported ending.
        StorageError: The folder is missing or not writable, or the output is a folder.
    """
    if output == STDOUT:
        return
    for path in inputs:
        if path is not None and not force and _same_file(path, output):
            raise InputError(f"{output} is also an input, and would be overwritten.", fix=_OTHER_OUTPUT)
    if _is_device(output):
        return
    folder = output.absolute().parent
    if output.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        why = "it is a folder" if output.is_dir() else "its folder is missing or may not be written to"
        raise StorageError(f"{output} cannot be written: {why}.", fix="give another --output.")
    if endings and output.suffix.lower() not in endings:
        *others, last = endings
        known = f"{', '.join(others)} or {last}" if others else last
        got = f"unsupported file type '{output.suffix}'" if output.suffix else "the file type is missing"
        raise InputError(f"{output}: {got}; expected a name that ends in {known}.", fix="give another --output.")
    filled = output.exists() and output.stat().st_size > 0
    if same_kind is not None and not force and filled and not same_kind(output):
        raise InputError(f"{output} exists, and was not written by this command.", fix=_OTHER_OUTPUT)


def check_folder(folder: Path, made_by_edgeml: Callable[[Path], bool], *, force: bool) -> None:
    """Check the folder that a command will write to.

    Args:
        folder: The folder; it need not exist.
        made_by_edgeml: Tells whether a folder with files is one that the command wrote.
        force: Whether any folder is accepted.

    Raises:
        InputError: The folder has files, and none of this command's.
    """
    if folder == STDOUT:
        raise InputError("--output: a folder cannot be written to standard output.", fix="give the name of a folder.")
    if force or not folder.is_dir() or not any(folder.iterdir()) or made_by_edgeml(folder):
        return
    raise InputError(
        f"{folder} has files, and was not written by this command.",
        fix="give another --output, or --force to add files to it.",
    )


def check_failures(package: Path) -> None:
    """Check that a build may write to ``PACKAGE.failed``, the folder of logs of failed recipes.

    Args:
        package: The package to write.

    Raises:
        InputError: Something else has that name, and would lose files.
    """
    folder = package.with_name(f"{package.name}.failed")
    if (folder.exists() or folder.is_symlink()) and not is_folder_of_failures(folder):
        raise InputError(
            f"{folder} exists, and was not written by edgeml; logs of failed recipes go there.",
            fix="give another --output, or move it away.",
        )


def check_stdout(output: Path | None, *, as_json: bool) -> None:
    """Refuse two results on standard output.

    Raises:
        InputError: The output is `STDOUT`, and ``--json`` prints there too.
    """
    if output == STDOUT and as_json:
        raise InputError("--output - and --json both print to standard output.", fix="leave out one of them.")


def write_output(output: Path, data: bytes) -> None:
    """Write a file durably, or print it on standard output, or to a device such as ``/dev/null``.

    Raises:
        StorageError: The file cannot be written.
    """
    if output == STDOUT:
        sys.stdout.flush()
        if sys.stdout.isatty():  # texts of others could steer the terminal
            data = "\n".join(map(printable, data.decode(errors="replace").split("\n"))).encode()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    atomic_write(output, data)
    LOGGER.info("wrote %s, %d bytes", output, len(data))


def is_package(path: Path) -> bool:
    """Return whether a file begins as a package does."""
    head = _head(path)
    return head.startswith(b"PK\3\4") and head[30:43] == b"manifest.json"


def is_report(path: Path) -> bool:
    """Return whether a file begins as a report in any of its formats does."""
    return _head(path).lower().startswith((b"<!doctype html", b"## ", b"\x89png\r\n"))


def is_predictions(path: Path) -> bool:
    """Return whether a file begins as predictions do: an .npz file of arrays, or a text."""
    head = _head(path)
    if path.suffix.lower() == ".npz":
        name_length = int.from_bytes(head[26:28], "little")
        return head.startswith(b"PK\3\4") and head[30 : 30 + name_length].endswith(b".npy")
    return b"\0" not in head


def is_results(path: Path) -> bool:
    """Return whether a file holds results of ``edgeml bench``."""
    from edgeml.core.records.benchmark_results import MAX_RESULTS_BYTES  # with NumPy, which few commands need here

    class Results(msgspec.Struct):
        edgeml: str
        measurements: msgspec.Raw

    try:
        msgspec.json.decode(read_bytes(path, limit=MAX_RESULTS_BYTES), type=Results)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, EdgemlError):
        return False
    return True


_OTHER_OUTPUT = "give another --output, or --force to overwrite it."


def _same_file(path: Path, output: Path) -> bool:
    if os.path.realpath(path) == os.path.realpath(output):  # `Path.resolve` raises where a link leads to itself
        return True
    return path.exists() and output.exists() and path.samefile(output)


def _is_device(path: Path) -> bool:
    """Return whether a path is a device or a FIFO."""
    return path.exists() and not path.is_file() and not path.is_dir()


def _head(path: Path) -> bytes:
    try:
        with open_file(path) as file:
            return file.read(_HEAD_BYTES)
    except EdgemlError:
        return b""
