"""Whether artifacts are as good as the source: what is lost, whether it may be chance, errors, how near outputs are."""

from __future__ import annotations

from collections.abc import Sequence

from edgeml.core.records.evidence_details import Evidence
from edgeml.package.explain import Explanation
from edgeml.reporting.document import Column, Section, Table
from edgeml.reporting.formatting import decibels, first, shown
from edgeml.reporting.sections.drops import drops_chart
from edgeml.reporting.sections.residuals import errors_table, worst_outputs_chart, worst_samples_chart

__all__ = ["evidence_section"]

_MOST_ROWS = 100


def evidence_section(found: Sequence[Explanation], samples: int, best: str | None) -> Section | None:
    """What the verdicts rest on; None of no artifacts.

    Args:
        found: Of each artifact.
        samples: How many they were judged on.
        best: The artifact to ship, whose worst samples and outputs are shown.
    """
    if not found:
        return None
    chosen = next((one for one in found if one.recipe == best), found[0])
    evidence = chosen.evidence or Evidence()
    parts = (
        drops_chart(found),
        *_chance(found, samples),
        errors_table(found),
        worst_samples_chart(chosen.recipe, evidence),
        worst_outputs_chart(chosen.recipe, evidence),
        _nearness(found),
    )
    return Section("evidence", "Is it as good as the source?", tuple(part for part in parts if part is not None))


def _chance(found: Sequence[Explanation], samples: int) -> list[Table | str]:
    """McNemar's test of those artifacts that are right on other samples than the source."""
    tests = [(one.recipe, one.evaluation.mcnemar) for one in found if one.evaluation.mcnemar is not None]
    uneven = [(name, test) for name, test in tests if test.lost or test.gained]
    same, others = len(tests) - len(uneven), "other " if uneven else ""
    told = f"The {same} {others}artifact{'s are' if same > 1 else ' is'} right on the same samples as the source."
    notes = [told] if same else []
    if not uneven:
        return [*notes]
    columns = (
        Column("artifact", figures=False), Column("the source alone is right"), Column("the artifact alone is right"),
        Column("p"), Column("which says", figures=False),
    )  # fmt: skip
    rows = tuple(
        (name, f"{test.lost:,}", f"{test.gained:,}", f"{test.p_value:.2g}", test.significance) for name, test in uneven
    )
    title = (
        f"Of {samples:,} samples those on which one of the two is right and the other wrong. p tells how often two "
        "equally good models would differ so unevenly or more, by McNemar's exact test"
    )
    return [Table(title, columns, rows), *notes]


def _nearness(found: Sequence[Explanation]) -> Table:
    """Of each output where the evidence tells them apart, else of all."""
    known = {one.recipe: dict((one.evidence or Evidence()).parity) or {"all": one.evaluation.fidelity} for one in found}
    labelled = any(one.evaluation.fidelity.agreement is not None for one in found)
    cells = {"artifact": [recipe for recipe, outputs in known.items() for _ in outputs]}
    if any(len(outputs) > 1 for outputs in known.values()):
        cells["output"] = [shown(name) for outputs in known.values() for name in outputs]
    near = [one for outputs in known.values() for one in outputs.values()]
    cells["SQNR, dB"] = [decibels(one.sqnr_db) for one in near]
    cells["centred SQNR, dB"] = ["–" if one.centred_sqnr_db is None else decibels(one.centred_sqnr_db) for one in near]
    cells["largest difference"] = [f"{one.max_error:.2g}" for one in near]
    if labelled:
        agreeing = [one.evaluation.fidelity for one in found for _ in known[one.recipe]]
        cells["same label"] = ["–" if one.agreement is None else f"{one.agreement:.2%}" for one in agreeing]
        cells["other label"] = ["–" if one.flips is None else f"{one.flips:,}" for one in agreeing]
    rows, left_out = first(list(zip(*cells.values(), strict=True)), _MOST_ROWS)
    columns = tuple(Column(title, figures=title not in {"artifact", "output"}) for title in cells)
    return Table("How near the outputs are to the source's", columns, rows, (), left_out)
