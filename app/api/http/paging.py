"""Lists by cursor or page token: opaque, signed, and good for one query only."""

import base64
import binascii
import hmac
import struct
from typing import Annotated, Final
from uuid import UUID

from fastapi import Query

from app.core.errors import InvalidCursorError
from app.events.outbox import FeedPlace, Position
from app.ledger.identifiers import Pseudonyms

LIMIT: Final = 50
MOST: Final = 500
_MAC: Final = 16

Limit = Annotated[int, Query(ge=1, le=MOST, description="How many at most")]
Cursor = Annotated[str | None, Query(max_length=128, description="`next_cursor` of the page before")]


def write_cursor(pseudonyms: Pseudonyms, query: str, after: UUID | None) -> str | None:
    """An opaque cursor that continues this query after an id; None if there are no more results."""
    return None if after is None else _sealed(pseudonyms, "cursor", query, after.bytes)


def read_cursor(pseudonyms: Pseudonyms, query: str, cursor: str | None) -> UUID | None:
    """The id after which a cursor continues.

    Raises:
        InvalidCursorError: it was not handed out by this query.

    """
    return None if cursor is None else UUID(bytes=_opened(pseudonyms, "cursor", query, cursor))


_PLACE: Final = struct.Struct(">8sQi16s")


def write_place(pseudonyms: Pseudonyms, query: str, origin: bytes, after: Position) -> str:
    """An opaque cursor that continues after a place between the events of a database."""
    return _sealed(pseudonyms, "after", query, _PLACE.pack(origin, after.xid, after.seq, after.event.bytes))


def read_place(pseudonyms: Pseudonyms, query: str, cursor: str | None) -> FeedPlace | None:
    """The place after which a cursor continues.

    Raises:
        InvalidCursorError: it was not handed out by this query.

    """
    if cursor is None:
        return None
    raw = _opened(pseudonyms, "after", query, cursor)
    if len(raw) != _PLACE.size:
        raise InvalidCursorError(field="after")
    origin, xid, seq, event = _PLACE.unpack(raw)
    return FeedPlace(origin, Position(xid, seq, UUID(bytes=event)))


_ANY_LIMIT: Final = 0xFFFF
_LIMITED: Final = struct.Struct(">H")


def write_token(pseudonyms: Pseudonyms, query: str, limit: int | None, after: bytes) -> str:
    """An AuthZEN page token that continues this query after a key, with a limit (None: the next request sets it)."""
    raw = _LIMITED.pack(_ANY_LIMIT if limit is None else limit) + after
    return _sealed(pseudonyms, "page.token", query, raw)


def read_token(pseudonyms: Pseudonyms, query: str, token: str) -> tuple[int | None, bytes]:
    """The limit of a page token (None: any), and the key after which it continues.

    Raises:
        InvalidCursorError: it was not handed out by this query.

    """
    raw = _opened(pseudonyms, "page.token", query, token)
    (limit,) = _LIMITED.unpack_from(raw)
    return None if limit == _ANY_LIMIT else limit, raw[_LIMITED.size :]


def _sealed(pseudonyms: Pseudonyms, field: str, query: str, raw: bytes) -> str:
    mac = pseudonyms.opaque(field, f"{query}\n{raw.hex()}")[:_MAC]
    return base64.urlsafe_b64encode(raw + mac).decode().rstrip("=")


def _opened(pseudonyms: Pseudonyms, field: str, query: str, cursor: str) -> bytes:
    """Open a cursor that was sealed for this query, under the name of the parameter that carries it.

    Raises:
        InvalidCursorError: it was not sealed for this query.

    """
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))[:-_MAC]
    except (binascii.Error, ValueError):
        raise InvalidCursorError(field=field) from None
    # Compared whole: base64 has several ways to write one thing.
    if not hmac.compare_digest(_sealed(pseudonyms, field, query, raw).encode(), cursor.encode()):
        raise InvalidCursorError(field=field)
    return raw
