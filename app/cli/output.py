"""What commands print and read: JSON if it is asked for, and text files, gzipped if the name ends with .gz."""

import codecs
import gzip
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, NoReturn, TextIO

import typer

from app.core.errors import RefusalError

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def fail(message: str, status: int = 1) -> NoReturn:
    """End the command with one line on standard error.

    Raises:
        Exit: always, with this status.

    """
    typer.echo(f"sceau: {message}", err=True)
    raise typer.Exit(status)


def echo_json(value: Any) -> None:  # noqa: ANN401 - any result of a command
    """Print a value as one JSON document: instants in RFC 3339, durations in seconds, sets in order."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=_plain))


def _plain(value: Any) -> Any:  # noqa: ANN401 - as json hands it over
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: getattr(value, each.name) for each in fields(value)}
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, set | frozenset):
        return sorted(value)
    return str(value)


# Values as they are typed at a prompt: durations and instants.


def duration(text: str) -> timedelta:
    """Read a duration.

    Raises:
        typer.BadParameter: the text is no duration.

    """
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(timedelta).validate_python(text)
    except ValidationError:
        raise typer.BadParameter("must be a duration such as P90D or PT12H (ISO 8601)") from None


_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"]

_SINCE = typer.Option("--since", formats=_FORMATS, help="From this day or instant on, in UTC.", show_default=False)
_UNTIL = typer.Option(
    "--until", formats=_FORMATS, help="Up to this day or instant and not including it, in UTC.", show_default=False
)

Since = Annotated[datetime, _SINCE]
Until = Annotated[datetime, _UNTIL]
MaybeSince = Annotated[datetime | None, _SINCE]
MaybeUntil = Annotated[datetime | None, _UNTIL]


def utc(instant: datetime) -> datetime:
    """An instant that was given without a zone, in UTC."""
    return instant.replace(tzinfo=UTC)


def maybe_utc(instant: datetime | None) -> datetime | None:
    """Like `utc`, but None stays None."""
    return None if instant is None else utc(instant)


def refuse_reversed(since: datetime | None, until: datetime | None) -> None:
    """Refuse a period that ends before it begins, or when it begins.

    Raises:
        BadParameter: the period is reversed or empty.

    """
    if since is not None and until is not None and since >= until:
        raise typer.BadParameter("--since must be before --until")


class UnwritableFileError(RefusalError):
    """A file cannot be written; the message is one line that names it."""


class RegisterFileError(RefusalError):
    """A file of the register cannot be used; the message has a line for each error."""


class GivenFileError(typer.BadParameter):
    """A given file does not exist, cannot be read or is empty; the message names it."""


def given_text(path: Path) -> str:
    """The text of a file that a command was given, without the blanks around it.

    Raises:
        GivenFileError: it cannot be read as UTF-8, or is empty.

    """
    try:
        with open_to_read(path) as file:
            content = file.read().strip()
    except OSError as error:
        raise GivenFileError(f"{path}: {error.strerror or error}") from None
    except (UnicodeDecodeError, EOFError):
        raise GivenFileError(f"{path}: it is not UTF-8") from None
    if not content:
        raise GivenFileError(f"{path}: it is empty")
    return content


def refuse_unreadable(path: Path) -> None:
    """Refuse a given file that is unreadable or empty, before the command does anything else.

    Raises:
        GivenFileError: it cannot be opened, or is empty.

    """
    try:
        with path.open("rb") as file:
            is_empty = not file.read(1)
    except OSError as error:
        raise GivenFileError(f"{path}: {error.strerror or error}") from None
    if is_empty:
        raise GivenFileError(f"{path}: it is empty")


def open_to_read(path: Path) -> TextIO:
    """Open a file of UTF-8, with or without a byte-order mark.

    Raises:
        OSError: it cannot be opened.

    """
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig", newline="")
    return path.open(encoding="utf-8-sig", newline="")


@contextmanager
def written_whole(path: Path, *, binary: bool = False) -> Iterator[Any]:
    """Write a file that only its owner can read, and that appears only once it is whole; `-` is standard output.

    An existing device, named pipe or other special file is written to directly, and never replaced.

    Raises:
        UnwritableFileError: it cannot be opened, written or put in its place.

    """
    from app.journal.files import put_in_place

    with telling_of(path):
        if str(path) == "-":
            yield sys.stdout.buffer if binary else sys.stdout
            sys.stdout.flush()
            return
        target = path.resolve()
        is_special = target.exists() and not target.is_file()
        with target.open("wb") if is_special else put_in_place(target) as file:
            if binary:
                yield file
            elif target.suffix == ".gz":
                with gzip.open(file, "wt", encoding="utf-8") as text:
                    yield text
            else:
                yield codecs.getwriter("utf-8")(file)  # a TextIOWrapper would close the file


@contextmanager
def telling_of(path: Path) -> Iterator[None]:
    """Turn an error of writing into one that names the file.

    Raises:
        UnwritableFileError: the file cannot be written.

    """
    try:
        yield
    except OSError as error:
        if str(path) == "-" and isinstance(error, BrokenPipeError):
            raise  # the reader of standard output has seen enough
        raise UnwritableFileError(f"{path}: it cannot be written: {error.strerror or error}") from error
