"""A report as Markdown for a pull request."""

from __future__ import annotations

import html
import re

from edgeml.reporting.document import Chart, Document, Table

__all__ = ["write_markdown"]

# Characters with a meaning in Markdown, and $ and :, which mark formulas and links on some hosts.
_MARKUP = re.compile(r"([\\`*_{}\[\]()+!|~$:])")
# Hosts turn @name and #number into mentions, whatever precedes them; an invisible space after the character stops it.
_MENTIONS = re.compile(r"([@#])")
# Hosts turn text with this prefix into links.
_LINKS = re.compile(r"(?i)(www)\.")
_UNFOLDED = frozenset({"comparisons", "devices"})


def write_markdown(document: Document) -> str:
    """Write verdict, table and cautions, then the other sections, most of them folded."""
    lines = [f"## {_escape(document.title)}", "", f"**{_escape(document.verdict)}**", "", *_table(document.table), ""]
    if document.cautions:
        lines += [f"- {_escape(caution)}" for caution in document.cautions]
        lines.append("")
    for section in document.sections:
        parts = [line for part in section.parts for line in _part(part)]
        if not parts:
            continue
        fold = section.key not in _UNFOLDED
        title = _escape(section.title)
        lines += ["<details>", f"<summary>{title}</summary>", ""] if fold else [f"### {title}", ""]
        lines += [*parts, *(("</details>", "") if fold else ())]
    lines.append(f"_Made by {_escape(document.generator)}._")
    return "\n".join(lines) + "\n"


def _part(part: object) -> list[str]:
    """Write a part: a chart as its summary and its table; parts without text are skipped."""
    if isinstance(part, Chart):
        title = "" if part.summary.startswith(part.title) else f"**{_escape(part.title)}.** "
        return [title + _escape(part.summary), "", *_table(part.table), ""]
    if isinstance(part, Table):
        return [f"{_escape(part.title)}:", "", *_table(part), ""]
    return [_escape(part), ""] if isinstance(part, str) else []


def _table(table: Table) -> list[str]:
    lines = [_row([column.title for column in table.columns])]
    lines.append("|" + "|".join(" ---: " if column.figures else " --- " for column in table.columns) + "|")
    states = table.states or ("",) * len(table.rows)
    for row, state in zip(table.rows, states, strict=True):
        cells = [_escape(cell) for cell in row]
        lines.append("| " + " | ".join(f"**{cell}**" if state == "best" and cell else cell for cell in cells) + " |")
    if table.omitted:
        lines += ["", f"{table.omitted:,} more are left out."]
    return lines


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(map(_escape, cells)) + " |"


def _escape(text: str) -> str:
    escaped = _MARKUP.sub(r"\\\1", html.escape(text, quote=False))
    return _MENTIONS.sub(r"\\\1&#8203;", _LINKS.sub(r"\1\\.", escaped))
