"""The commands that messages give in a checkout, where the tests run."""

from __future__ import annotations

from tests.support.processes import repository

__all__ = ["UPGRADE_HINT", "install_hint"]

UPGRADE_HINT = f"git -C {repository()} pull"


def install_hint(extra: str) -> str:
    """The command that adds an extra."""
    return f"pip install -e '{repository()}[{extra}]'"
