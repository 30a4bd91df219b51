"""The installed copy of edgeml: where it came from, and the commands that extend, update and repair it.

The distribution is called ``edgeml-toolkit``, the package and the command ``edgeml``. On PyPI the name ``edgeml``
belongs to another project, whose package has the same name, so each overwrites files of the other.
"""

from __future__ import annotations

import functools
import os
import re
import shlex
import sys
from pathlib import Path
from typing import Any, Literal

import msgspec
from msgspec import Struct

__all__ = [
    "DISTRIBUTION",
    "Origin",
    "Problem",
    "find_conflict",
    "find_damage",
    "index_command",
    "install_command",
    "origin",
    "origin_of",
    "upgrade_command",
]

DISTRIBUTION = "edgeml-toolkit"
"""Name of the distribution on package indexes."""

_ROOT = Path(__file__).resolve().parents[3]  # the folder that holds the package: a checkout, or site-packages
_OWN_METADATA = re.compile(r"edgeml_toolkit-[^-]+\.(?:dist-info|egg-info)")
_OTHER_METADATA = re.compile(r"(edgeml)-([^-]+)\.(?:dist-info|egg-info)")
_ANY_METADATA = re.compile(r"(.+)-([^-]+)\.dist-info")
_PROJECT_NAME = re.compile(rf'^name = "{DISTRIBUTION}"', re.MULTILINE)


class Origin(Struct, frozen=True):
    """Source that this copy was installed from.

    Attributes:
        kind: ``index``; ``checkout``, run from the tree or installed with ``-e``; ``folder``, a checkout installed
            without ``-e``; ``file``, a wheel or sdist; ``url``, a URL of an archive or a repository.
        location: Path or URL; empty for an index.
        commit: Commit of a repository; empty for other sources.
        subdirectory: Folder of the project in the repository or archive.
    """

    kind: Literal["index", "checkout", "folder", "file", "url"]
    location: str = ""
    commit: str = ""
    subdirectory: str = ""

    def install_command(self, extra: str = "") -> str:
        """Return the command that installs edgeml from there again, with an extra where one is named."""
        extras = f"[{extra}]" if extra else ""
        if self.kind == "index":
            return index_command(extra)
        if self.kind == "url":
            return f"pip install {shlex.quote(f'{DISTRIBUTION}{extras} @ {self._url(self.commit)}')}"
        if self.kind == "checkout":
            return f"pip install -e {shlex.quote(self.location + extras)}"
        if Path(self.location).exists():
            return f"pip install {shlex.quote(self.location + extras)}"
        if self.kind == "folder":
            return f"in a checkout of edgeml: pip install {shlex.quote(f'.{extras}')}"
        name = Path(self.location).name
        return f"in the folder with {name}: pip install {shlex.quote(f'./{name}{extras}')}"

    def upgrade_command(self) -> str:
        """Return the command, or what else installs a newer edgeml from there."""
        if self.kind == "index":
            return f"pip install --upgrade {DISTRIBUTION}"
        if self.commit:
            return f"pip install --upgrade {shlex.quote(f'{DISTRIBUTION} @ {self._url()}')}"
        if self.kind in {"file", "url"}:
            return f"install a newer file than {Path(self.location).name}"
        if Path(self.location, ".git").exists():
            pull = f"git -C {shlex.quote(self.location)} pull"
            return pull if self.kind == "checkout" else f"{pull}, then {self.install_command()}"
        return f"replace {self.location} by a newer copy, then {self.install_command()}"

    def _url(self, commit: str = "") -> str:
        at = f"@{commit}" if commit else ""
        return f"{self.location}{at}{f'#subdirectory={self.subdirectory}' if self.subdirectory else ''}"


class Problem(Struct, frozen=True):
    """Fault of this installation.

    Attributes:
        message: Description for people.
        fix: Command that repairs it.
    """

    message: str
    fix: str


class _Other(Struct, frozen=True):
    """Another installed distribution that has a package named ``edgeml``."""

    name: str
    version: str

    @property
    def message(self) -> str:
        return (
            f"'{self.name}' {self.version} is installed too. That is another project, not {DISTRIBUTION}, and both "
            "install files of a package named 'edgeml'."
        )

    def repair_command(self, extra: str = "") -> str:
        """Return the command that removes both distributions, since pip removes shared files, and installs this one."""
        return f"pip uninstall {self.name} {DISTRIBUTION}, then {origin().install_command(extra)}"


def install_command(extra: str = "") -> str:
    """Return the command that adds an extra to this copy; where another project is in the way, removes that first."""
    other = _other_by_name()
    return other.repair_command(extra) if other else origin().install_command(extra)


def index_command(extra: str = "") -> str:
    """Return the command that installs from an index: for text that other machines read."""
    return f"pip install {shlex.quote(DISTRIBUTION + (f'[{extra}]' if extra else ''))}"


def upgrade_command() -> str:
    """Return what installs a newer edgeml from where this copy came from."""
    return origin().upgrade_command()


@functools.cache
def origin() -> Origin:
    """Return where this copy came from."""
    return origin_of(_ROOT)


def origin_of(root: Path) -> Origin:
    """Return where the copy in a folder came from.

    Args:
        root: Folder that holds the package: a checkout, or a folder of installed packages, in which pip records the
            source as PEP 610 has it.
    """
    if _is_checkout(root):
        return Origin("checkout", str(root))
    for name in _list(root):
        if _OWN_METADATA.fullmatch(name):
            return _recorded_origin(_direct_url(root / name))
    return Origin("index")


def _recorded_origin(record: dict[str, Any]) -> Origin:
    url = record.get("url")
    if not isinstance(url, str):
        return Origin("index")
    subdirectory = record.get("subdirectory") or ""
    repository, folder = record.get("vcs_info"), record.get("dir_info")
    if isinstance(repository, dict):
        return Origin("url", f"{repository.get('vcs')}+{url}", repository.get("commit_id") or "", subdirectory)
    path = _path_of(url)
    if path is None:
        return Origin("url", url, "", subdirectory)
    if isinstance(folder, dict):
        return Origin("checkout" if folder.get("editable") else "folder", str(path))
    return Origin("file", str(path))


def find_conflict() -> Problem | None:
    """Return the problem that another distribution with a package named ``edgeml`` is installed, or None.

    Reads the lists of files of all distributions beside this one: some milliseconds.
    """
    other = _other_by_name() or _other_by_files()
    return Problem(other.message, other.repair_command()) if other else None


def find_damage() -> Problem | None:
    """Return the problem that the package that was imported is not this one, or None.

    Another distribution replaces ``edgeml/__init__.py`` when it is installed, and pip removes the file with it.
    """
    if "open_package" in getattr(sys.modules.get("edgeml"), "__all__", ()):
        return None
    conflict = find_conflict()
    if conflict is not None:
        return Problem(f"This installation of edgeml is damaged: {conflict.message}", conflict.fix)
    return Problem(
        f"This installation of edgeml is damaged: edgeml/__init__.py is not that of {DISTRIBUTION}.",
        f"pip uninstall {DISTRIBUTION}, then {origin().install_command()}",
    )


@functools.cache
def _other_by_name() -> _Other | None:
    """Return a distribution named ``edgeml``; not a checkout that was installed before it got its present name."""
    for folder in sys.path:
        for name in _list(folder):
            match = _OTHER_METADATA.fullmatch(name)
            if match and not _is_earlier_checkout(_direct_url(Path(folder, name))):
                return _Other(match[1], match[2])
    return None


def _other_by_files() -> _Other | None:
    for name in _list(_ROOT):
        match = _ANY_METADATA.fullmatch(name)
        if match and not _OWN_METADATA.fullmatch(name) and b"\nedgeml/" in b"\n" + _read(_ROOT / name / "RECORD"):
            return _Other(match[1], match[2])
    return None


def _is_checkout(folder: Path) -> bool:
    return bool(_PROJECT_NAME.search(_read(folder / "pyproject.toml").decode("utf-8", errors="replace")))


def _is_earlier_checkout(record: dict[str, Any]) -> bool:
    path = _path_of(record.get("url"))
    return "dir_info" in record and path is not None and (path / "edgeml" / "core" / "errors.py").is_file()


def _direct_url(metadata: Path) -> dict[str, Any]:
    """Read the record of a distribution's source; empty for what came from an index."""
    data = _read(metadata / "direct_url.json")
    try:
        return msgspec.json.decode(data, type=dict[str, Any]) if data else {}
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}


def _path_of(url: object) -> Path | None:
    """Return the path of a ``file:`` URL; None for others."""
    from urllib.parse import unquote

    return Path(unquote(url.removeprefix("file://"))) if isinstance(url, str) and url.startswith("file:///") else None


def _list(folder: str | Path) -> list[str]:
    try:
        return sorted(os.listdir(folder or "."))  # noqa: PTH208  # names are enough, and pathlib is slower
    except OSError:
        return []


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
