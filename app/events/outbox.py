"""Write domain events into the outbox. Payloads are thin: the consent's id and processing, never a subject's id."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.core.consent import EventKind
from app.db.session import Put, WriteSession
from app.telemetry.traces.spans import cause

TYPE_PREFIX = "fr.sceau.consent."


@dataclass(frozen=True, slots=True)
class DomainEvent:
    """A fact for others: what happened to which subject's consent, and when."""

    subject_ref: bytes
    kind: EventKind
    occurred_at: datetime
    data: Mapping[str, object]


_OUTBOX: Final = Put(
    order=80,
    sql="""
INSERT INTO outbox (subject_ref, id, type, occurred_at, data, traceparent)
SELECT decode(ref, 'hex'), id, type, occurred_at, data, traceparent FROM json_to_recordset(CAST(%(rows)s AS json))
    AS given (ref text, id uuid, type text, occurred_at timestamptz, data jsonb, traceparent text)
""",
)


async def put_in_outbox(session: WriteSession, event: DomainEvent) -> None:
    """Write one outbox row in this transaction; those of one subject come in the order of these calls."""
    row = {
        "ref": event.subject_ref,
        "id": session.new_id(event.occurred_at),
        "type": TYPE_PREFIX + event.kind.value,
        "occurred_at": event.occurred_at,
        "data": dict(event.data),
        "traceparent": cause(),
    }
    session.stage(_OUTBOX, row)
    session.committing.kinds.append(event.kind.value)
