"""The page benchmarks/results/README.md, from the results beside it; and what README shows of them.

python benchmarks/page.py
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
ORDER = (
    "overhead",
    "peers",
    "throughput",
    "sklearn_speed",
    "cold_start",
    "eight_threads",
    "isolation",
    "quantization_loss",
    "mlperf_tiny_speed",
    "sceptic",
)


SHOWN = ("overhead", "throughput")
SMALL = 0.0005  # and less, which three digits behind the point would call nothing


def section(name: str) -> str:
    """One benchmark: what it measures, in its script's own words, its machine, its table."""
    text = ast.get_docstring(ast.parse((HERE / f"{name}.py").read_text(encoding="utf-8"))) or ""
    paragraphs = [part for part in text.split("\n\n") if not part.lstrip().startswith("python ")]
    found = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    tables = [table(rows) for rows in alike(found["rows"])]
    return "\n\n".join([f"## {name.replace('_', ' ')}", *paragraphs, machine(found["machine"]), *tables])


def machine(told: dict[str, Any]) -> str:
    """The machine in a sentence."""
    versions = ", ".join(f"{name} {version}" for name, version in told["versions"].items())
    system = f"{told['cpu']}, {told['cores']} cores, {told['architecture']}, Linux {told['kernel']}"
    return f"{system}, Python {told['python']}, {versions}; load {told['load']:.1f} at the end."


def alike(rows: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Rows in groups of the same columns."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row), []).append(row)
    return list(groups.values())


def table(rows: list[dict[str, Any]]) -> str:
    """Rows as a table of Markdown, figures to the right."""
    names = list(rows[0])
    ends = ["---:" if any(str(row[name])[:1].isdigit() for row in rows) else "---" for name in names]
    lines = [names, ends, *([figure(row[name]) for name in names] for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def figure(value: object) -> str:
    """A figure as it is read: three digits where they say something."""
    if not isinstance(value, float):
        return f"{value:,}" if isinstance(value, int) else str(value)
    if value and abs(value) < SMALL:
        return f"{value:.0e}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.1f}" if abs(value) >= 100 else f"{value:.3f}"


def excerpt() -> str:
    """What README shows: the speed of one sample and of many, each beside the raw engine."""
    alone, many = (json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8")) for name in SHOWN)
    single = {(row["net"], row["artifact"]): row for row in alone["rows"] if row["call"] == "predict"}
    batches = {(row["net"], row["artifact"]): row for row in many["rows"]}
    rows = [
        {
            "net": key[0],
            "artifact": key[1],
            "one sample, us": f"{single[key]['ours us']:.1f}",
            "raw engine, us": f"{single[key]['raw us']:.1f}",
            "samples a second": batches[key]["ours a second"],
            "of the best raw loops": f"{batches[key]['share of that']:.0%}",
        }
        for key in single
        if key in batches
    ]
    return f"{table(rows)}\n\n{machine(many['machine'])}"


def shown(readme: str) -> str:
    """README with the excerpt between its two marks."""
    head, begin, rest = readme.partition("<!-- figures of benchmarks/results -->\n")
    _, end, tail = rest.partition("<!-- end of figures -->\n")
    return f"{head}{begin}\n{excerpt()}\n\n{end}{tail}"


def page() -> str:
    """All that was measured."""
    there = [name for name in ORDER if (RESULTS / f"{name}.json").exists()]
    head = "# Benchmarks\n\nFigures of one run, with the machine that it ran on. `make bench` makes them anew."
    return "\n\n".join([head, *map(section, there)]) + "\n"


def main() -> None:
    """Writes the page, and README."""
    readme = HERE.parent / "README.md"
    readme.write_text(shown(readme.read_text(encoding="utf-8")), encoding="utf-8")
    (RESULTS / "README.md").write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
