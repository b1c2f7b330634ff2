"""Rows of an older system's files, as `POST /v1/imports` takes them: CSV with a header line, or NDJSON; also gzipped.

A column has the name of the member that it holds (`subject.id`, `evidence.method`), or is mapped to it. An empty cell
is left out: nothing is filled in but the constants that the operator set for every row.
"""

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TextIO

from app.cli.output import open_to_read

_FLAGS: Final = frozenset({"evidence.separate_from_terms", "evidence.conditional"})
_NUMBERS: Final = frozenset({"version", "evidence.notice_version"})
_LISTS: Final = frozenset({"elements"})
MEMBERS: Final = frozenset(
    {
        "source_id",
        "subject.type",
        "subject.id",
        "processing",
        "decision",
        "at",
        "territory",
        "capacity.age_band",
        "capacity.given_by",
        "evidence.method",
        "evidence.positive_act",
        "evidence.default_state",
        "evidence.language",
        "evidence.presented_text_sha256",
        "evidence.document_sha256",
        "evidence.authentication",
        "capacity.parent.type",
        "capacity.parent.id",
        "capacity.parent_checked_how",
    }
    | _FLAGS
    | _NUMBERS
    | _LISTS
)
_TRUE: Final = frozenset({"true", "yes", "oui", "1"})
_FALSE: Final = frozenset({"false", "no", "non", "0"})


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
    """How files are read: the column of each member, the constants of every row, and the delimiter of columns."""

    columns: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    delimiter: str = ","

    def rows(self, path: Path) -> Iterator[FileRow]:
        """The rows of a file, one by one.

        Raises:
            ImportFileError: the file cannot be opened or read, or lacks a column that is mapped.

        """
        read = self._csv if _kind(path) == "csv" else self._ndjson
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
        for member, column in self.columns.items():
            if column not in header:
                raise ImportFileError(f"{path}:1: it has no column {column!r} for {member}")
        mapped = {column: member for member, column in self.columns.items()}
        members = {column: mapped.get(column, column) for column in header}
        wanted = {column: member for column, member in members.items() if member in MEMBERS}
        for row in lines:
            if None in row or None in row.values():
                raise ImportFileError(f"{path}:{lines.line_num}: it has not as many cells as the header")
            cells = {member: row[column].strip() for column, member in wanted.items()}
            yield FileRow(path, lines.line_num, self._members(cells))

    def _ndjson(self, path: Path, file: TextIO) -> Iterator[FileRow]:
        is_empty = True
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            is_empty = False
            try:
                members = json.loads(line)
            except ValueError as error:
                raise ImportFileError(f"{path}:{number}: it is no JSON") from error
            if not isinstance(members, dict):
                raise ImportFileError(f"{path}:{number}: it is no object")
            yield FileRow(path, number, self._mapped(members))
        if is_empty:
            raise ImportFileError(f"{path}: it is empty")

    def _mapped(self, members: dict[str, Any]) -> dict[str, Any]:
        """The row of an NDJSON object: mapped members are moved to their names, and the others stay."""
        for member, name in self.columns.items():
            if name in members:
                _put(members, member, members.pop(name))
        for member, value in self._constants().items():
            _put(members, member, value, keep=True)
        return members

    def _members(self, cells: Mapping[str, str]) -> dict[str, Any]:
        members: dict[str, Any] = {}
        for member, value in {**self._constants(), **{name: cell for name, cell in cells.items() if cell}}.items():
            _put(members, member, _typed(member, value))
        return members

    def _constants(self) -> dict[str, Any]:
        values = {"subject.type": "user", **self.constants}
        return {member: _typed(member, value) for member, value in values.items()}


def _kind(path: Path) -> str:
    suffixes = [suffix for suffix in path.suffixes if suffix != ".gz"]
    if suffixes[-1:] == [".csv"]:
        return "csv"
    if suffixes[-1:] in ([".ndjson"], [".jsonl"]):
        return "ndjson"
    raise ImportFileError(f"{path}: its name ends with none of .csv, .ndjson, .jsonl, each perhaps with .gz behind")


def _typed(member: str, value: Any) -> Any:  # noqa: ANN401 - JSON
    """A cell in the type that the API expects; a cell that does not fit is left for the API to refuse."""
    if not isinstance(value, str):
        return value
    if member in _FLAGS and value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    if member in _NUMBERS and value.isascii() and value.isdigit():
        return int(value)
    if member in _LISTS:
        return value.replace("|", " ").split()
    return value


def _put(members: dict[str, Any], member: str, value: Any, *, keep: bool = False) -> None:  # noqa: ANN401 - JSON
    """Put a value at its dotted name; with `keep`, leave a value that is there already."""
    *outer, last = member.split(".")
    for name in outer:
        inner = members.setdefault(name, {})
        if not isinstance(inner, dict):
            return
        members = inner
    if not (keep and last in members):
        members[last] = value
