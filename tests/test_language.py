"""The language of the product: three rules of CONTRIBUTING.md, read from the source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import repository

PRODUCT = ("edgeml", "converters", "runtimes")
FIRST_WORDS = re.compile(r"(What|Which|Whether|How|Where|From|Those|It|None|Of|As)\b")
HIDDEN_ENTRY = re.compile(r"\. `\w+`:")
FORMS = re.compile(r"\b(is no|takes no|has no|there is no|told)\b", re.IGNORECASE)
EMPTY_NAMES = {"told", "found", "given", "made", "wanted", "one", "lane", "crew", "loose", "meant", "taken", "drawn"}


def modules() -> list[Path]:
    """All modules of the product; `converters` and `runtimes` once, without the links in `edgeml`."""
    paths = [path for folder in PRODUCT for path in sorted((repository() / folder).rglob("*.py"))]
    return [path for path in paths if not any(parent.is_symlink() for parent in path.parents)]


def named(path: Path) -> str:
    return str(path.relative_to(repository()))


EACH = pytest.mark.parametrize("path", modules(), ids=named)


def documented(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and docstring of each module, class and function."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            text = ast.get_docstring(node)
            if text:
                yield getattr(node, "lineno", 1), text


def literal_text(node: ast.expr) -> str:
    """The constant text of an expression, its inserted values left out."""
    return " ".join(
        part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)
    )


@EACH
def test_docstrings_start_with_a_verb_or_a_noun(path: Path) -> None:
    wrong = [
        f"line {line}: {text.splitlines()[0]}"
        for line, text in documented(ast.parse(path.read_text(encoding="utf-8")))
        if FIRST_WORDS.match(text)
    ]
    assert not wrong


@EACH
def test_each_attribute_has_an_entry_of_its_own(path: Path) -> None:
    wrong = [
        f"line {line}: {match[0]}"
        for line, text in documented(ast.parse(path.read_text(encoding="utf-8")))
        for match in HIDDEN_ENTRY.finditer(text)
    ]
    assert not wrong


@EACH
def test_messages_take_the_forms_that_people_know(path: Path) -> None:
    wrong = [
        f"line {node.lineno}: {literal_text(node.exc)[:100]}"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Raise) and node.exc is not None and FORMS.search(literal_text(node.exc))
    ]
    assert not wrong


@EACH
def test_names_say_what_they_name(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
    names += [node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    names += [node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)]
    names += [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    assert not EMPTY_NAMES.intersection(names)
