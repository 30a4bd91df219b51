"""The number of the package format, and the procedure of a change.

Packages of format 1 made today are kept in ``tests/data``, and every later version opens and verifies them. So

1. an optional field with a default, or a new value of a closed set (task, framework, recipe, kind of preprocessing),
   may be added within the format. A reader that does not know it refuses the package as newer, by the unknown field or
   value; nothing is done to the number. A field that is left at its default is not written, so that packages without
   it stay as they were, byte for byte.
2. A field is not renamed, removed or given another meaning. An attribute is renamed in the code alone, by
   ``rename=`` of msgspec.
3. A rule that is meant for building is not applied on reading: it would close packages that were right when they were
   made.
4. Whatever cannot be done so takes the next number. The reader of the number before stays, under a name of its own,
   with its tests; `edgeml.package.manifest` then dispatches on the number, and writes the newest alone.
5. Each kind of change comes with a package made by the version before it, kept in ``tests/data`` and opened, verified
   and run by ``tests/package/test_format.py``.

The same holds for results files, whose number is in `edgeml.core.records.benchmark_results`.
"""

from __future__ import annotations

__all__ = ["FORMAT"]

FORMAT = 1
"""The format that is written, and the only one that is read."""
