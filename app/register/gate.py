"""What waits for a second person and what became of it, and the register as people see it, with what waits."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Row,
    Select,
    Table,
    Text,
    Uuid,
    insert,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB

from app.core.errors import NotFoundError
from app.core.register import Gated, GateProposal, Ruling
from app.db.schema import metadata, one_of
from app.db.session import ReadSession, WriteSession
from app.register.records import Proposal, Registered
from app.register.store import load_processings, lock_processing, name_controllers, version_from_json

gate_proposal = Table(
    "gate_proposal",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("wanted", JSONB, nullable=False),
    Column("proposed_at", DateTime(timezone=True), nullable=False),
    Column("proposed_by", Uuid, nullable=False),
    one_of("kind", Gated),
)

gate_ruling = Table(
    "gate_ruling",
    metadata,
    Column("proposal", Uuid, ForeignKey("gate_proposal.id", ondelete="RESTRICT"), primary_key=True),
    Column("approved", Boolean, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("ruled_by", Uuid, nullable=False),
)


def _every() -> Select[Any]:
    return (
        select(gate_proposal, gate_ruling.c.approved, gate_ruling.c.reason, gate_ruling.c.at, gate_ruling.c.ruled_by)
        .outerjoin(gate_ruling, gate_ruling.c.proposal == gate_proposal.c.id)
        .order_by(gate_proposal.c.id)
    )


async def load_waiting(session: ReadSession) -> list[GateProposal]:
    """Return what waits, except versions, which are shown with their processing; oldest first."""
    waiting = _every().where(gate_ruling.c.proposal.is_(None), gate_proposal.c.kind != Gated.VERSION.value)
    return [_proposal(row) for row in await session.execute(waiting)]


async def load_approved(session: ReadSession, kind: Gated, target: str) -> list[GateProposal]:
    """Return what was approved of one kind about one thing, oldest first."""
    approved = _every().where(gate_proposal.c.kind == kind.value, gate_proposal.c.target == target)
    return [_proposal(row) for row in await session.execute(approved.where(gate_ruling.c.approved))]


async def list_proposals(session: ReadSession, *, after: UUID | None, limit: int) -> list[GateProposal]:
    """Return the next proposals by id (oldest first), whether they wait or were answered."""
    statement = _every().limit(limit)
    if after is not None:
        statement = statement.where(gate_proposal.c.id > after)
    return [_proposal(row) for row in await session.execute(statement)]


async def load_proposal(session: ReadSession, identifier: UUID) -> GateProposal | None:
    """Return a proposal; None when there is none."""
    row = (await session.execute(_every().where(gate_proposal.c.id == identifier))).first()
    return _proposal(row) if row is not None else None


async def hold_proposal(session: WriteSession, identifier: UUID) -> GateProposal | None:
    """Return a proposal, locked until the transaction ends against others who answer it; None when there is none."""
    await session.execute(select(gate_proposal.c.id).where(gate_proposal.c.id == identifier).with_for_update())
    return await load_proposal(session, identifier)


async def add_proposal(session: WriteSession, made: GateProposal) -> None:
    """Keep what waits."""
    await session.execute(
        insert(gate_proposal).values(
            id=made.id,
            kind=made.kind.value,
            target=made.target,
            wanted=dict(made.wanted),
            proposed_at=made.at,
            proposed_by=made.by,
        )
    )


async def add_ruling(session: WriteSession, proposal: UUID, ruling: Ruling) -> None:
    """Keep what a second person answered; a proposal has one answer."""
    await session.execute(
        insert(gate_ruling).values(
            proposal=proposal, approved=ruling.approved, reason=ruling.reason, at=ruling.at, ruled_by=ruling.by
        )
    )


def _proposal(row: Row[Any]) -> GateProposal:
    ruling = None if row.approved is None else Ruling(row.approved, row.reason, row.at, row.ruled_by)
    return GateProposal(row.id, Gated(row.kind), row.target, row.wanted, row.proposed_at, row.proposed_by, ruling)


async def load_proposals(
    session: ReadSession, ids: Collection[str] | None = None
) -> Mapping[str, tuple[Proposal, ...]]:
    """Return every version ever proposed of these processings (None: of all), in ascending number."""
    statement = _every().where(gate_proposal.c.kind == Gated.VERSION.value)
    if ids is not None:
        statement = statement.where(gate_proposal.c.target.in_(ids))
    by_target = defaultdict[str, list[Proposal]](list)
    for row in await session.execute(statement):
        made = _proposal(row)
        by_target[made.target].append(Proposal(version_from_json(made.wanted), made))
    ascending = {each: sorted(made, key=lambda one: one.version.facts.number) for each, made in by_target.items()}
    return defaultdict(tuple, {each: tuple(proposals) for each, proposals in ascending.items()})


# Read the register as people see it: with the names that controllers have today, and with what waits for approval.


async def read_register(session: ReadSession, ids: Collection[str] | None = None) -> dict[str, Registered]:
    """Return register entries by id, in the order of ids; `ids` None for all."""
    records = await load_processings(session, ids)
    proposals = await load_proposals(session, list(records))
    also = [each for of_one in proposals.values() for one in of_one for each in one.version.controllers]
    named = await name_controllers(session, records, also)
    return {identifier: Registered(record, proposals[identifier]) for identifier, record in named.items()}


async def read_names(session: ReadSession, registered: Registered) -> Registered:
    """Return an entry that was just written, with the names that its controllers have today."""
    also = [controller for proposal in registered.proposals for controller in proposal.version.controllers]
    named = await name_controllers(session, {registered.record.id: registered.record}, also)
    return Registered(named[registered.record.id], registered.proposals)


async def hold_registered(session: WriteSession, identifier: str) -> Registered:
    """Return an entry, locked against other writers until the transaction ends, with its controllers as registered.

    Raises:
        NotFoundError: no such processing.

    """
    record = await lock_processing(session, identifier)
    if record is None:
        raise NotFoundError
    return Registered(record, (await load_proposals(session, [identifier]))[identifier])
