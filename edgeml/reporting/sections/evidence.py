"""Quality of artifacts against the source: drops, their significance, errors, and closeness of outputs."""

from __future__ import annotations

from collections.abc import Sequence

from edgeml.core.records.evidence_details import Evidence
from edgeml.package.explain import Explanation
from edgeml.reporting.document import Column, Section, Table
from edgeml.reporting.formatting import display_text, format_db, format_significance, truncate
from edgeml.reporting.sections.drops import drops_chart
from edgeml.reporting.sections.residuals import errors_table, worst_outputs_chart, worst_samples_chart

__all__ = ["evidence_section"]

_MAX_ROWS = 100


def evidence_section(explanations: Sequence[Explanation], samples: int, best: str | None) -> Section | None:
    """Return the evidence of the verdicts; None without artifacts.

    Args:
        explanations: Explanation of each artifact.
        samples: Number of samples that the artifacts were judged on.
        best: Recommended artifact, whose worst samples and outputs are shown.
    """
    if not explanations:
        return None
    chosen = next((item for item in explanations if item.recipe == best), explanations[0])
    evidence = chosen.evidence or Evidence()
    parts = (
        drops_chart(explanations),
        *_significance(explanations, samples),
        errors_table(explanations),
        worst_samples_chart(chosen.recipe, evidence),
        worst_outputs_chart(chosen.recipe, evidence),
        _closeness(explanations),
    )
    return Section("evidence", "Is it as good as the source?", tuple(part for part in parts if part is not None))


def _significance(explanations: Sequence[Explanation], samples: int) -> list[Table | str]:
    """Return McNemar's test of the artifacts that are right on other samples than the source."""
    tests = [(item.recipe, item.evaluation.mcnemar) for item in explanations if item.evaluation.mcnemar is not None]
    different = [(name, test) for name, test in tests if test.lost or test.gained]
    same, others = len(tests) - len(different), "other " if different else ""
    note = f"The {same} {others}artifact{'s are' if same > 1 else ' is'} right on the same samples as the source."
    notes = [note] if same else []
    if not different:
        return [*notes]
    columns = (
        Column("artifact", figures=False), Column("the source alone is right"), Column("the artifact alone is right"),
        Column("difference", figures=False),
    )  # fmt: skip
    rows = tuple(
        (name, f"{test.lost:,}", f"{test.gained:,}", format_significance(test.p_value)) for name, test in different
    )
    title = (
        f"Of {samples:,} samples those on which one of the two is right and the other wrong. p is the probability of "
        "counts at least this uneven for two equally good models, by McNemar's exact test"
    )
    return [Table(title, columns, rows), *notes]


def _closeness(explanations: Sequence[Explanation]) -> Table:
    """Return how close each output is to the source's, or all outputs together if the evidence has no details."""
    parities = {
        item.recipe: dict((item.evidence or Evidence()).parity) or {"all": item.evaluation.fidelity}
        for item in explanations
    }
    labelled = any(item.evaluation.fidelity.agreement is not None for item in explanations)
    cells = {"artifact": [recipe for recipe, outputs in parities.items() for _ in outputs]}
    if any(len(outputs) > 1 for outputs in parities.values()):
        cells["output"] = [display_text(name) for outputs in parities.values() for name in outputs]
    fidelities = [fidelity for outputs in parities.values() for fidelity in outputs.values()]
    centered = [None if fidelity.only_integers else fidelity.centred_sqnr_db for fidelity in fidelities]
    cells["SQNR, dB"] = ["–" if f.float_sqnr_db is None else format_db(f.sqnr_db) for f in fidelities]
    cells["centered SQNR, dB"] = ["–" if sqnr_db is None else format_db(sqnr_db) for sqnr_db in centered]
    if any(fidelity.equal is not None for fidelity in fidelities):
        cells["equal integers"] = ["–" if f.equal is None else f"{f.equal:.2%}" for f in fidelities]
    cells["largest difference"] = [f"{fidelity.max_error:.2g}" for fidelity in fidelities]
    if labelled:
        totals = [item.evaluation.fidelity for item in explanations for _ in parities[item.recipe]]
        cells["same label"] = ["–" if total.agreement is None else f"{total.agreement:.2%}" for total in totals]
        cells["other label"] = ["–" if total.flips is None else f"{total.flips:,}" for total in totals]
    rows, omitted = truncate(list(zip(*cells.values(), strict=True)), _MAX_ROWS)
    columns = tuple(Column(title, figures=title not in {"artifact", "output"}) for title in cells)
    return Table("How near the outputs are to the source's", columns, rows, (), omitted)
