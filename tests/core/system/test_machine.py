"""This machine, against what Python and the system's own commands tell of it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys

import numpy as np
import pytest

from edgeml.core.system.machine import cores, cpu, installed_version, missing_features

HERE = platform.machine()


def test_the_architecture_and_the_order_of_features() -> None:
    found = cpu()
    assert found.architecture == HERE
    assert list(found.features) == sorted(set(found.features))
    assert cpu() == found


@pytest.mark.skipif(shutil.which("lscpu") is None, reason="there is no lscpu")
def test_features_are_those_that_lscpu_tells() -> None:
    told = subprocess.run(["lscpu"], capture_output=True, text=True, check=True, env=os.environ | {"LC_ALL": "C"})
    flags = next(line for line in told.stdout.splitlines() if line.startswith("Flags:")).split()
    found = set(cpu().features)
    assert found - {"vnni"} <= set(flags)
    assert ("vnni" in found) == bool({"avx_vnni", "avx512_vnni"} & set(flags))
    for feature in ("avx", "avx2", "fma", "asimd", "asimddp"):
        assert (feature in found) == (feature in flags)


def test_cores_are_those_that_this_process_may_use() -> None:
    assert cores() == len(os.sched_getaffinity(0))
    narrowed = (
        "import os; os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); "
        "from edgeml.core.system.machine import cores; print(cores())"
    )
    told = subprocess.run([sys.executable, "-c", narrowed], capture_output=True, text=True, check=True)
    assert told.stdout.split() == ["1"]


def test_features_that_this_machine_lacks() -> None:
    here = tuple(f"{HERE}:{feature}" for feature in cpu().features)
    assert missing_features(()) == ()
    assert missing_features(here) == ()
    assert missing_features((f"{HERE}:telepathy", *here, f"{HERE}:beads")) == ("telepathy", "beads")
    assert missing_features(("abacus:telepathy",)) == ()  # of another architecture


def test_versions_of_distributions() -> None:
    assert installed_version("numpy") == np.__version__
    assert installed_version("no-such-distribution") is None
