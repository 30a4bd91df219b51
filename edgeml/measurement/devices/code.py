"""Archive of a package with edgeml's own source, so that edgeml need not be installed on the device."""

from __future__ import annotations

import importlib.util
import io
import zipfile
from pathlib import Path

__all__ = ["CARRIED", "NEEDED", "archive"]

NEEDED = ("numpy", "msgspec")
"""Modules, named as their distributions, that must be installed on a device: they are compiled for it."""

CARRIED = ("click", "rich")
"""Pure Python modules that are sent to a device if they are missing there."""

_DATE = (1980, 1, 1, 0, 0, 0)


def archive(package: Path, carried: tuple[str, ...]) -> bytes:
    """Return a reproducible ZIP file of a package, edgeml, and modules.

    Args:
        package: File of the package, named ``package.edgeml`` in the archive.
        carried: Modules of `CARRIED` that are missing on the device.
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
    assert spec is not None and spec.origin is not None  # edgeml depends on these modules
    return Path(spec.origin).parent


def _sources(folder: Path) -> list[Path]:
    """Return all Python files below a folder; links are followed, as edgeml's checkout contains some."""
    files = []
    for path in folder.iterdir():
        if path.is_dir() and path.name != "__pycache__":
            files += _sources(path)
        elif path.suffix == ".py":
            files.append(path)
    return files
