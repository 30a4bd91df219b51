from __future__ import annotations

import pytest

from edgeml.core.system.text import printable


@pytest.mark.parametrize("text", ["", "a plain name", "Süd", "日本語", "עברית", "5 × 7 – 3", "🙂", "\\n", "e\u0301"])
def test_text_that_shows_itself_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb", "a\\nb"),
        ("a\r\tb", "a\\r\\tb"),
        ("\x1b[31mred", "\\x1b[31mred"),  # what steers a terminal
        ("\x9b31m", "\\x9b31m"),  # the same in one character
        ("\0\x07\x7f", "\\x00\\x07\\x7f"),
        ("gpj.\u202eexe", "gpj.\\u202eexe"),  # turns the line around
        ("\u2066a\u2069", "\\u2066a\\u2069"),
        ("a\u2028b\u2029c", "a\\u2028b\\u2029c"),  # ends of lines and paragraphs
        ("a\u200bb\ufeff", "a\\u200bb\\ufeff"),  # shows nothing
        ("a\xa0b", "a\\xa0b"),
        ("\ud800", "\\ud800"),  # half of a pair, which no terminal takes
    ],
)
def test_what_steers_turns_or_ends_a_line_is_shown_as_an_escape(text: str, shown: str) -> None:
    found = printable(text)
    assert found == shown
    assert found.isprintable()
