"""A YAML file as nodes that know their line and their key, so that every problem can be named exactly.

Scalars are read strictly: text stays text, a number is no flag, an instant needs its offset. Nothing here knows cases.
"""

import re
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Final, NoReturn, TypeVar

import yaml
from yaml.constructor import ConstructorError, SafeConstructor

_PREFIX: Final = "tag:yaml.org,2002:"
_KINDS: Final = {
    "str": "text",
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
    "null": "nothing",
    "timestamp": "a date or time",
    "seq": "a list",
    "map": "a mapping",
}
_RFC_3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)
_CIVIL_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_KEY: Final = re.compile(r"""(?:^|[\s{,\[-])["']?([A-Za-z_][\w-]*)["']?\s*:(?:\s|$)""")
_YEARS: Final = range(1900, 3000)

Word = TypeVar("Word", bound=StrEnum)


class UnreadableFileError(Exception):
    """A golden file cannot be read: which file, at which line, under which key, and what is wrong with it."""

    def __init__(self, file: Path, line: int | None, key: str | None, problem: str) -> None:
        """Say it on one line, as `file:line: key: problem`."""
        self.file, self.line, self.key, self.problem = file, line, key, problem
        place = f"{file}:{line}" if line is not None else f"{file}"
        super().__init__(" ".join(": ".join(part for part in (place, key, problem) if part).split()))


@dataclass(frozen=True, slots=True)
class Field:
    """One node of a file, with the dotted key under which it stands (empty for the whole document)."""

    file: Path
    key: str
    node: yaml.Node

    @property
    def line(self) -> int:
        """The line on which it begins, from 1."""
        return self.node.start_mark.line + 1

    def refuse(self, problem: str) -> NoReturn:
        """Raise an error that names this node and the problem.

        Raises:
            UnreadableFileError: always.

        """
        raise UnreadableFileError(self.file, self.line, self.key, problem)

    @property
    def is_null(self) -> bool:
        """Whether nothing was written here (`null`, `~` or an empty value)."""
        return self.node.tag == _PREFIX + "null"

    def members(self, required: AbstractSet[str], optional: AbstractSet[str] = frozenset()) -> dict[str, "Field"]:
        """The members of a mapping, which must have every required key, no unknown key, and no key twice."""
        if not isinstance(self.node, yaml.MappingNode):
            self._expected("a mapping")
        parts: dict[str, Field] = {}
        for name, value in self.node.value:
            key = str(name.value) if isinstance(name, yaml.ScalarNode) else "?"
            at_key = Field(self.file, f"{self.key}.{key}" if self.key else key, name)
            if key not in required | optional:
                at_key.refuse(f"unknown key; known here: {', '.join(sorted(required | optional))}")
            if key in parts:
                at_key.refuse(f"this key was given already at line {parts[key].line}")
            parts[key] = Field(self.file, at_key.key, value)
        missing = sorted(required - parts.keys())
        if missing:
            Field(self.file, f"{self.key}.{missing[0]}" if self.key else missing[0], self.node).refuse("missing key")
        return parts

    def items(self) -> list["Field"]:
        """The items of a list, in order."""
        if not isinstance(self.node, yaml.SequenceNode):
            self._expected("a list")
        return [Field(self.file, f"{self.key}[{index}]", node) for index, node in enumerate(self.node.value)]

    def text(self) -> str:
        """A text that is not empty."""
        if self.node.tag != _PREFIX + "str":
            self._expected("text (quote it)")
        value = str(self.node.value)
        if not value or any("\ud800" <= character <= "\udfff" for character in value):
            self.refuse("expected text that is not empty and has no lone surrogate")
        return value

    def flag(self) -> bool:
        """A true or a false, never a number or a text."""
        if self.node.tag != _PREFIX + "bool":
            self._expected("true or false")
        return bool(self._constructed())

    def whole(self) -> int:
        """A whole number from 1."""
        value = self._constructed() if self.node.tag == _PREFIX + "int" else None
        if not isinstance(value, int) or value < 1:
            self._expected("a whole number from 1")
        return value

    def word(self, words: type[Word]) -> Word:
        """One of the words of an enum."""
        value = self.text()
        try:
            return words(value)
        except ValueError:
            self.refuse(f"unknown word {value!r}; expected one of: {', '.join(words)}")

    def instant(self) -> datetime:
        """An instant in UTC, written with its offset: in quotes (RFC 3339) or as YAML's own timestamp."""
        value = self._moment(_RFC_3339)
        if not isinstance(value, datetime):
            self.refuse('expected an instant such as "2026-03-10T09:00:00Z"')
        if value.tzinfo is None:
            self.refuse("this time has no offset; write Z or +02:00 after it")
        if value.year not in _YEARS:
            self.refuse(f"expected a year from {_YEARS.start} to {_YEARS.stop - 1}")
        return value.astimezone(UTC)

    def day(self) -> date:
        """A civil date, in quotes or as YAML's own."""
        value = self._moment(_CIVIL_DATE)
        if value is None or isinstance(value, datetime):
            self.refuse('expected a date such as "2020-01-01"')
        return value

    def _moment(self, written: re.Pattern[str]) -> date | None:
        if self.node.tag == _PREFIX + "timestamp":
            value = self._constructed()
            return value if isinstance(value, date) else None
        if not written.fullmatch(self.text()):
            return None
        read = date.fromisoformat if written is _CIVIL_DATE else datetime.fromisoformat
        try:
            return read(self.text())
        except ValueError:
            return None

    def _constructed(self) -> object:
        try:
            return SafeConstructor().construct_object(self.node)
        except (ConstructorError, ValueError, OverflowError):
            self.refuse("no such value")

    def _expected(self, wanted: str) -> NoReturn:
        kind = _KINDS.get(self.node.tag.removeprefix(_PREFIX), "something else")
        self.refuse(f"expected {wanted}, got {kind}")


def read_document(path: Path) -> Field:
    """Read one YAML document from a file.

    Raises:
        UnreadableFileError: the file cannot be opened, is not UTF-8, not YAML, or not exactly one document.

    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UnreadableFileError(path, None, None, f"cannot be opened: {error.strerror}") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UnreadableFileError(path, data.count(b"\n", 0, error.start) + 1, None, "not UTF-8 text") from None
    return Field(path, "", _compose(path, text))


def _compose(path: Path, text: str) -> yaml.Node:
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        begun = f"(begun at line {error.context_mark.line + 1})" if error.context_mark else None
        problem = " ".join(part for part in (error.context, begun, error.problem) if part)
        raise _not_yaml(path, text, mark.line if mark else 0, problem) from None
    except yaml.reader.ReaderError as error:
        raise _not_yaml(path, text, text.count("\n", 0, error.position), "a character that YAML forbids") from None
    except RecursionError:
        raise _not_yaml(path, text, 0, "nested too deeply") from None
    if node is None:
        raise UnreadableFileError(path, 1, None, "the file is empty")
    return node


def _not_yaml(path: Path, text: str, line: int, problem: str) -> UnreadableFileError:
    """Name the nearest key at or above a place that is not YAML."""
    above = reversed(text.split("\n")[: line + 1])
    keys = next((matches for each in above if (matches := _KEY.findall(each))), None)
    return UnreadableFileError(path, line + 1, f"near {keys[-1]}" if keys else None, f"not YAML: {problem}")
