"""edgeml's own files, as a device needs them: it is sent along, and need not be installed there."""

from __future__ import annotations

import importlib.util
import io
import zipfile
from pathlib import Path

__all__ = ["CARRIED", "NEEDED", "archive"]

NEEDED = ("numpy", "msgspec")
"""Modules, under the names of their distributions, that a device must have: they are compiled for it."""

CARRIED = ("click", "rich")
"""Pure Python modules that are sent to a device that lacks them."""

_DATE = (1980, 1, 1, 0, 0, 0)


def archive(package: Path, carried: tuple[str, ...]) -> bytes:
    """A ZIP of a package, edgeml, and modules: the same bytes from the same files.

    Args:
        package: The package, which is called ``package.edgeml`` there.
        carried: Those of `CARRIED` that the device lacks.
    """
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(zipfile.ZipInfo("package.edgeml", _DATE), package.read_bytes())
        for module in ("edgeml", *carried):
            root = _folder(module)
            for path in sorted(_sources(root)):
                entry = zipfile.ZipInfo(f"code/{module}/{path.relative_to(root).as_posix()}", _DATE)
                entry.compress_type = zipfile.ZIP_DEFLATED
                file.writestr(entry, path.read_bytes())
    return out.getvalue()


def _folder(module: str) -> Path:
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin is not None  # edgeml itself needs them
    return Path(spec.origin).parent


def _sources(folder: Path) -> list[Path]:
    """All files of Python below a folder, also behind links, as edgeml's own checkout has them."""
    found = []
    for path in folder.iterdir():
        if path.is_dir() and path.name != "__pycache__":
            found += _sources(path)
        elif path.suffix == ".py":
            found.append(path)
    return found
