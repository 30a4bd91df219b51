"""`python -m edgeml`: the command line."""

from __future__ import annotations

from edgeml.cli import main

if __name__ == "__main__":
    main()
