"""Version number of the package format, and the procedure for changing the format.

Packages of format 1 made today are kept in ``tests/data``, and every later version opens and verifies them.
Therefore:

1. An optional field with a default, or a new value of a closed set (task, framework, recipe, kind of preprocessing),
   may be added within the format. A reader that does not know the field or value rejects the package as newer; the
   number stays. A field with its default value is not written, so that packages without it stay the same, byte for
   byte.
2. A field is never renamed or removed, and its meaning never changes. An attribute is renamed in the code only, by
   ``rename=`` of msgspec.
3. A rule for building is never applied on reading: packages that were valid when they were made would not open.
4. Every other change takes the next number. The reader of the previous number stays, under a name of its own, with
   its tests; `edgeml.package.manifest` then dispatches on the number, and writes only the newest format.
5. Each kind of change comes with a package made by the previous version, kept in ``tests/data`` and opened, verified
   and run by ``tests/package/test_format.py``.

The same holds for results files, whose number is in `edgeml.core.records.benchmark_results`.
"""

from __future__ import annotations

__all__ = ["FORMAT"]

FORMAT = 1
"""The format that is written, and the only format that is read."""
