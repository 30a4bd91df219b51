"""Devices on which `edgeml` does in no time what it did before, for tests of all that is around it."""

from __future__ import annotations

from pathlib import Path

__all__ = ["can"]

SITE = """\
import os, sys, time
words = sys.orig_argv
if "-m" in words and words[words.index("-m") + 1] == "edgeml":
    import shutil, subprocess
    here = os.path.dirname(__file__)
    step = words[words.index("-m") + 2]
    time.sleep(float(os.environ.get("CANNED_SECONDS", 0)))
    if step == "verify":
        with open(os.path.join(here, "golden.json"), "rb") as file:
            os.write(1, file.read())
    else:
        assert words[-2:] == ["-o", "results.json"]
        shutil.copy(os.path.join(here, "results.json"), "results.json")
        subprocess.run(os.environ.get("CANNED_DO", ""), shell=True, check=True)
    os._exit(0)
"""


def can(folder: Path, golden: str, results: bytes) -> dict[str, str]:
    """Fills a folder, by which `edgeml verify` and `edgeml bench` of a device give what they gave before.

    The processes are there, started by the agent with edgeml's sources beside them; they end before they load any.

    Args:
        folder: The folder.
        golden: What `edgeml verify --json` printed.
        results: What `edgeml bench` wrote.

    Returns:
        Variables for the device. By two others, ``CANNED_SECONDS`` says how long each step takes, and ``CANNED_DO``
        what a shell does to the job's files when all is written.
    """
    folder.mkdir(exist_ok=True)
    (folder / "sitecustomize.py").write_text(SITE, encoding="utf-8")
    (folder / "golden.json").write_text(golden, encoding="utf-8")
    (folder / "results.json").write_bytes(results)
    return {"PYTHONPATH": str(folder)}
