"""Rows of an older system's files, as `POST /v1/imports` takes them: CSV with a header line, or NDJSON; also gzipped.

A column has the name of the member that it holds (`subject.id`, `evidence.method`), or is mapped to it. An empty cell
is left out: nothing is filled in but the constants that the operator set for every row.
"""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final, TextIO

from app.cli.output import open_to_read

_TRUE: Final = frozenset({"true", "yes", "oui", "1"})
_FALSE: Final = frozenset({"false", "no", "non", "0"})


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

    `unread`: the columns of the files read so far that hold no member.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    delimiter: str = ","
    unread: set[str] = field(default_factory=set)

    def rows(self, path: Path) -> Iterator[FileRow]:
        """The rows of a file, one by one.

        Raises:
            ImportFileError: the file cannot be opened or read, or lacks a column that is mapped.

        """
        readers = {".csv": self._csv, ".ndjson": self._ndjson, ".jsonl": self._ndjson}
        read = readers.get(next((suffix for suffix in reversed(path.suffixes) if suffix != ".gz"), ""))
        if read is None:
            how = "its name ends with none of .csv, .ndjson, .jsonl, each perhaps with .gz behind"
            raise ImportFileError(f"{path}: {how}")
        try:
            with open_to_read(path) as file:
                yield from read(path, file)
        except (OSError, EOFError) as error:
            raise ImportFileError(f"{path}: {getattr(error, 'strerror', None) or 'it is not whole'}") from error
        except UnicodeDecodeError as error:
            raise ImportFileError(f"{path}: it is not UTF-8") from error
        except csv.Error as error:
            raise ImportFileError(f"{path}: {error}") from error

    def _csv(self, path: Path, file: TextIO) -> Iterator[FileRow]:
        lines = csv.DictReader(file, delimiter=self.delimiter, strict=True)
        if not (header := lines.fieldnames or []):
            raise ImportFileError(f"{path}: it is empty")
        named = {column: column for column in header if column in members() and column not in self.columns.values()}
        wanted = {**named, **self.columns}
        for member, column in wanted.items():
            if header.count(column) != 1:
                how_many = "two columns" if column in header else "no column"
                raise ImportFileError(f"{path}:1: it has {how_many} {column!r} for {member}")
        self.unread.update(set(header).difference(wanted.values()))
        for row in lines:
            if None in row or None in row.values():
                raise ImportFileError(f"{path}:{lines.line_num}: it has not as many cells as the header")
            read: dict[str, Any] = {}
            for member, column in wanted.items():
                if cell := row[column].strip():
                    _put(read, member, _typed(member, cell))
            yield FileRow(path, lines.line_num, self._with_constants(read))

    def _ndjson(self, path: Path, file: TextIO) -> Iterator[FileRow]:
        from app.api.http.wire import BadJsonError, parse

        is_empty = True
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            is_empty = False
            try:
                row = parse(line.encode())
            except BadJsonError as error:
                raise ImportFileError(f"{path}:{number}: it is no JSON, or a name stands in it twice") from error
            if not isinstance(row, dict):
                raise ImportFileError(f"{path}:{number}: it is no object")
            for member, name in self.columns.items():
                if name in row:
                    _put(row, member, row.pop(name))
            yield FileRow(path, number, self._with_constants(row))
        if is_empty:
            raise ImportFileError(f"{path}: it is empty")

    def _with_constants(self, row: dict[str, Any]) -> dict[str, Any]:
        """Add what every row says, where this one does not say it itself."""
        for member, value in {"subject.type": "user", **self.constants}.items():
            _put(row, member, _typed(member, value), keep=True)
        return row


def _typed(member: str, value: str) -> bool | int | str | list[str]:
    """A cell in the type that the API expects; a cell that does not fit is left for the API to refuse."""
    kinds = members()[member]
    if "boolean" in kinds and value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    if "integer" in kinds and value.isascii() and value.isdigit():
        return int(value)
    if "array" in kinds:
        return value.replace("|", " ").split()
    return value


def _put(row: dict[str, Any], member: str, value: Any, *, keep: bool = False) -> None:  # noqa: ANN401 - JSON
    """Put a value at its dotted name; with `keep`, leave a value that is there already."""
    *outer, last = member.split(".")
    for name in outer:
        inner = row.setdefault(name, {})
        if not isinstance(inner, dict):
            return
        row = inner
    if not (keep and last in row):
        row[last] = value
