"""Fidelity of artifacts with free sizes, at each combination of sizes that they were proven at."""

from __future__ import annotations

from edgeml.core.free_sizes import size_text
from edgeml.core.records.evidence import Fidelity
from edgeml.package.manifest import Manifest
from edgeml.reporting.document import Column, Section, Table
from edgeml.reporting.formatting import display_text, format_db, truncate

__all__ = ["sizes_section"]

_MAX_ROWS = 100


def sizes_section(manifest: Manifest) -> Section | None:
    """Return a table of the sizes that artifacts were proven at; None without free sizes."""
    if not manifest.golden.sizes:
        return None
    rows = [
        (display_text(size_text(sizes)), record.recipe, f"{fidelity.samples:,}", *_cells(fidelity))
        for record in manifest.artifacts
        for sizes, fidelity in (
            (manifest.golden.sizes, record.evaluation.fidelity),
            *((each.sizes, each.fidelity) for each in record.evaluation.at_sizes),
        )
    ]
    rows.sort(key=lambda row: row[0])
    kept, omitted = truncate(rows, _MAX_ROWS)
    columns = (
        Column("sizes", figures=False), Column("artifact", figures=False), Column("samples"), Column("agree"),
        Column("equal integers"), Column("SQNR, dB"),
    )  # fmt: skip
    title = "Inputs of other sizes run too; these are the ones that the artifacts were compared with the source at"
    return Section("sizes", "Free sizes", (Table(title, columns, kept, (), omitted),))


def _cells(fidelity: Fidelity) -> tuple[str, str, str]:
    return (
        "–" if fidelity.agreement is None else f"{fidelity.agreement:.1%}",
        "–" if fidelity.equal is None else f"{fidelity.equal:.1%}",
        "–" if fidelity.float_sqnr_db is None else format_db(fidelity.sqnr_db),
    )
