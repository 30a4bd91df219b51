"""A report as the text of a pull request."""

from __future__ import annotations

import html
import re

from edgeml.reporting.document import Chart, Document, Table

__all__ = ["markdown"]

# All that Markdown could take for markup, and $ and :, by which hosts know formulas and links.
_MARKUP = re.compile(r"([\\`*_{}\[\]()+!|~$:])")
# By these hosts call people and issues, whatever stands before them: what follows must be no name.
_CALLS = re.compile(r"([@#])")
# By this they make links of text.
_LINKS = re.compile(r"(?i)(www)\.")
_SPOKEN = frozenset({"comparisons", "devices"})


def markdown(document: Document) -> str:
    """Verdict, table and cautions; the other figures folded away."""
    lines = [f"## {_plain(document.title)}", "", f"**{_plain(document.verdict)}**", "", *_table(document.table), ""]
    if document.cautions:
        lines += [f"- {_plain(caution)}" for caution in document.cautions]
        lines.append("")
    for section in document.sections:
        parts = [line for part in section.parts for line in _part(part)]
        if not parts:
            continue
        fold = section.key not in _SPOKEN
        title = _plain(section.title)
        lines += ["<details>", f"<summary>{title}</summary>", ""] if fold else [f"### {title}", ""]
        lines += [*parts, *(("</details>", "") if fold else ())]
    lines.append(f"_Made by {_plain(document.made_by)}._")
    return "\n".join(lines) + "\n"


def _part(part: object) -> list[str]:
    """Of a chart its words and its table; nothing of what is a picture alone."""
    if isinstance(part, Chart):
        title = "" if part.summary.startswith(part.title) else f"**{_plain(part.title)}.** "
        return [title + _plain(part.summary), "", *_table(part.table), ""]
    if isinstance(part, Table):
        return [f"{_plain(part.title)}:", "", *_table(part), ""]
    return [_plain(part), ""] if isinstance(part, str) else []


def _table(table: Table) -> list[str]:
    lines = [_row([column.title for column in table.columns])]
    lines.append("|" + "|".join(" ---: " if column.figures else " --- " for column in table.columns) + "|")
    states = table.states or ("",) * len(table.rows)
    for row, state in zip(table.rows, states, strict=True):
        cells = [_plain(cell) for cell in row]
        lines.append("| " + " | ".join(f"**{cell}**" if state == "best" and cell else cell for cell in cells) + " |")
    if table.left_out:
        lines += ["", f"{table.left_out:,} more are left out."]
    return lines


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(map(_plain, cells)) + " |"


def _plain(text: str) -> str:
    marked = _MARKUP.sub(r"\\\1", html.escape(text, quote=False))
    return _CALLS.sub(r"\\\1&#8203;", _LINKS.sub(r"\1\\.", marked))
