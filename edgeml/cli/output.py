"""What people see, on stderr, and what machines read, on stdout."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import click
import msgspec

from edgeml.core.errors import EdgemlError

if TYPE_CHECKING:
    from rich.console import Console

    from edgeml.package.manifest import ArtifactRecord, Manifest
    from edgeml.pipeline import Step

__all__ = ["artifact_table", "console", "json_option", "plain", "print_json", "progress", "quiet_engines",
           "show_error"]  # fmt: skip

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout.")

_LOG_LINES = 15


def console() -> Console:
    """Where human text goes. Model names and labels are text, never markup."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, markup=False, soft_wrap=False)


def plain(text: str) -> str:
    """A text of a package with what would move a terminal's cursor or turn its writing shown as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def print_json(value: object) -> None:
    """One JSON document on stdout."""
    click.echo(msgspec.json.format(msgspec.json.encode(value, order="deterministic"), indent=2).decode())


def show_error(error: EdgemlError) -> None:
    """The message, the fix, and the end of what native code printed."""
    click.echo(f"error: {error.message}", err=True)
    if error.fix:
        click.echo(f"fix: {error.fix}", err=True)
    lines = error.log.strip().splitlines()
    if lines:
        click.echo("the last lines of its log:", err=True)
        for line in lines[-_LOG_LINES:]:
            click.echo(f"  {line[:200]}", err=True)


@contextlib.contextmanager
def progress() -> Iterator[Callable[[Step], None]]:
    """A bar on a terminal, nothing elsewhere."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    with Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console(),
        transient=True,
    ) as bar:
        task = bar.add_task("starting", total=None)

        def report(step: Step) -> None:
            bar.update(task, description=step.text, completed=step.done, total=step.total)

        yield report


@contextlib.contextmanager
def quiet_engines() -> Iterator[None]:
    """Keeps what engines print from native code off stderr; on an error it is shown after all."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(kept, 2)
            log.seek(0)
            sys.stderr.write(log.read().decode(errors="replace"))
            raise
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def artifact_table(manifest: Manifest) -> None:
    """A row for each artifact: what it weighs, how good it is, whether it may be used; then the notes."""
    from rich.table import Table

    measured = any(record.measurement for record in manifest.artifacts)
    labelled = manifest.data.labelled
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    table.add_column("artifact", no_wrap=True)
    headers = ["kB"]
    metric = _metric_name(manifest)
    if labelled:
        headers += [metric, "drop [95%]"]
    if manifest.source.decision is not None:
        headers.append("agree")
    headers.append("SQNR")
    if measured:
        headers.append("ms")
    for header in headers:
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for record in manifest.artifacts:
        size = manifest.files[record.file].size_bytes
        row = [record.recipe, f"{size / 1000:.1f}"]
        if labelled:
            row += [_metric(record, metric), _drop(record)]
        fidelity = record.evaluation.fidelity
        if manifest.source.decision is not None:
            row.append("-" if fidelity.agreement is None else f"{fidelity.agreement:.1%}")
        row.append(f"{fidelity.sqnr_db:.1f}")
        if measured:
            row.append("-" if record.measurement is None else f"{record.measurement.median_ms:.3f}")
        table.add_row(*row, record.verdict.status, style=None if record.verdict.released else "yellow")
    for refused in manifest.refused:
        table.add_row(refused.recipe, *["-"] * len(headers), "refused", style="dim")
    output = console()
    output.print(table)
    for line in notes(manifest):
        output.print(line)


def notes(manifest: Manifest) -> list[str]:
    """Why artifacts were rejected and recipes refused, and what limits the proof."""
    lines = [
        f"{r.recipe} is rejected: {'; '.join(r.verdict.reasons)}." for r in manifest.artifacts if not r.verdict.released
    ]
    for refused in manifest.refused:
        fix = f" Fix: {refused.fix}" if refused.fix else ""
        lines.append(f"{refused.recipe} is refused: {refused.reason}{fix}")
    remarks: dict[str, list[str]] = {}
    for record in manifest.artifacts:
        for remark in record.verdict.remarks:
            remarks.setdefault(remark, []).append(record.recipe)
    everywhere = len(manifest.artifacts)
    for remark, recipes in remarks.items():
        lines.append(f"{'All' if len(recipes) == everywhere else ', '.join(recipes)}: {remark}.")
    data = manifest.data
    if data.overlap:
        lines.append(
            f"{data.overlap} of the {data.judged_samples} evaluation samples are calibration samples too, which "
            "flatters the quantized artifacts."
        )
    if data.judged_on != "evaluation":
        lines.append(f"Judged on {data.judged_samples} {data.judged_on} samples: no evaluation data were given.")
    return lines


def _metric_name(manifest: Manifest) -> str:
    names = {"classification": "accuracy", "regression": "r2", "reconstruction": "relative_mse"}
    return names.get(manifest.source.task or "", "accuracy")


def _metric(record: ArtifactRecord, name: str) -> str:
    value = getattr(record.evaluation.metrics, name, None)
    if value is None:
        return "-"
    return f"{value:.1%}" if name == "accuracy" else f"{value:.4f}"


def _drop(record: ArtifactRecord) -> str:
    drop = record.evaluation.drop
    if drop is None:
        return "-"
    if drop.metric == "accuracy":
        return f"{100 * drop.value:+.1f} [{100 * drop.low:+.1f},{100 * drop.high:+.1f}]"
    return f"{drop.value:+.4f} [{drop.low:+.4f},{drop.high:+.4f}]"
