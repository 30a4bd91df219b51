"""A package index in a folder, as PEP 503 has it, filled without a network.

What edgeml's base and a build need is packed from the distributions that are installed here; engines and frameworks
are empty wheels under their names.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import re
import zipfile
from collections.abc import Mapping
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

__all__ = ["Index"]

_NOT_PACKED = {"INSTALLER", "REQUESTED", "direct_url.json", "RECORD"}


class Index:
    """An index of wheels.

    Args:
        folder: Where it is kept; a new one.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    @property
    def url(self) -> str:
        """The index's URL."""
        return self.folder.as_uri()

    def add(self, file_name: str, data: bytes) -> None:
        """Add a wheel."""
        project = re.sub(r"[-_.]+", "-", file_name.partition("-")[0]).lower()
        folder = self.folder / project
        folder.mkdir(exist_ok=True)
        (folder / file_name).write_bytes(data)
        links = "".join(f'<a href="{file.name}">{file.name}</a>\n' for file in sorted(folder.glob("*.whl")))
        (folder / "index.html").write_text(f"<!DOCTYPE html>\n<html><body>\n{links}</body></html>\n", encoding="utf-8")

    def add_files(self, name: str, version: str, files: Mapping[str, str], metadata: str = "") -> None:
        """Add a wheel of pure Python with the files."""
        normal = re.sub(r"[-_.]+", "_", name)
        info = f"{normal}-{version}.dist-info"
        texts = {
            **files,
            f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{metadata}",
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        data = _zip({path: text.encode() for path, text in texts.items()}, f"{info}/RECORD")
        self.add(f"{normal}-{version}-py3-none-any.whl", data)

    def add_installed(self, name: str) -> None:
        """Add a distribution that is installed here, packed as a wheel again."""
        installed = distribution(name)
        files: dict[str, bytes] = {}
        record = ""
        for file in installed.files or ():
            path = file.as_posix()
            if re.fullmatch(r"[^/]+\.dist-info/RECORD", path):  # not one of a vendored distribution
                record = path
            elif not path.startswith("..") and file.suffix != ".pyc" and file.name not in _NOT_PACKED:
                files[path] = Path(str(file.locate())).read_bytes()
        tag = re.search(r"^Tag: (\S+)", installed.read_text("WHEEL") or "", re.MULTILINE)
        assert tag and record, name
        self.add(f"{record.partition('.dist-info')[0]}-{tag[1]}.whl", _zip(files, record))

    def add_stub(self, requirement: str) -> None:
        """Add an empty wheel of the least version that a requirement takes, unless the index has the project."""
        parsed = Requirement(requirement)
        if (self.folder / re.sub(r"[-_.]+", "-", parsed.name).lower()).exists():
            return
        versions = [Version(part.version) for part in parsed.specifier if part.operator == ">="]
        version = max(versions, default=Version("1.0"))
        extras = "".join(f"Provides-Extra: {extra}\n" for extra in sorted(parsed.extras))
        self.add_files(parsed.name, str(version), {}, extras)


def _zip(files: Mapping[str, bytes], record: str) -> bytes:
    """A wheel's archive, with its list of files."""
    out, lines = io.BytesIO(), io.StringIO()
    table = csv.writer(lines, lineterminator="\n")
    with zipfile.ZipFile(out, "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            table.writerow([path, f"sha256={digest}", len(data)])
        table.writerow([record, "", ""])
        archive.writestr(record, lines.getvalue())
    return out.getvalue()
