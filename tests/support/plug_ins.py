"""Metadata of installed distributions that declare engines, as pip writes it."""

from __future__ import annotations

import shutil
from pathlib import Path

__all__ = ["install_plug_in"]


def install_plug_in(site: Path, name: str, *engines: str, version: str = "1.0") -> None:
    """Write the metadata of a distribution into a folder, in place of an older version.

    Args:
        site: A folder of the search path.
        name: Name of the distribution.
        engines: Entry points, for instance ``onnx.npu = acme:Adapter``.
        version: Version of the distribution.
    """
    stem = name.replace("-", "_")
    for old in site.glob(f"{stem}-*.dist-info"):
        shutil.rmtree(old)
    folder = site / f"{stem}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    (folder / "entry_points.txt").write_text("\n".join(["[edgeml.engines]", *engines, ""]), encoding="utf-8")
