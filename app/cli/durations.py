"""Durations as commands take them (ISO 8601)."""

from datetime import timedelta

import typer


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
