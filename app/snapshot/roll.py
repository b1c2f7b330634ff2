"""Which replicas there are and when each was last heard, for people to look at."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from sqlalchemy import select

from app.db.session import ReadSession
from app.snapshot.tables import replica

_MOST: Final = 200


@dataclass(frozen=True, slots=True)
class ReplicaSeen:
    """One process that decides from memory: `about` is its host and process id, `beats` how often it was heard."""

    id: UUID
    about: str
    beats: int
    lease: timedelta
    seen_at: datetime


async def list_replicas(session: ReadSession) -> list[ReplicaSeen]:
    """The replicas heard last, the one not heard for longest first; 200 at most."""
    statement = select(replica).order_by(replica.c.seen_at.desc()).limit(_MOST)
    found = [
        ReplicaSeen(row.id, row.about, row.beat, timedelta(milliseconds=row.lease_ms), row.seen_at)
        for row in await session.execute(statement)
    ]
    return found[::-1]
