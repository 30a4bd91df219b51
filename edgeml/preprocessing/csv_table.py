"""The CSV reader: fields as the file has them, converted by the type that each column is declared to have.

`edgeml build`, `edgeml predict` and `edgeml train` all read CSV files here. The module needs neither pandas nor a
framework, so that devices have it too.
"""

from __future__ import annotations

import csv
import difflib
import io
import math
import re
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from edgeml.core.errors import InputError
from edgeml.core.preprocessing import GAPS
from edgeml.core.system.files import open_file, read_errors
from edgeml.core.tensors import Label
from edgeml.core.texts import text_array

__all__ = [
    "CsvColumn",
    "CsvTable",
    "check_separator",
    "is_boolean",
    "is_code",
    "is_missing",
    "number_of",
    "read_csv",
]

_LISTED = 20
_SHARED = 10_000  # different fields
_MAX_COLUMNS = 100_000  # as a declaration may name
_SHOWN = 40  # characters of a field in messages
_EXACT = 2**53  # float64 holds every whole number up to this one (IEEE 754)
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "vertical bars"}
_BOOLEANS = {"true": 1.0, "false": 0.0}
_WHOLE = re.compile(r"\s*([-+]?\d+)(?:\.0*)?\s*")
# Decimal commas and thousands separators: 1,5 · 1.234,5 · 1,234.5 · 1 234 · 1'234 · 1.234.567
_OTHER_NOTATION = re.compile(r"\s*[-+]?(\d+,\d+|\d{1,3}([ .,'\u2019\u00a0\u202f]\d{3})+([.,]\d+)?)\s*")


@dataclass(frozen=True, slots=True)
class CsvColumn:
    """A column of a CSV file, its fields as text.

    Attributes:
        file: Name of the file, for messages.
        name: Name of the column in the file.
        fields: One field for each row.
        lines: The line of the file that each row ends in.
    """

    file: str
    name: str
    fields: Sequence[str]
    lines: Sequence[int]

    def place(self, row: int) -> str:
        """Return where a field is, for messages."""
        return f"{self.file}, line {self.lines[row]}, column '{self.name}'"

    def numbers(self, *, missing: bool = False, fix: str = "") -> np.ndarray:
        """Convert the fields to numbers; ``True`` and ``False`` become 1 and 0.

        Args:
            missing: Whether fields may be empty, or spelled as in `GAPS`.
            fix: Advice for fields that are not numbers.

        Returns:
            float64 ``[rows]``, NaN where a value is missing.

        Raises:
            InputError: A field is not a finite number with a decimal point, is a whole number that float64 cannot
                hold exactly, or is missing; or numbers and truth values are mixed.
        """
        values = _plain_numbers(self.fields)
        if values is None:
            parsed = [self._number(row, missing=missing, fix=fix) for row in range(len(self.fields))]
            values = np.array(parsed, np.float64)
            self._check_booleans(values)
        return values

    def texts(self, *, missing: bool = False, known: Iterable[str] = (), closed: bool = False) -> np.ndarray:
        """Return the fields as text, unchanged: leading zeros and spaces stay.

        Args:
            missing: Whether fields may be empty, or spelled as in `GAPS`.
            known: Texts that are values of their own even where they are spelled as in `GAPS`.
            closed: Whether no texts but the known ones are allowed.

        Returns:
            Text ``[rows]``, "" where a value is missing.

        Raises:
            InputError: A field is missing, or is not one of the known texts.
        """
        known = frozenset(known)
        values = list(self.fields)
        for row, field in enumerate(values):
            if field in known:
                continue
            if is_missing(field):
                if not missing:
                    raise InputError(f"{self.place(row)}: {_describe_missing(field)}, expected text.")
                values[row] = ""
            elif closed:
                listed = ", ".join(sorted(known)[:_LISTED])
                raise InputError(
                    f"{self.place(row)}: got {field[:_SHOWN]!r}, which the model was not trained on; it knows {listed}."
                )
        return self._text_array(values)

    def labels(self, known: Sequence[Label] = ()) -> np.ndarray:
        """Convert the fields to labels of the type that the model's own labels have.

        Args:
            known: The model's labels in the order of its scores; empty where they are not known. Then the fields
                are whole numbers, numbers or text, whichever all of them are; digits with a leading zero are text.

        Returns:
            Labels ``[rows]``. Fields that are not of the labels' type stay text. Whole numbers are positions where
            the labels are text that is not numeric.

        Raises:
            InputError: A label is missing.
        """
        texts = {label for label in known if isinstance(label, str)}
        for row, field in enumerate(self.fields):
            if field not in texts and is_missing(field):
                raise InputError(
                    f"{self.place(row)}: {_describe_missing(field)}, expected a label.",
                    fix="remove the rows whose label is unknown from the file.",
                )
        numeric = any(_WHOLE.fullmatch(text) for text in texts)
        if known and texts and (numeric or not texts.isdisjoint(self.fields)):
            return self._text_array(self.fields)
        if not known and any(is_code(field) for field in self.fields):
            return self._text_array(self.fields)
        values = _typed(self.fields, booleans=bool(known) and not texts)
        return self._text_array(self.fields) if values is None else values

    def _text_array(self, fields: Sequence[str]) -> np.ndarray:
        return text_array(fields, f"{self.file}, column '{self.name}'")

    def _number(self, row: int, *, missing: bool, fix: str) -> float:
        field = self.fields[row]
        if is_missing(field):
            if missing:
                return math.nan
            raise InputError(f"{self.place(row)}: {_describe_missing(field)}, expected a number.")
        number = number_of(field)
        if number is None:
            expected = "a number"
            if _OTHER_NOTATION.fullmatch(field):
                expected += " with a decimal point, without decimal comma or thousands separators"
                fix = f"write numbers as in 1234.5; {fix}" if fix else "write numbers as in 1234.5."
            raise InputError(f"{self.place(row)}: got {field[:_SHOWN]!r}, expected {expected}.", fix=fix)
        whole = _WHOLE.fullmatch(field) if abs(number) >= _EXACT else None
        if whole is not None and int(whole[1]) != int(number):
            raise InputError(
                f"{self.place(row)}: got {field[:_SHOWN]}, which float64 rounds to {int(number)}: whole numbers above "
                "2**53 are not all different.",
                fix="train on it as text if it is an identifier (data.text in a training file), else round it.",
            )
        return number

    def _check_booleans(self, values: np.ndarray) -> None:
        words = [row for row, field in enumerate(self.fields) if is_boolean(field)]
        if words and not np.isin(values[~np.isnan(values)], (0.0, 1.0)).all():
            row = words[0]
            raise InputError(
                f"{self.place(row)}: got {self.fields[row][:_SHOWN]!r} among numbers, expected numbers alone, or True "
                "and False alone."
            )


@dataclass(frozen=True)
class CsvTable:
    """A CSV file with the columns' names in its first line.

    Attributes:
        file: Name of the file, for messages.
        header: Names of the columns, as the file has them.
        columns: The fields of each column.
        lines: The line of the file that each row ends in.
    """

    file: str
    header: tuple[str, ...]
    columns: Sequence[Sequence[str]]
    lines: Sequence[int]

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Names of the columns without the spaces around them; ``Unnamed: 0`` for an empty first one, as in pandas."""
        return tuple(name.strip() or f"Unnamed: {place}" for place, name in enumerate(self.header))

    def __len__(self) -> int:
        return len(self.lines)

    def at(self, position: int) -> CsvColumn:
        """Return the column at a position."""
        return CsvColumn(self.file, self.names[position], self.columns[position], self.lines)

    def select(self, names: Sequence[str], *, what: str = "", fix: str = "") -> list[CsvColumn]:
        """Return columns by name, in the order of the names.

        Spaces around names in the file do not matter, unless they distinguish two columns.

        Args:
            names: The names.
            what: Origin of the names, for messages.
            fix: Advice where a column is missing.

        Raises:
            InputError: A column is missing, or its name is there twice.
        """
        missing = [name for name in names if not self._positions(name)]
        if missing:
            raise InputError(f"{self.file}: {what}{self._describe_absent(missing)}", fix=self._advise(missing, fix))
        return [self.at(self._position(name, names)) for name in names]

    def without(self, name: str) -> CsvTable:
        """Return the table without a column; the same table where it does not have the column.

        Raises:
            InputError: The name is there twice.
        """
        if not self._positions(name):
            return self
        position = self._position(name, [name])
        return replace(
            self,
            header=(*self.header[:position], *self.header[position + 1 :]),
            columns=[*self.columns[:position], *self.columns[position + 1 :]],
        )

    @cached_property
    def _index(self) -> dict[str, list[int]]:
        index: dict[str, list[int]] = {}
        for place, name in enumerate(self.names):
            index.setdefault(name, []).append(place)
        return index

    def _positions(self, name: str) -> list[int]:
        return self._index.get(name.strip(), [])

    def _position(self, name: str, names: Sequence[str]) -> int:
        """Return a column's position. Of names that differ in spaces alone each finds its own."""
        positions = self._positions(name)
        if len(positions) > 1:
            exact = [place for place in positions if self.header[place] == name]
            others = [place for place in positions if self.header[place] != name]
            if len(exact) != 1 or not all(self.header[place] in names for place in others):
                raise InputError(
                    f"{self.file}: column '{name.strip()}' is there twice.",
                    fix="give each column a name of its own; spaces around a name do not count.",
                )
            return exact[0]
        return positions[0]

    def _describe_absent(self, missing: Sequence[str]) -> str:
        listed = f"{', '.join(missing[:10])}{', …' if len(missing) > 10 else ''}"
        columns = ", ".join(self.names[:_LISTED])[:200] or "none"
        return f"columns are missing: {listed}; it has {columns}{'' if len(columns) < 200 else '…'}."

    def _advise(self, missing: Sequence[str], fix: str) -> str:
        separator = _separator(self.header)
        if separator:
            return f"separate the fields by commas, not by {separator!r}, and write numbers with a decimal point."
        lower = {name.lower(): name for name in self.names}
        for name in missing:
            if name.strip().lower() in lower:
                return f"make '{lower[name.strip().lower()]}' the same as '{name}': upper and lower case differ."
            near = difflib.get_close_matches(name, self.names, 1)
            if near:
                return f"did you mean '{near[0]}'? The file's name must be the same as '{name}'."
        return fix or "name the columns in the first line."


def read_csv(path: Path) -> CsvTable:
    """Read a CSV file: UTF-8 with or without a byte-order mark, comma-separated, RFC 4180's quotes.

    Lines end in LF or CR LF; empty ones are skipped.

    Raises:
        InputError: The file does not exist, is a pipe or a device, is not CSV in UTF-8, is empty, has no rows, or a
            line has more or fewer fields than the first.
        StorageError: The file cannot be read.
    """
    lines = array("I")
    shared: dict[str, str] = {}  # a field that occurs again takes no memory of its own
    try:
        with (
            read_errors(path),
            open_file(path) as data,
            io.TextIOWrapper(data, encoding="utf-8-sig", newline="") as file,
        ):
            reader = csv.reader(file, strict=True)
            header = next((line for line in reader if line), [])
            if len(header) > _MAX_COLUMNS:
                raise InputError(f"{path.name} has {len(header)} columns, expected at most {_MAX_COLUMNS}.")
            columns: list[list[str]] = [[] for _ in header]
            for row in reader:
                if not row:
                    continue
                if len(row) != len(header):
                    _check_header(path.name, header)
                    raise InputError(
                        f"{path.name}, line {reader.line_num}: got {len(row)} fields, expected {len(header)} as in the "
                        "first line.",
                        fix="separate the fields by commas, and quote those that contain one.",
                    )
                for column, field in zip(columns, row, strict=True):
                    column.append(
                        shared.setdefault(field, field) if len(shared) < _SHARED else shared.get(field, field)
                    )
                lines.append(reader.line_num)
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path.name} cannot be read as CSV: {error}.", fix="save it as CSV in UTF-8.") from error
    if not header:
        raise InputError(f"{path.name} is empty.", fix="write the columns' names into its first line.")
    if not lines:
        raise InputError(f"{path.name} contains the columns' names and no rows.")
    return CsvTable(path.name, tuple(header), columns, lines)


def check_separator(table: CsvTable) -> None:
    """Refuse a file whose fields are evidently not separated by commas.

    Raises:
        InputError: The first line is a single name that contains another separator.
    """
    _check_header(table.file, table.header)


def is_missing(field: str) -> bool:
    """Return whether a field stands for a missing value."""
    return field.strip() in GAPS


def is_boolean(field: str) -> bool:
    """Return whether a field is ``True`` or ``False``, in upper or lower case."""
    return field.strip().lower() in _BOOLEANS


def is_code(field: str) -> bool:
    """Return whether a field is digits with a leading zero: a postcode or another identifier, not a quantity."""
    return len(field) > 1 and field[0] == "0" and field.isdecimal()


def number_of(field: str) -> float | None:
    """Return the finite number in a field, 1 or 0 for ``True`` or ``False``; None for anything else."""
    try:
        value = float(field) if "_" not in field else math.nan  # 1_000 is a number in Python, not in CSV
    except ValueError:
        return _BOOLEANS.get(field.strip().lower())
    return value if math.isfinite(value) else None


def _check_header(file: str, header: Sequence[str]) -> None:
    separator = _separator(header)
    if separator:
        raise InputError(
            f"{file}: the fields are separated by {_SEPARATORS[separator]}, expected commas.",
            fix="save it with fields separated by commas, and numbers with a decimal point.",
        )


def _separator(header: Sequence[str]) -> str:
    return next((mark for mark in _SEPARATORS if len(header) == 1 and mark in header[0]), "")


def _describe_missing(field: str) -> str:
    return f"got {field!r}, which is a missing value" if field.strip() else "the field is empty"


def _plain_numbers(fields: Sequence[str]) -> np.ndarray | None:
    """Convert fields that are all plain numbers within the whole numbers of float64; None where one is not."""
    try:
        values = np.fromiter(map(float, fields), np.float64, len(fields))
    except ValueError:
        return None
    plain = values.min(initial=0) > -_EXACT and values.max(initial=0) < _EXACT  # false for NaN
    plain = bool(plain) and not any("_" in field for field in fields)
    return values if plain else None


def _typed(fields: Sequence[str], *, booleans: bool) -> np.ndarray | None:
    """Convert fields to whole numbers, else numbers, else truth values where these are allowed; None for text."""
    matches = [_WHOLE.fullmatch(field) for field in fields]
    if all(matches):
        numbers = [int(match[1]) for match in matches if match]
        fits = all(-(2**63) <= number < 2**63 for number in numbers)
        return np.array(numbers, np.int64 if fits else object)
    if booleans and all(map(is_boolean, fields)):
        return np.array([field.strip().lower() == "true" for field in fields])
    values = [None if is_boolean(field) else number_of(field) for field in fields]
    if None not in values:
        return np.array(values, np.float64)
    return None
