"""What commands print: JSON where it is asked for."""

import json
from dataclasses import fields, is_dataclass
from datetime import date, datetime, timedelta
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
