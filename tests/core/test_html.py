"""Tables of HTML for notebooks, read by the standard library's own parser."""

from __future__ import annotations

from html.parser import HTMLParser

from edgeml.core.html import html_table
from tests.support.hostile_names import HOSTILE


class Cells(HTMLParser):
    """The tags of a page, and the text of its cells."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.cells: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        if tag == "td":
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] += data


TAGS = {"table", "caption", "thead", "tbody", "tr", "th", "td"}


def test_cells_are_the_texts() -> None:
    page = Cells(html_table("a & b", ["first", "second"], [["1 < 2", "x"], ["", "é"]]))
    assert page.cells == ["1 < 2", "x", "", "é"]
    assert page.tags == TAGS


def test_hostile_texts_stay_text() -> None:
    page = Cells(html_table(HOSTILE[0], [HOSTILE[1]], [[name] for name in HOSTILE]))
    assert page.tags == TAGS
    assert page.cells[0] == HOSTILE[0]
    assert len(page.cells) == len(HOSTILE)
    assert "\u202e" not in "".join(page.cells)
    assert max(map(len, page.cells)) <= 201


def test_long_tables_end_with_the_number_of_further_rows() -> None:
    page = Cells(html_table("many", ["i"], ([str(i)] for i in range(120))))
    assert page.cells == [*map(str, range(50)), "70 more rows"]
