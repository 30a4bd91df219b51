"""Benchmarks on devices whose both ends look again many times a second: what they do stays, what they wait for goes."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

import edgeml
from edgeml.measurement.devices import agent, code, connection, job

__all__ = ["EDGEML", "hasten"]

AGENT = {"_HEARTBEAT_S": 0.35, "_POLL_S": 0.02}  # below the three replies a second that are a flood
CALLER = ((connection, "_TICK_S", 0.02), (connection, "_END_S", 0.2), (job, "_SHORTEST_PAUSE_S", 0.2))
EDGEML = (
    "import sys; from pathlib import Path; from pytest import MonkeyPatch;"
    " from tests.support.hasty_devices import hasten; hasten(MonkeyPatch(), Path(sys.argv.pop(1)));"
    " from edgeml.cli import main; main()"
)
"""For ``python -c``, in the checkout: ``edgeml`` with shorter waits; the first argument is a folder of `hasten`."""


def hasten(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Shortens the waits of this process's benchmarks on devices, at both ends.

    Args:
        patch: What undoes it.
        folder: Where the sources lie that devices get, with the agent's constants replaced; it is filled if empty.
    """
    sources = folder / "edgeml"
    file = sources / "measurement/devices/agent.py"
    if not sources.exists():
        shutil.copytree(Path(edgeml.__file__).parent, sources, ignore=shutil.ignore_patterns("__pycache__"))
        text = file.read_text(encoding="utf-8")
        for name, seconds in AGENT.items():
            text, found = re.subn(rf"^{name} = .*$", f"{name} = {seconds}", text, flags=re.MULTILINE)
            assert found == 1, name
        file.write_text(text, encoding="utf-8")
    original = code._folder
    patch.setattr(code, "_folder", lambda module: sources if module == "edgeml" else original(module))
    patch.setattr(agent, "__file__", str(file))
    for module, name, seconds in CALLER:
        patch.setattr(module, name, seconds)
