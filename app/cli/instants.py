"""Days and instants as commands take them (UTC)."""

from datetime import UTC, datetime
from typing import Annotated

import typer

_FORMATS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]

Instant = Annotated[datetime, typer.Option(formats=_FORMATS, help="UTC.", show_default=False)]
MaybeInstant = Annotated[datetime | None, typer.Option(formats=_FORMATS, help="UTC.", show_default=False)]


def utc(instant: datetime) -> datetime:
    """An instant that was given without a zone, in UTC."""
    return instant.replace(tzinfo=UTC)


def maybe_utc(instant: datetime | None) -> datetime | None:
    """The same of one that may be left out."""
    return None if instant is None else utc(instant)
