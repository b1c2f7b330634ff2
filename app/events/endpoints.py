"""Where webhook endpoints are kept."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, insert, select, text, update

from app.db.session import ReadSession, WriteSession
from app.events.outbox import EventType
from app.events.tables import webhook_endpoint


class EndpointStatus(StrEnum):
    """Whether deliveries go out; those of a disabled endpoint are kept until they are too old."""

    ACTIVE = "active"
    DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A receiver: `types` None is every type, `processings` None every processing.

    `status_reason` says why it is disabled: `by_request`, `gone` when it answered 410, or `maker_ended` when the caller
    that made or last changed it (`created_by`) may not do any more what it does.
    """

    id: UUID
    url: str
    types: frozenset[EventType] | None
    processings: frozenset[str] | None
    include_subject: bool
    status: EndpointStatus
    status_reason: str | None
    status_at: datetime
    created_at: datetime
    created_by: UUID

    def wants(self, kind: str, processing: str | None) -> bool:
        """Whether it is sent events of that type about that processing; `WANTED` of `deliveries` says the same."""
        typed = self.types is None or kind in self.types
        return typed and (self.processings is None or processing in self.processings)


async def add_endpoint(session: WriteSession, endpoint: Endpoint) -> None:
    """Keep a new endpoint."""
    await session.execute(insert(webhook_endpoint).values(id=endpoint.id, **_values(endpoint)))


async def save_endpoint(session: WriteSession, endpoint: Endpoint) -> None:
    """Write what changed of an endpoint."""
    statement = update(webhook_endpoint).where(webhook_endpoint.c.id == endpoint.id)
    await session.execute(statement.values(**_values(endpoint)))


async def remove_endpoint(session: WriteSession, identifier: UUID) -> None:
    """Remove an endpoint with its secrets, deliveries and their log."""
    await session.execute(delete(webhook_endpoint).where(webhook_endpoint.c.id == identifier))


async def count_endpoints(session: WriteSession) -> int:
    """How many there are; others that count wait until the end of this transaction."""
    await session.execute(text("SELECT pg_advisory_xact_lock(hashtext('sceau webhook endpoints'))"))
    return int((await session.execute(select(func.count()).select_from(webhook_endpoint))).scalar_one())


async def load_endpoint(session: ReadSession, identifier: UUID, *, hold: bool = False) -> Endpoint | None:
    """One endpoint; None when there is none. `hold` keeps it from changing until the end of the transaction."""
    statement = select(webhook_endpoint).where(webhook_endpoint.c.id == identifier)
    row = (await session.execute(statement.with_for_update() if hold else statement)).first()
    return None if row is None else _endpoint(row)


async def list_endpoints(session: ReadSession) -> list[Endpoint]:
    """Every endpoint, oldest first."""
    found = await session.execute(select(webhook_endpoint).order_by(webhook_endpoint.c.id))
    return [_endpoint(row) for row in found]


def _values(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "url": endpoint.url,
        "types": None if endpoint.types is None else sorted(each.value for each in endpoint.types),
        "processings": None if endpoint.processings is None else sorted(endpoint.processings),
        "include_subject": endpoint.include_subject,
        "status": endpoint.status.value,
        "status_reason": endpoint.status_reason,
        "status_at": endpoint.status_at,
        "created_at": endpoint.created_at,
        "created_by": endpoint.created_by,
    }


def _endpoint(row: Row[Any]) -> Endpoint:
    return Endpoint(
        id=row.id,
        url=row.url,
        types=None if row.types is None else frozenset(map(EventType, row.types)),
        processings=None if row.processings is None else frozenset(row.processings),
        include_subject=row.include_subject,
        status=EndpointStatus(row.status),
        status_reason=row.status_reason,
        status_at=row.status_at,
        created_at=row.created_at,
        created_by=row.created_by,
    )
