"""Rows of an older system's files, as `POST /v1/imports` takes them: CSV with a header line, or NDJSON; also gzipped.

A column has the name of the member that it holds (`subject.id`, `evidence.method`), or is mapped to it. An empty cell
is left out: nothing is filled in but the constants that the operator set for every row.
"""

import csv
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, TextIO

from app.cli.output import open_to_read

_TRUE: Final = frozenset({"true", "yes", "oui", "1"})
_FALSE: Final = frozenset({"false", "no", "non", "0"})
_INFINITE: Final = frozenset({"inf", "-inf"})
_DIGITS: Final = 10
"""As many as the highest number of a version has."""


@cache
def members() -> Mapping[str, frozenset[str]]:
    """The members of a row as `POST /v1/imports` takes it, by dotted names, each with the JSON types that it takes."""
    from app.api.consents.imports import ImportRow

    schema = ImportRow.model_json_schema()
    return dict(_members_of(schema, schema["$defs"], ""))


def _members_of(
    schema: Mapping[str, Any], models: Mapping[str, Any], prefix: str
) -> Iterator[tuple[str, frozenset[str]]]:
    for name, each in schema["properties"].items():
        kinds = [models[kind["$ref"].split("/")[-1]] if "$ref" in kind else kind for kind in each.get("anyOf", [each])]
        inner = next((kind for kind in kinds if "properties" in kind), None)
        if inner is not None:
            yield from _members_of(inner, models, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", frozenset(kind["type"] for kind in kinds)


class ImportFileError(Exception):
    """A file cannot be read as rows; the message names the file, and the line where there is one."""


@dataclass(frozen=True, slots=True)
class FileRow:
    """One row of a file: where it stands, and what it says on the wire."""

    file: Path
    line: int
    members: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reading:
    """How files are read: the column of each member, the constants of every row, and the delimiter of columns.

    `ignored`: the columns of a CSV file that hold no member.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    delimiter: str = ","
    ignored: Collection[str] = ()

    def rows(self, path: Path) -> Iterator[FileRow]:
        """The rows of a file, one by one.

        Raises:
            ImportFileError: the file cannot be opened or read, lacks a column that is mapped, or has an unknown one.

        """
        readers = {".csv": self._csv, ".ndjson": self._ndjson, ".jsonl": self._ndjson}
        read = readers.get(next((suffix for suffix in reversed(path.suffixes) if suffix != ".gz"), ""))
        if read is None:
            how = "its name ends with none of .csv, .ndjson, .jsonl, each perhaps with .gz behind"
            raise ImportFileError(f"{path}: {how}")
        constants = {member: _typed(member, value) for member, value in self.constants.items()}
        try:
            with open_to_read(path) as file:
                for number, values in read(path, file):
                    row: dict[str, Any] = {}
                    for member, value in {"subject.type": "user", **constants, **values}.items():
                        _put(row, member, value)
                    yield FileRow(path, number, row)
        except (OSError, EOFError) as error:
            raise ImportFileError(f"{path}: {getattr(error, 'strerror', None) or 'it is not whole'}") from error
        except UnicodeDecodeError as error:
            raise ImportFileError(f"{path}: it is not UTF-8") from error
        except csv.Error as error:
            raise ImportFileError(f"{path}: {error}") from error

    def _csv(self, path: Path, file: TextIO) -> Iterator[tuple[int, dict[str, Any]]]:
        lines = csv.DictReader(file, delimiter=self.delimiter, strict=True)
        lines.fieldnames = header = [name.strip() for name in lines.fieldnames or ()]
        if not header:
            raise ImportFileError(f"{path}: it is empty")
        self._check(path, header)
        for row in lines:
            if None in row or None in row.values():
                raise ImportFileError(f"{path}:{lines.line_num}: it has not as many cells as the header")
            cells = {name: cell.strip() for name, cell in row.items() if name not in self.ignored}
            values = self._mapped({name: cell for name, cell in cells.items() if cell})
            yield lines.line_num, {member: _typed(member, cell) for member, cell in values.items()}

    def _check(self, path: Path, header: Sequence[str]) -> None:
        """Refuse a header unless each column is a member, mapped or ignored, and each that is mapped is there."""
        for member, column in self.columns.items():
            if column not in header or column in self.ignored:
                how = "ignores the" if column in self.ignored else "has no"
                raise ImportFileError(f"{path}:1: it {how} column {column!r} for {member}")
        known = {*members(), *self.columns.values(), *self.ignored}
        if known.isdisjoint(header):  # it may be a row, and name a person
            raise ImportFileError(f"{path}:1: none of its columns is named as a member is: is it a header?")
        for name in header:
            if name not in known or header.count(name) > 1:
                how = "stands there twice" if name in known else "is no member: give --map or --ignore"
                raise ImportFileError(f"{path}:1: the column {name!r} {how}")

    def _ndjson(self, path: Path, file: TextIO) -> Iterator[tuple[int, dict[str, Any]]]:
        from app.api.http.wire import BadJsonError, parse

        is_empty = True
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            is_empty = False
            try:
                row = parse(line.encode())
                values = [*_values(row)] if isinstance(row, dict) else None
            except (BadJsonError, RecursionError) as error:
                raise ImportFileError(f"{path}:{number}: it is no JSON, or a name stands in it twice") from error
            if values is None:
                raise ImportFileError(f"{path}:{number}: it is no object")
            if len(dict(values)) < len(values) or not _INFINITE.isdisjoint(map(repr, dict(values).values())):
                # `subject.id` beside `subject`, or 1e400, which no JSON could pass on
                raise ImportFileError(f"{path}:{number}: it is no JSON, or a name stands in it twice")
            yield number, self._mapped(dict(values))
        if is_empty:
            raise ImportFileError(f"{path}: it is empty")

    def _mapped(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What a line gives, by member: one that is mapped has its value from there, and none by its own name."""
        used = {*self.columns, *self.columns.values()}
        own = {name: value for name, value in given.items() if name not in used}
        return own | {member: given[name] for member, name in self.columns.items() if name in given}


def _values(members: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """What an object says, by dotted names; null says nothing, as an empty cell."""
    for name, value in members.items():
        if isinstance(value, dict) and value:
            yield from _values(value, f"{prefix}{name}.")
        elif value is not None:
            yield f"{prefix}{name}", value


def _typed(member: str, value: str) -> bool | int | str | list[str]:
    """A cell in the type that the API expects; a cell that does not fit is left for the API to refuse."""
    kinds = members()[member]
    if "boolean" in kinds and value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    if "integer" in kinds and value.isascii() and value.isdigit() and len(value) <= _DIGITS:
        return int(value)
    if "array" in kinds:
        return value.replace("|", " ").split()
    return value


def _put(row: dict[str, Any], member: str, value: Any) -> None:  # noqa: ANN401 - JSON
    """Put a value at its dotted name."""
    *outer, last = member.split(".")
    for name in outer:
        inner = row.setdefault(name, {})
        if not isinstance(inner, dict):
            return  # the API says what is wrong with it
        row = inner
    row[last] = value
