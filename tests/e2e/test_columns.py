"""Tables on terminals of any width, and in pipes."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from edgeml.cli.columns import print_columns

COLUMNS = {
    "artifact": ["tflite-int8", "onnx-fp32"],
    "target": ["cpu", "cpu"],
    "kB": ["18.5", "46.9"],
    "accuracy": ["98.0%", "97.8%"],
    "SQNR": ["43.5", "137.0"],
    "verdict": ["released", "released"],
}


def printed(width: int, *, terminal: bool, columns: dict[str, list[str]] = COLUMNS) -> list[str]:
    text = io.StringIO()
    output = Console(file=text, width=width, force_terminal=terminal, color_system=None)
    print_columns(output, columns, keys={"artifact"}, keep={"verdict"}, left={"target", "verdict"})
    return [line.rstrip() for line in text.getvalue().splitlines()]


@pytest.mark.parametrize("width", [10, 40, 100])
def test_a_pipe_gets_one_table_of_all_columns(width: int) -> None:
    head, *rows = printed(width, terminal=False)
    assert head.split() == list(COLUMNS)
    assert [row.split() for row in rows] == [list(row) for row in zip(*COLUMNS.values(), strict=True)]


def test_a_terminal_that_is_wide_enough_gets_the_same() -> None:
    assert printed(100, terminal=True) == printed(100, terminal=False)


def test_columns_without_a_difference_go_first_and_are_named_once() -> None:
    lines = printed(45, terminal=True)
    assert lines[0].split() == ["artifact", "kB", "accuracy", "SQNR", "verdict"]
    assert lines[3:] == ["The same in all rows: target cpu"]


@pytest.mark.parametrize("width", [12, 20, 24, 30, 35, 45])
def test_no_figure_is_lost_on_a_narrow_terminal(width: int) -> None:
    lines = printed(width, terminal=True)
    words = {word for line in lines for word in line.split()}
    assert words >= {cell for title in COLUMNS for cell in (title, *COLUMNS[title])}
    assert all(len(line) <= max(width, 20) for line in lines if not line.startswith("The same"))
    assert all(line.split()[0] in {"artifact", *COLUMNS["artifact"], "The"} for line in lines)


def test_a_single_row_keeps_all_columns() -> None:
    lines = printed(24, terminal=True, columns={title: cells[:1] for title, cells in COLUMNS.items()})
    assert {line.split()[0] for line in lines} == {"artifact", "tflite-int8"}
    assert {word for line in lines for word in line.split()} >= set(COLUMNS)


def test_wide_letters_and_controls_do_not_break_a_row() -> None:
    lines = printed(80, terminal=True, columns={"artifact": ["日本\x1b[2J", "b"], "kB": ["1", "22"]})
    assert lines[1].split() == ["日本\\x1b[2J", "1"]
    assert len(lines) == 3
