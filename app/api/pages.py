"""Lists by cursor: opaque, signed, and good for one query only."""

import base64
import binascii
import hmac
import struct
from typing import Annotated, Final
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field

from app.core.errors import InvalidCursorError
from app.events.feed import Position
from app.ledger.pseudonym import Pseudonyms

LIMIT: Final = 50
MOST: Final = 500
_MAC: Final = 16

Limit = Annotated[int, Query(ge=1, le=MOST, description="How many at most")]
Cursor = Annotated[str | None, Query(max_length=128, description="`next_cursor` of the page before")]


class PageRequest(BaseModel):
    """Which part of a list is wanted."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    limit: int = Field(default=LIMIT, ge=1, le=MOST, strict=True)
    cursor: str | None = Field(default=None, max_length=128, description="`next_cursor` of the page before")


def write_cursor(pseudonyms: Pseudonyms, query: str, after: UUID | None) -> str | None:
    """An opaque cursor that goes on after an id, in this query; None when there is nothing to go on to."""
    if after is None:
        return None
    return base64.urlsafe_b64encode(after.bytes + _mac(pseudonyms, query, after)).decode().rstrip("=")


def read_cursor(pseudonyms: Pseudonyms, query: str, cursor: str | None) -> UUID | None:
    """The id that a cursor goes on after.

    Raises:
        InvalidCursorError: it was not handed out by this query.

    """
    if cursor is None:
        return None
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except (binascii.Error, ValueError):
        raise InvalidCursorError(field="cursor") from None
    if len(raw) != 2 * _MAC:
        raise InvalidCursorError(field="cursor")
    after = UUID(bytes=raw[:_MAC])
    written = write_cursor(pseudonyms, query, after) or ""
    if not hmac.compare_digest(written.encode(), cursor.encode()):  # whole: base64 has several ways to write one thing
        raise InvalidCursorError(field="cursor")
    return after


_PLACE: Final = struct.Struct(">Qi16s")


def write_place(pseudonyms: Pseudonyms, query: str, place: Position) -> str:
    """An opaque cursor that goes on after a place between events."""
    raw = _PLACE.pack(place.xid, place.seq, place.event.bytes)
    mac = pseudonyms.opaque("place", f"{query}\n{raw.hex()}")[:_MAC]
    return base64.urlsafe_b64encode(raw + mac).decode().rstrip("=")


def read_place(pseudonyms: Pseudonyms, query: str, cursor: str | None) -> Position | None:
    """The place that a cursor goes on after.

    Raises:
        InvalidCursorError: it was not handed out by this query.

    """
    if cursor is None:
        return None
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        xid, seq, event = _PLACE.unpack(raw[: _PLACE.size])
    except (binascii.Error, ValueError, struct.error):
        raise InvalidCursorError(field="after") from None
    place = Position(xid, seq, UUID(bytes=event))
    if not hmac.compare_digest(write_place(pseudonyms, query, place).encode(), cursor.encode()):
        raise InvalidCursorError(field="after")
    return place


def _mac(pseudonyms: Pseudonyms, query: str, after: UUID) -> bytes:
    return pseudonyms.opaque("cursor", f"{query}\n{after}")[:_MAC]
