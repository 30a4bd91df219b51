"""Temporary folders: those of dead processes are removed, and no others."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from edgeml.core.system.temporary import TemporaryFolder


def test_folders_in_use_and_those_of_others_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    abandoned = tmp_path / "edgeml-tmp-abandoned"
    (abandoned / "deep").mkdir(parents=True)
    (abandoned / "deep" / "file").write_bytes(b"x")
    foreign = tmp_path / "edgeml-something"
    foreign.mkdir()
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_bytes(b"x")
    (tmp_path / "edgeml-tmp-link").symlink_to(outside)
    with TemporaryFolder() as first:
        assert not abandoned.exists()
        (first / "file").write_bytes(b"x")
        with TemporaryFolder() as second:
            assert second != first
            assert (first / "file").exists()
            assert oct(second.stat().st_mode & 0o777) == "0o700"
        assert not second.exists()
        assert first.exists()
    assert not first.exists()
    assert foreign.exists()
    assert (outside / "file").exists()
