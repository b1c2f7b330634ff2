"""Read the register as people see it: with the names that controllers have today, and with what waits for approval."""

from collections.abc import Collection

from app.db.session import ReadSession
from app.register.gate import load_proposals
from app.register.records import Registered
from app.register.store import load_processings, name_controllers


async def read_register(session: ReadSession, ids: Collection[str] | None = None) -> dict[str, Registered]:
    """Register entries by id, in the order of ids; None for all."""
    records = await load_processings(session, ids)
    proposals = await load_proposals(session, list(records))
    also = [each for of_one in proposals.values() for one in of_one for each in one.version.controllers]
    named = await name_controllers(session, records, also)
    return {identifier: Registered(record, proposals[identifier]) for identifier, record in named.items()}


async def read_names(session: ReadSession, known: Registered) -> Registered:
    """An entry that was just written, with the names that its controllers have today."""
    also = [each for one in known.proposals for each in one.version.controllers]
    named = await name_controllers(session, {known.record.id: known.record}, also)
    return Registered(named[known.record.id], known.proposals)
