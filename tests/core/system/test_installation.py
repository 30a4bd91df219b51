"""Where a copy came from, by the records of pip (PEP 610), and the commands that extend and update it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from edgeml.core.system import installation
from edgeml.core.system.installation import Origin, find_conflict, find_damage, index_command, origin, origin_of
from tests.support.hints import UPGRADE_HINT, install_hint
from tests.support.processes import repository


def site(folder: Path, record: object) -> Path:
    """A folder of installed packages that has ours, with the record of where it came from."""
    metadata = folder / "edgeml_toolkit-0.1.0.dist-info"
    metadata.mkdir(parents=True)
    if record is not None:
        text = record if isinstance(record, str) else json.dumps(record)
        (metadata / "direct_url.json").write_text(text, encoding="utf-8")
    return folder


# The forms of records are those of PEP 610's examples.
@pytest.mark.parametrize(
    ("record", "install", "upgrade"),
    [
        (None, "pip install 'edgeml-toolkit[onnx]'", "pip install --upgrade edgeml-toolkit"),
        (
            {"url": "https://example.org/edgeml_toolkit-0.1.0-py3-none-any.whl", "archive_info": {}},
            "pip install 'edgeml-toolkit[onnx] @ https://example.org/edgeml_toolkit-0.1.0-py3-none-any.whl'",
            "install a newer file than edgeml_toolkit-0.1.0-py3-none-any.whl",
        ),
        (
            {
                "url": "https://git@example.org/edgeml.git",
                "vcs_info": {"vcs": "git", "requested_revision": "main", "commit_id": "7921be1537"},
                "subdirectory": "python",
            },
            "pip install 'edgeml-toolkit[onnx] @ git+https://git@example.org/edgeml.git@7921be1537#subdirectory=python'",
            "pip install --upgrade 'edgeml-toolkit @ git+https://git@example.org/edgeml.git#subdirectory=python'",
        ),
        (
            {"url": "ssh://git@example.org/edgeml.git", "vcs_info": {"vcs": "git", "commit_id": "7921be15"}},
            "pip install 'edgeml-toolkit[onnx] @ git+ssh://git@example.org/edgeml.git@7921be15'",
            "pip install --upgrade 'edgeml-toolkit @ git+ssh://git@example.org/edgeml.git'",
        ),
        (
            {"url": "file:///a%20b", "vcs_info": {"vcs": "git", "commit_id": "7921be15"}},
            "pip install 'edgeml-toolkit[onnx] @ git+file:///a%20b@7921be15'",
            "pip install --upgrade 'edgeml-toolkit @ git+file:///a%20b'",
        ),
        (
            {"url": "file:///gone/x%20", "dir_info": {}},
            "in a checkout of edgeml: pip install '.[onnx]'",
            "replace /gone/x ",
        ),
        (
            {"url": "file:///a%20b", "dir_info": {"editable": True}},
            "pip install -e '/a b[onnx]'",
            "replace /a b by",
        ),
        (
            {"url": "file:///gone/edgeml_toolkit-0.1.0.tar.gz", "archive_info": {}},
            "in the folder with edgeml_toolkit-0.1.0.tar.gz: pip install './edgeml_toolkit-0.1.0.tar.gz[onnx]'",
            "install a newer file than edgeml_toolkit-0.1.0.tar.gz",
        ),
    ],
)
def test_the_commands_follow_pips_record(tmp_path: Path, record: object, install: str, upgrade: str) -> None:
    found = origin_of(site(tmp_path, record))
    assert found.install_command("onnx") == install
    assert found.upgrade_command().startswith(upgrade)


@pytest.mark.parametrize("record", ["", "{", "[]", "null", "{}", '{"url": 7}', '{"url": "\udc80"}', '{"dir_info": {}}'])
def test_a_record_that_cannot_be_read_is_none(tmp_path: Path, record: str) -> None:
    metadata = site(tmp_path, None) / "edgeml_toolkit-0.1.0.dist-info"
    (metadata / "direct_url.json").write_bytes(record.encode(errors="surrogateescape"))
    assert origin_of(tmp_path) == Origin("index")


def test_a_wheel_that_is_still_there_is_named_with_its_path(tmp_path: Path) -> None:
    wheel = tmp_path / "my wheels" / "edgeml_toolkit-0.1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    wheel.touch()
    found = origin_of(site(tmp_path / "site", {"url": wheel.as_uri(), "archive_info": {}}))
    assert found.install_command("onnx") == f"pip install '{wheel}[onnx]'"
    assert found.install_command() == f"pip install '{wheel}'"


def test_a_folder_without_records_counts_as_an_index(tmp_path: Path) -> None:
    assert origin_of(tmp_path) == origin_of(tmp_path / "absent") == Origin("index")
    assert index_command() == "pip install edgeml-toolkit"


def test_the_tests_run_in_a_checkout() -> None:
    assert origin() == Origin("checkout", str(repository()))
    assert origin().install_command("onnx") == install_hint("onnx")
    assert origin().upgrade_command() == UPGRADE_HINT
    assert find_damage() is None


@pytest.fixture
def path_entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that Python searches for packages."""
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(installation, "_other_by_name", installation._other_by_name.__wrapped__)
    return tmp_path


@pytest.mark.parametrize("name", ["edgeml-0.3.dist-info", "edgeml-0.3.egg-info"])
def test_another_project_is_named(path_entry: Path, name: str) -> None:
    (path_entry / name).mkdir()
    conflict = find_conflict()
    assert conflict is not None
    assert conflict.message.startswith("'edgeml' 0.3 is installed too. That is another project")
    assert conflict.fix == f"pip uninstall edgeml edgeml-toolkit, then pip install -e {repository()}"
    assert installation.install_command("onnx").startswith("pip uninstall edgeml edgeml-toolkit, then pip install -e '")


@pytest.mark.parametrize("name", ["edgeml.egg-info", "edgeml_extras-1.0.dist-info", "edgeml"])
def test_what_a_build_leaves_in_a_checkout_and_similar_names_are_no_conflict(path_entry: Path, name: str) -> None:
    (path_entry / name).mkdir()
    assert find_conflict() is None


def test_a_checkout_installed_under_its_earlier_name_is_no_conflict(path_entry: Path) -> None:
    record = path_entry / "edgeml-0.1.0.dist-info" / "direct_url.json"
    record.parent.mkdir()
    record.write_text(json.dumps({"url": repository().as_uri(), "dir_info": {"editable": True}}), encoding="utf-8")
    assert find_conflict() is None


def test_a_hint_costs_no_import_of_package_metadata() -> None:
    code = (
        "import sys; from edgeml.core.errors import MissingDependencyError; MissingDependencyError('x', 'onnx'); "
        "assert 'importlib.metadata' not in sys.modules and 'edgeml.core.system.installation' in sys.modules"
    )
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-S", "-c", code], env=variables, check=True)  # -S: .pth files may load anything
