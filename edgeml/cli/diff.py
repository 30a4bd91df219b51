"""`edgeml diff`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from edgeml.cli.output import console, json_option, print_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from edgeml.package.diff import ArtifactDiff, Change, Figures, LabelsDiff, PackageDiff, PredictionDiff

__all__ = ["command"]

_SHOWN = 10
_SHOWN_FLIPS = 5
_WIDTH = 200
_PATH = click.Path(path_type=Path)


@click.command("diff", short_help="Show what changed from one package to the next.")
@click.argument("old", type=_PATH)
@click.argument("new", type=_PATH)
@click.option("--inputs", type=_PATH, help="What to run both on, .npy or .npz; by default their golden inputs.")
@click.option("--results", type=_PATH, multiple=True, help="What edgeml bench wrote of OLD or NEW. Repeatable.")
@click.option("--fail-if-incompatible", is_flag=True, help="Exit with 1 if NEW cannot take OLD's place.")
@json_option
@click.pass_context
def command(
    ctx: click.Context,
    /,
    old: Path,
    new: Path,
    *,
    inputs: Path | None,
    results: tuple[Path, ...],
    fail_if_incompatible: bool,
    as_json: bool,
) -> None:
    """Show what changed from OLD to NEW, and whether NEW can take OLD's place.

    \b
    edgeml diff net.edgeml new.edgeml
    edgeml diff net.edgeml new.edgeml --inputs x.npy
    edgeml diff net.edgeml new.edgeml --results net.json --results new.json
    edgeml diff net.edgeml new.edgeml --fail-if-incompatible --json | jq .reasons

    Compares names, labels, inputs and outputs, and each artifact's size, accuracy, parity, latency and needs, and
    the evidence: agreement, flips, McNemar's test, calibration, the recall of classes. What one lacks is missing.
    The same inputs run through each artifact of both, where its engine is installed, and labels that changed
    are counted and named.

    Compatible: the same inputs, outputs, labels and preprocessing, each released artifact still released, and no
    new need.
    """
    from edgeml.cli.predict_worker import running
    from edgeml.package.diff import PackageDiff

    with running(old) as child:
        files = [path.absolute() for path in results]
        found = child.call("diff", new.absolute(), inputs and inputs.absolute(), files, returns=PackageDiff)
    if as_json:
        print_json(found)
    else:
        _show(found, console())
    ctx.exit(1 if fail_if_incompatible and not found.compatible else 0)


def _show(found: PackageDiff, out: Console) -> None:
    from edgeml.cli.diff_evidence import evidence_table
    from edgeml.cli.diff_measured import measured_lines

    if found.same:
        out.print(f"The two files are the same: {found.new_digest}", soft_wrap=True)
        return
    _list(out, "changed", map(_change, found.identity))
    _list(out, "labels", _labels(found.labels))
    _list(out, "signature", map(_change, found.signature))
    _list(out, "preprocessing", map(_change, found.preprocessing))
    answers = {prediction.recipe: prediction for prediction in found.predictions}
    if found.artifacts:
        out.print(_table(found.artifacts, answers))
    table = evidence_table(found.artifacts)
    if table is not None:
        out.print(table)
    notes = [note for artifact in found.artifacts for note in _notes(artifact, answers.get(artifact.recipe))]
    _list(out, "artifacts", notes)
    _list(out, "measured", measured_lines(found.measured))
    _list(out, "look at", found.remarks)
    if found.compatible:
        out.print("Compatible: the same inputs, outputs and labels, nothing lost, and no new need.", soft_wrap=True)
        return
    _list(out, "Not compatible:", found.reasons)


def _list(out: Console, title: str, lines: Iterable[str]) -> None:
    for i, line in enumerate(lines):
        if i == 0:
            out.print(title, style="bold")
        out.print(f"  {line}", soft_wrap=True)


def _change(change: Change) -> str:
    old, new = (_short(value) if value is not None else "none" for value in (change.old, change.new))
    return f"{change.what}: {old} -> {new}"


def _short(text: str) -> str:
    return f"{text[:19]}…" if text.startswith("sha256:") else text if len(text) <= _WIDTH else f"{text[:_WIDTH]}…"


def _labels(labels: LabelsDiff) -> list[str]:
    groups = (("added", labels.added), ("removed", labels.removed), ("moved", labels.moved))
    return [
        f"{name}: {', '.join(_short(str(value)) for value in values[:_SHOWN])}{', …' if len(values) > _SHOWN else ''}"
        for name, values in groups
        if values
    ]


def _table(artifacts: Iterable[ArtifactDiff], answers: dict[str, PredictionDiff]) -> Table:
    """Two rows for each artifact, old above new."""
    from rich.table import Table

    artifacts = tuple(artifacts)
    sides = [side for artifact in artifacts for side in (artifact.old, artifact.new) if side is not None]
    metrics = {side.metric for side in sides if side.metric}
    metric = metrics.pop() if len(metrics) == 1 else "metric"
    columns = ["kB", metric, "drop", "SQNR"]
    if any(side.median_ms is not None for side in sides):
        columns.append("ms")
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for name in ("artifact", "", "verdict"):
        table.add_column(name, no_wrap=True)
    for name in (*columns, "flips"):
        table.add_column(name, justify="right", no_wrap=True)
    for artifact in artifacts:
        answer = answers.get(artifact.recipe)
        same = artifact.same_bytes and artifact.old == artifact.new
        if same:
            table.add_row(artifact.recipe, "=", *_cells(artifact.new, columns), _flips(answer), style="dim")
            continue
        table.add_row(artifact.recipe, "old", *_cells(artifact.old, columns), "")
        table.add_row("", "new", *_cells(artifact.new, columns), _flips(answer))
    return table


def _cells(side: Figures | None, columns: list[str]) -> list[str]:
    if side is None:
        return ["-"] * (len(columns) + 1)
    percent = side.metric == "accuracy"
    cells = [
        side.status,
        _cell(side.size_bytes and side.size_bytes / 1000, ".1f"),
        _cell(side.value, ".1%" if percent else ".4f"),
        _cell(side.drop if side.drop is None or not percent else 100 * side.drop, "+.1f" if percent else "+.4f"),
        _cell(side.sqnr_db, ".1f"),
    ]
    return [*cells, _cell(side.median_ms, ".3f")] if "ms" in columns else cells


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _flips(answer: PredictionDiff | None) -> str:
    if answer is None or answer.flipped is None:
        return "same" if answer is not None and answer.status == "same" else "-"
    return f"{answer.flipped}/{answer.samples}"


def _notes(artifact: ArtifactDiff, answer: PredictionDiff | None) -> list[str]:
    """What the tables do not say of an artifact."""
    from edgeml.cli.diff_evidence import evidence_notes

    notes = [f"{artifact.recipe}: {_needs(change)}" for change in artifact.needs]
    notes += evidence_notes(artifact)
    if answer is None:
        return notes
    if answer.status == "not run":
        notes.append(f"{answer.recipe} was not run: {answer.detail}")
    elif answer.flips:
        shown = "; ".join(
            f"{flip.sample}: {_short(str(flip.old))} -> {_short(str(flip.new))}" for flip in answer.flips[:_SHOWN_FLIPS]
        )
        more = "; …" if (answer.flipped or 0) > _SHOWN_FLIPS else ""
        notes.append(f"{answer.recipe} gives other labels for {answer.flipped} of {answer.samples}: {shown}{more}")
    elif answer.status == "ran" and answer.flipped is None and answer.max_difference is not None:
        notes.append(f"{answer.recipe} differs by up to {answer.max_difference:.3g} over {answer.samples} samples")
    return notes


def _needs(change: Change) -> str:
    """A change of needs; of lists only what came and went."""
    if change.what not in {"operators", "CPU features"}:
        return _change(change)
    old, new = (dict.fromkeys((value or "").split(", ")) for value in (change.old, change.new))
    parts = [f"+{name}" for name in new if name and name not in old] + [
        f"-{name}" for name in old if name and name not in new
    ]
    return f"{change.what} {' '.join(parts) or 'in another order'}"
