"""README's lines install this project, from an index that holds another one named edgeml too."""

from __future__ import annotations

import email
import os
import re
import shutil
import subprocess
import venv
import zipfile
from pathlib import Path

import pytest

import edgeml
from tests.support.local_index import Index
from tests.support.processes import repository

pytestmark = pytest.mark.slow

FOREIGN = {
    "edgeml/__init__.py": '"""Another project."""\n\n__version__ = "99.0"\n',
    "edgeml/trees.py": "DEPTH = 3\n",
}
BASE = ("numpy", "msgspec", "click", "rich", "markdown-it-py", "mdurl", "pygments")
WHEEL = f"edgeml_toolkit-{edgeml.__version__}-py3-none-any.whl"
NEEDS_IMAGES = "from edgeml.core.errors import MissingDependencyError; print(MissingDependencyError('x', 'images').fix)"
# Stand for the network: a device is a folder, and its shell one in that folder.
SCP = '#!/bin/sh\ncp "$1" "$EDGEML_TEST_DEVICE/"\n'
SSH = '#!/bin/sh\ncd "$EDGEML_TEST_DEVICE" && shift && exec sh -c "$*"\n'


def blocks() -> list[list[str]]:
    """The lines of README's section on installing, block by block."""
    text = (repository() / "README.md").read_text(encoding="utf-8")
    section = text.partition("\n## Install\n")[2].partition("\n## ")[0]
    return [block.splitlines() for block in re.findall(r"^```bash\n(.*?)^```", section, re.MULTILINE | re.DOTALL)]


FROM_INDEX, FROM_CHECKOUT, FROM_WHEEL, ONTO_DEVICE, REMOVE = blocks()


class Machine:
    """A virtual environment of bare Python, whose pip knows the index alone.

    Args:
        folder: A new folder for it.
        index: The index.
        cwd: Where commands run.
    """

    def __init__(self, folder: Path, index: Index, cwd: Path | None = None) -> None:
        folder.mkdir()
        self.cwd = cwd or folder
        self.environment = folder / "venv"
        self.device = folder / "device"
        self.device.mkdir()
        venv.create(self.environment, with_pip=True)
        tools = folder / "tools"
        tools.mkdir()
        for name, script in (("scp", SCP), ("ssh", SSH)):
            (tools / name).write_text(script, encoding="utf-8")
            (tools / name).chmod(0o755)
        kept = {
            key: value for key, value in os.environ.items() if not key.startswith(("PIP_", "PYTHON", "VIRTUAL_ENV"))
        }
        self.variables = kept | {
            "PATH": os.pathsep.join([str(tools), str(self.environment / "bin"), os.environ["PATH"]]),
            "HOME": str(folder),
            "EDGEML_TEST_DEVICE": str(self.device),
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_INDEX_URL": index.url,
            "PIP_CACHE_DIR": str(folder / "cache"),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_NO_COMPILE": "1",  # sooner
        }

    def try_(self, line: str) -> subprocess.CompletedProcess[str]:
        """Run a line of a shell."""
        return subprocess.run(
            ["sh", "-c", line], cwd=self.cwd, env=self.variables, capture_output=True, text=True, check=False
        )

    def run(self, line: str) -> str:
        """Run a line of a shell that must succeed; what it writes to stdout."""
        done = self.try_(line)
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout

    def run_fix(self, fix: str) -> None:
        """Do what a message says."""
        for line in fix.replace("pip uninstall", "pip uninstall -y").split(", then "):
            self.run(line)

    def distributions(self) -> dict[str, str]:
        """What is installed, and in which version."""
        lines = self.run("pip list --format freeze --exclude-editable").splitlines()
        editable = self.run("pip list --format freeze --editable").splitlines()
        pairs = [line.partition("==") for line in (*lines, *editable)]
        return {name: version for name, _, version in pairs}

    def is_ours(self) -> bool:
        """Whether import and command are this project's."""
        version = self.run("python -P -c 'import edgeml; edgeml.open_package; print(edgeml.__version__)'").strip()
        done = self.try_("edgeml --version")
        assert done.stdout == f"edgeml, version {edgeml.__version__}\n", done.stderr
        return version == edgeml.__version__ and not done.stderr


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what a checkout needs to be installed."""
    folder = tmp_path_factory.mktemp("checkout with a blank")
    for name in ("edgeml", "converters", "runtimes"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(repository() / name, folder / name, symlinks=True, ignore=ignored)
    for name in (
        "pyproject.toml",
        "README.md",
        "CHANGELOG.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "LICENSE",
        "MANIFEST.in",
    ):
        shutil.copy(repository() / name, folder)
    return folder


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory, checkout: Path) -> Index:
    """An index of this project, another one named edgeml, and all that both need."""
    folder = tmp_path_factory.mktemp("index")
    index = Index(folder / "simple")
    for name in (*BASE, "setuptools"):
        index.add_installed(name)
    for version in ("0.0.1", "99.0"):
        index.add_files("edgeml", version, FOREIGN)
    builder = Machine(folder / "builder", index, checkout)
    builder.run(FROM_WHEEL[0])
    wheel = checkout / "dist" / WHEEL
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        metadata = email.message_from_bytes(
            archive.read(f"{WHEEL.removesuffix('-py3-none-any.whl')}.dist-info/METADATA")
        )
    assert {"edgeml/converters/keras/to_tflite.py", "edgeml/runtimes/session/session.py"} <= set(names)
    assert not [name for name in names if name.startswith(("converters", "runtimes", "tests"))]
    for requirement in metadata.get_all("Requires-Dist", []):
        if not requirement.startswith("edgeml-toolkit"):
            index.add_stub(requirement)
    index.add(WHEEL, wheel.read_bytes())
    shutil.rmtree(checkout / "dist")
    return index


def test_from_an_index(tmp_path: Path, index: Index) -> None:
    machine = Machine(tmp_path / "machine", index)
    litert, onnx, build_machine = FROM_INDEX
    machine.run(litert)
    assert machine.is_ours()
    assert {"ai-edge-litert", "edgeml-toolkit"} <= set(machine.distributions())
    done = machine.try_("edgeml demo")
    assert done.returncode == 2
    assert "needs the extra 'all', which is not installed" in done.stderr
    assert f"fix: {build_machine}\n" in done.stderr
    machine.run_fix(machine.run(f'python -P -c "{NEEDS_IMAGES}"').strip())
    assert "pillow" in machine.distributions()
    for line in (litert, onnx, build_machine):
        machine.run(line)
        machine.run(line.replace("install", "install -U"))
        assert machine.is_ours()
    machine.run(litert.replace("install", "install --force-reinstall"))
    assert machine.is_ours()
    installed = machine.distributions()
    assert "edgeml" not in installed
    assert {"edgeml-toolkit", "onnxruntime", "tensorflow", "scikit-learn", "vl-convert-python"} <= set(installed)


def test_from_a_wheel_and_from_a_checkout(tmp_path: Path, index: Index, checkout: Path) -> None:
    machine = Machine(tmp_path / "machine", index, checkout)
    for line in FROM_WHEEL:
        machine.run(line)
    assert machine.is_ours()
    assert "onnxruntime" in machine.distributions()
    fix = machine.run(f'python -P -c "{NEEDS_IMAGES}"').strip()
    assert fix == f"pip install '{checkout}/dist/{WHEEL}[images]'"
    machine.run_fix(fix)
    assert "pillow" in machine.distributions()
    shutil.rmtree(checkout / "dist")
    fix = machine.run(f'python -P -c "{NEEDS_IMAGES}"').strip()
    assert fix == f"in the folder with {WHEEL}: pip install './{WHEEL}[images]'"

    for line in FROM_CHECKOUT:
        machine.run(line)
    assert machine.is_ours()
    assert "tensorflow" in machine.distributions()
    elsewhere = machine.run(f'python -P -c "{NEEDS_IMAGES}"').strip()
    assert elsewhere == f"pip install -e '{checkout}[images]'"
    machine.run_fix(elsewhere)

    machine.run("pip install .")
    fix = machine.run(f'python -P -c "{NEEDS_IMAGES}"').strip()
    assert fix == f"pip install '{checkout}[images]'"
    machine.run_fix(fix)
    assert machine.is_ours()


def test_from_a_checkout_onto_a_device(tmp_path: Path, index: Index, checkout: Path) -> None:
    machine = Machine(tmp_path / "machine", index, checkout)
    for line in ONTO_DEVICE:
        machine.run(line)
    assert "edgeml-toolkit" not in machine.distributions()
    bin_ = machine.device / "venv" / "bin"
    assert machine.run(f"{bin_}/edgeml --version") == f"edgeml, version {edgeml.__version__}\n"
    machine.run(f"{bin_}/python -P -c 'import edgeml; edgeml.open_package'")
    assert "ai-edge-litert" in machine.run(f"{bin_}/pip list")
    fix = machine.run(f'{bin_}/python -P -c "{NEEDS_IMAGES}"').strip()
    assert fix == f"pip install '{machine.device}/{WHEEL}[images]'"
    machine.run(f"{bin_}/{fix}")


def test_another_project_in_the_same_environment(tmp_path: Path, index: Index) -> None:
    machine = Machine(tmp_path / "machine", index)
    machine.run("pip install edgeml==0.0.1")
    machine.run(FROM_INDEX[0])
    done = machine.try_("edgeml --version")
    assert done.returncode == 0
    assert done.stdout == f"edgeml, version {edgeml.__version__}\n"
    assert "warning: 'edgeml' 0.0.1 is installed too. That is another project, not edgeml-toolkit" in done.stderr
    fix = "pip uninstall edgeml edgeml-toolkit, then pip install edgeml-toolkit"
    assert f"fix: {fix}\n" in done.stderr
    assert done.stderr == "".join(machine.try_("edgeml targets").stderr.splitlines(keepends=True)[:2])
    hint = machine.run(f'python -P -c "{NEEDS_IMAGES}"').strip()
    assert hint == "pip uninstall edgeml edgeml-toolkit, then pip install 'edgeml-toolkit[images]'"
    machine.run_fix(hint)
    assert machine.is_ours()
    assert "edgeml" not in machine.distributions()

    machine.run("pip install edgeml")  # the other project's __init__.py takes the place of ours
    done = machine.try_("edgeml verify x.edgeml")
    assert done.returncode == 2
    assert "error: This installation of edgeml is damaged: 'edgeml' 99.0 is installed too" in done.stderr
    assert f"fix: {fix}\n" in done.stderr
    machine.run("pip uninstall -y edgeml")  # and pip removes it with the other project
    done = machine.try_("edgeml verify x.edgeml")
    assert done.returncode == 2
    assert "damaged: edgeml/__init__.py is not that of edgeml-toolkit" in done.stderr
    assert "fix: pip uninstall edgeml-toolkit, then pip install edgeml-toolkit\n" in done.stderr
    machine.run_fix("pip uninstall edgeml-toolkit, then pip install edgeml-toolkit")
    assert machine.is_ours()

    machine.run("pip install -U edgeml")
    for line in REMOVE:
        machine.run_fix(line)
    machine.run(FROM_INDEX[1])
    assert machine.is_ours()


def test_a_fork_under_another_name(tmp_path: Path, index: Index) -> None:
    index.add_files("my-edgeml-fork", "1.0", {"edgeml/extra.py": "DEPTH = 3\n"})
    machine = Machine(tmp_path / "machine", index)
    machine.run(FROM_INDEX[1])
    machine.run("pip install my-edgeml-fork")
    done = machine.try_("edgeml --version")
    assert done.returncode == 0
    assert "warning: 'my_edgeml_fork' 1.0 is installed too" in done.stderr
