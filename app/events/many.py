"""Write many domain events into the outbox with one statement; payloads as thin as those of `app.events.outbox`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text

from app.db.lookups import as_rows
from app.db.session import WriteSession
from app.events.outbox import TYPE_PREFIX


@dataclass(frozen=True, slots=True)
class Message:
    """A fact for others; `type` is the word after `fr.sceau.consent.`, and the id is the outbox row's."""

    id: UUID
    subject_ref: bytes
    type: str
    occurred_at: datetime
    data: Mapping[str, object]


_PUT: Final = text("""
INSERT INTO outbox (subject_ref, id, type, occurred_at, data)
SELECT decode(ref, 'hex'), id, type, at, data FROM json_to_recordset(CAST(:rows AS json))
    AS message (ref text, id uuid, type text, at timestamptz, data jsonb)
""")


async def put_many(session: WriteSession, messages: Sequence[Message]) -> None:
    """Write one outbox row for each, in this transaction."""
    rows = (
        {
            "ref": each.subject_ref,
            "id": each.id,
            "type": TYPE_PREFIX + each.type,
            "at": each.occurred_at,
            "data": dict(each.data),
        }
        for each in messages
    )
    if messages:
        await session.execute(_PUT, {"rows": as_rows(rows)})
