"""Packages named on the command line, with an error that says what another file is."""

from __future__ import annotations

from pathlib import Path

from edgeml.core.errors import InputError, PackageError
from edgeml.core.formats.file_kind import FileKind, recognize_file
from edgeml.package.package import Package, open_package

__all__ = ["check_package_file", "open_package_file"]

_SHOWN = 3


def open_package_file(path: Path) -> Package:
    """Open a package; see `check_package_file` and `open_package`."""
    check_package_file(path)
    return open_package(path)


def check_package_file(path: Path) -> None:
    """Check that a file is not evidently something else than a package.

    Raises:
        InputError: The file does not exist, or is a folder.
        StorageError: The file cannot be read.
        PackageError: The file is of another kind: a model, arrays, an image, text …
    """
    kind = recognize_file(path)
    if kind is None or kind.group == "package":
        return
    error = InputError if path.is_dir() else PackageError
    raise error(f"{path.name or path} is {kind.name}, not an edgeml package.", fix=_fix(path, kind))


def _fix(path: Path, kind: FileKind) -> str:
    name = path.name
    if kind.format == "pickle":
        return (
            "save the estimator by skops.io.dump(model, 'model.skops'), and build a package: edgeml build model.skops"
        )
    if kind.group == "model":
        look = "" if path.is_dir() else f"; edgeml inspect {name} shows what the file holds"
        return f"build a package of it: edgeml build {name} -o {path.stem}.edgeml{look}."
    if kind.group in {"arrays", "table", "image", "sound"}:
        return f"name the package first, then its input: edgeml predict PACKAGE {name} -o out.csv"
    if kind.group == "results":
        return f"name the package, and the measurements as an option: edgeml report PACKAGE --results {name}"
    if kind.group == "folder":
        there = sorted(entry.name for entry in path.glob("*.edgeml"))[:_SHOWN]
        if there:
            return f"name a package in it: {', '.join(str(path / entry) for entry in there)}."
    return "name a file that edgeml build wrote, usually with the ending .edgeml."
