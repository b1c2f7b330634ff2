"""Reads and writes of what waits for a second person, and of what that person answered."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from uuid import UUID

from sqlalchemy import insert, select

from app.core.register import Ruling
from app.db.session import ReadSession, WriteSession
from app.register.records import Proposal, VersionRecord
from app.register.store import values_of, version_of
from app.register.tables import processing_proposal, processing_ruling


async def load_proposals(
    session: ReadSession, ids: Collection[str] | None = None
) -> Mapping[str, tuple[Proposal, ...]]:
    """What was ever proposed of these processings (None: of all), in ascending number; nothing for the others."""
    statement = (
        select(
            processing_proposal,
            processing_ruling.c.approved,
            processing_ruling.c.reason.label("ruling_reason"),
            processing_ruling.c.at,
            processing_ruling.c.ruled_by,
        )
        .outerjoin(
            processing_ruling,
            (processing_ruling.c.processing == processing_proposal.c.processing)
            & (processing_ruling.c.number == processing_proposal.c.number),
        )
        .order_by(processing_proposal.c.processing, processing_proposal.c.number)
    )
    if ids is not None:
        statement = statement.where(processing_proposal.c.processing.in_(ids))
    found = defaultdict[str, list[Proposal]](list)
    for row in await session.execute(statement):
        ruling = Ruling(row.approved, row.ruling_reason, row.at, row.ruled_by) if row.approved is not None else None
        found[row.processing].append(Proposal(version_of(row), row.recorded_by, ruling))
    return defaultdict(tuple, {identifier: tuple(proposals) for identifier, proposals in found.items()})


async def add_proposal(session: WriteSession, identifier: str, version: VersionRecord, *, by: UUID) -> None:
    """Keep a version that waits."""
    await session.execute(insert(processing_proposal).values(values_of(identifier, version, by)))


async def add_ruling(session: WriteSession, identifier: str, number: int, ruling: Ruling) -> None:
    """Keep what a second person answered; a proposal has one answer."""
    await session.execute(
        insert(processing_ruling).values(
            processing=identifier,
            number=number,
            approved=ruling.approved,
            reason=ruling.reason,
            at=ruling.at,
            ruled_by=ruling.by,
        )
    )
