"""The command line: one file per command."""

from __future__ import annotations

import sys

try:
    from edgeml.cli.main import main
except KeyboardInterrupt:  # while the modules are loaded
    sys.stderr.write("Interrupted.\n")
    raise SystemExit(130) from None

__all__ = ["main"]
