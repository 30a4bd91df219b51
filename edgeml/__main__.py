"""`python -m edgeml`."""

from __future__ import annotations

from edgeml.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    main()
