"""The tables of TFLite files, compared with LiteRT's own generated code."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
from ai_edge_litert import schema_py_generated as schema

from edgeml.core.formats.tflite_schema import TABLES, UNIONS

SLOTS = {"Bool": "1", "Int8": "1", "Uint8": "1", "Byte": "1", "Int16": "2", "Uint16": "2", "Int32": "4", "Uint32": "4"}
SLOTS |= {"Float32": "4", "Int64": "8", "Uint64": "8", "Float64": "8", "UOffsetTRelative": "offset"}


class Recorder:
    """In place of a FlatBuffer's builder: records the calls that the generated code makes."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *arguments: self.calls.append((name, arguments))


def recorded(name: str, *arguments: object) -> tuple[str, tuple[Any, ...]]:
    recorder = Recorder()
    getattr(schema, name)(recorder, *arguments)
    return recorder.calls[0]


def test_all_tables_are_there() -> None:
    tables = {name for name, value in vars(schema).items() if inspect.isclass(value) and hasattr(value, "GetRootAs")}
    assert tables == TABLES.keys()


@pytest.mark.parametrize("name", TABLES)
def test_fields_of_a_table(name: str) -> None:
    kinds = TABLES[name]
    assert recorded(f"{name}Start") == ("StartObject", (len(kinds),))
    found: dict[int, str] = {}
    for function in vars(schema):
        added = function.removeprefix(f"{name}Add")
        if added == function or not hasattr(vars(schema)[name], added):
            continue
        method, (slot, *_) = recorded(function, 0)
        kind = SLOTS[method.removeprefix("Prepend").removesuffix("Slot")]
        if hasattr(schema, f"{name}Start{added}Vector"):
            kind = f"[{recorded(f'{name}Start{added}Vector', 1)[1][0]}]"
        found[slot] = kind
    expected = {slot: simplified(kind) for slot, kind in enumerate(kinds) if kind != "-"}
    assert found == expected


def simplified(kind: str) -> str:
    """The kind as the generated code knows it: a vector of tables is one of offsets of four bytes."""
    if kind.isdigit() or kind.strip("[]").isdigit():
        return kind
    return "[4]" if kind.startswith("[") else "offset"


@pytest.mark.parametrize("name", UNIONS)
def test_members_of_a_union(name: str) -> None:
    members = {value: member for member, value in vars(getattr(schema, name)).items() if isinstance(value, int)}
    assert members == dict(enumerate(UNIONS[name]))


def test_vectors_of_tables_and_tables_of_fields() -> None:
    """Names of tables, which the builder does not know: those that the generated readers make."""
    parts = re.split(r"^class (\w+)\(object\):$", Path(schema.__file__).read_text(encoding="utf-8"), flags=re.MULTILINE)
    sources = dict(zip(parts[1::2], parts[2::2], strict=True))
    for name, kinds in TABLES.items():
        source = sources[name]
        used = {kind.strip("[]") for kind in kinds} & TABLES.keys()
        assert all(f"obj = {table}()" in source for table in used), name
        references = [kind for kind in kinds if kind.strip("[]") in TABLES or kind.startswith("<")]
        assert source.count("obj = ") == len(references), name
