"""Rebuild the projection from the ledger, subject by subject, and tell what differed."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from app.audit.trail import ActKind, record_act
from app.core.projection import ConsentRow, project
from app.db.database import Database
from app.db.session import WriteSession
from app.ledger.projection import load_rows, lock_subjects, project_subject, remove_rows
from app.ledger.store import load_events
from app.register.store import load_processings

_BATCH = 200


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a rebuild has come: subjects looked at, and consents whose row was not what the ledger says."""

    subjects: int
    differing: int


async def rebuild_projection(database: Database, *, repair: bool = True) -> AsyncIterator[Progress]:
    """Compare every subject's rows with its ledger, in batches of one transaction each, and repair those that differ.

    Yields:
        Progress after each batch; the last one is the result.

    """
    after, subjects, differing = b"", 0, 0
    while True:
        async with database.write() as session:
            refs = await lock_subjects(session, after=after, limit=_BATCH)
            events = await load_events(session, refs)
            records = await load_processings(session)
            register = {identifier: record.facts for identifier, record in records.items()}
            wrong = 0
            for ref in refs:
                wrong += await _compare(session, ref, project(events.get(ref, ()), register), repair=repair)
            if wrong and repair:
                await record_act(session, ActKind.PROJECTION_REPAIRED, None, detail={"consents": wrong})
        differing += wrong
        subjects += len(refs)
        yield Progress(subjects, differing)
        if len(refs) < _BATCH:
            return
        after = refs[-1]


async def _compare(session: WriteSession, ref: bytes, rows: Sequence[ConsentRow], *, repair: bool) -> int:
    """How many of a subject's rows are not what the ledger says; they are repaired if asked."""
    should = {row.id: row for row in rows}
    stored = await load_rows(session, ref)
    wrong = {each for each in should.keys() | stored.keys() if should.get(each) != stored.get(each)}
    if wrong and repair:
        await remove_rows(session, ref, wrong - should.keys())
        project_subject(session, ref, rows, stored)
    return len(wrong)
