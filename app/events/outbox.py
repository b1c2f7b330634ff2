"""Write domain events into the outbox. Payloads are thin: the consent's id and processing, never a subject's id."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert

from app.core.consent import EventKind
from app.db.session import WriteSession
from app.events.tables import outbox

TYPE_PREFIX = "fr.sceau.consent."


@dataclass(frozen=True, slots=True)
class DomainEvent:
    """A fact for others: what happened to which subject's consent, and when."""

    subject_ref: bytes
    kind: EventKind
    occurred_at: datetime
    data: Mapping[str, object]


async def put_in_outbox(session: WriteSession, event: DomainEvent) -> None:
    """Write one outbox row in this transaction."""
    await session.execute(
        insert(outbox).values(
            subject_ref=event.subject_ref,
            id=session.new_id(event.occurred_at),
            type=TYPE_PREFIX + event.kind.value,
            occurred_at=event.occurred_at,
            data=dict(event.data),
        )
    )
