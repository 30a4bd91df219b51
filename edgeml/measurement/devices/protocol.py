"""Messages between a benchmark's caller and the agent on the device, and the output of `edgeml verify` there."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

__all__ = ["Check", "Fetched", "Look", "Progress", "State", "Verified"]

State = Literal["none", "running", "done", "kept", "stopped"]
"""State of a job: absent, at work, ended, ended and fetched before, or stopped before its end."""


class Look(Struct, frozen=True):
    """The device before a job.

    Attributes:
        lacking: Reason by name of what the device lacks.
        engines: Engines that are installed.
        free_bytes: Free space on its disk.
        folder: Folder of the job.
        state: State of the job.
    """

    lacking: dict[str, str]
    engines: tuple[str, ...]
    free_bytes: int
    folder: str
    state: State


class Progress(Struct, frozen=True):
    """A job's progress.

    Attributes:
        state: State of the job.
        waiting: Whether another job runs there first.
        lines: Number of lines of its log so far.
        log: Lines of its log that were not yet sent.
        free_bytes: Free space on the disk, if the device reports it.
    """

    state: State
    waiting: bool = False
    lines: int = 0
    log: str = ""
    free_bytes: int | None = None


class Fetched(Struct, frozen=True):
    """The results of a job.

    Attributes:
        codes: Exit code by step.
        logs: Standard error by step.
        files: Base64 of a file by its name; None for a file that is missing.
        free_bytes: Free space on the disk.
    """

    codes: dict[str, int] = {}
    logs: dict[str, str] = {}
    files: dict[str, str | None] = {}
    free_bytes: int = 0


class Check(Struct, frozen=True):
    """One golden run, as `edgeml verify --json` prints it."""

    recipe: str
    family: str
    status: Literal["holds", "fails", "not run"]
    detail: str


class Verified(Struct, frozen=True):
    """The result of `edgeml verify --json`."""

    digest: str
    golden: tuple[Check, ...]
