"""Write domain events into the outbox. Payloads are thin: the consent's id and processing, never a subject's id."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final
from uuid import UUID

from app.db.session import Put, WriteSession
from app.telemetry.spans import cause


class EventType(StrEnum):
    """What others can be told; a receiver ignores the types that it does not know."""

    GRANTED = "fr.sceau.consent.granted"
    REFUSED = "fr.sceau.consent.refused"
    WITHDRAWN = "fr.sceau.consent.withdrawn"
    RENEWAL_DUE = "fr.sceau.consent.renewal_due"
    CONFIRMATION_DUE = "fr.sceau.consent.confirmation_due"
    RENEWAL_DECLINED = "fr.sceau.consent.renewal_declined"
    EXPIRED = "fr.sceau.consent.expired"
    SUPERSEDED = "fr.sceau.consent.superseded"
    CLOSED = "fr.sceau.consent.closed"
    INVALIDATED = "fr.sceau.consent.invalidated"
    ERASED = "fr.sceau.consent.erased"


class ClosureCause(StrEnum):
    """What `closed` tells of: the user left, or the operator gave up the processing."""

    ACCOUNT_CLOSED = "account_closed"
    PROCESSING_RETIRED = "processing_retired"


TYPE_PREFIX = "fr.sceau.consent."


@dataclass(frozen=True, slots=True)
class DomainEvent:
    """A fact for others: what happened to which subject's consent, and when.

    `kind`: the word after `fr.sceau.consent.`. `id`: of the outbox row, where something else names it already.
    """

    subject_ref: bytes
    kind: str
    occurred_at: datetime
    data: Mapping[str, object]
    id: UUID | None = None


_OUTBOX: Final = Put(
    order=80,
    sql="""
INSERT INTO outbox (subject_ref, id, type, occurred_at, data, traceparent)
SELECT decode(ref, 'hex'), id, type, occurred_at, data, traceparent FROM json_to_recordset(CAST(%(rows)s AS json))
    AS given (ref text, id uuid, type text, occurred_at timestamptz, data jsonb, traceparent text)
""",
)


async def put_in_outbox(session: WriteSession, *events: DomainEvent) -> None:
    """Write an outbox row for each in this transaction; those of one subject come in the order of these calls."""
    for event in events:
        row = {
            "ref": event.subject_ref,
            "id": event.id or session.new_id(event.occurred_at),
            "type": TYPE_PREFIX + event.kind,
            "occurred_at": event.occurred_at,
            "data": dict(event.data),
            "traceparent": cause(),
        }
        session.stage(_OUTBOX, row)
        session.committing.kinds.append(event.kind)
