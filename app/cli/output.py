"""What commands print: JSON where it is asked for."""

import json
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

import typer

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def echo_json(value: Any) -> None:  # noqa: ANN401 - whatever a command tells
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
    """Read one.

    Raises:
        typer.BadParameter: it is none.

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
    """The same of one that may be left out."""
    return None if instant is None else utc(instant)


def refuse_reversed(since: datetime | None, until: datetime | None) -> None:
    """Refuse a period that ends before it begins, or when it begins.

    Raises:
        BadParameter: it does.

    """
    if since is not None and until is not None and since >= until:
        raise typer.BadParameter("--since must be before --until")
