"""Write many domain events into the outbox with one statement; payloads as thin as those of `app.events.outbox`."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from sqlalchemy import text

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
SELECT ref, id, type, at, CAST(data AS jsonb) FROM unnest(
    CAST(:refs AS bytea[]), CAST(:ids AS uuid[]), CAST(:types AS text[]), CAST(:ats AS timestamptz[]),
    CAST(:data AS text[])
) AS message (ref, id, type, at, data)
""")


async def put_many(session: WriteSession, messages: Sequence[Message]) -> None:
    """Write one outbox row for each, in this transaction."""
    if not messages:
        return
    values = {
        "refs": [each.subject_ref for each in messages],
        "ids": [each.id for each in messages],
        "types": [TYPE_PREFIX + each.type for each in messages],
        "ats": [each.occurred_at for each in messages],
        "data": [json.dumps(dict(each.data)) for each in messages],
    }
    await session.execute(_PUT, values)
