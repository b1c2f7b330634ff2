"""Count every consent for the figures, and rebuild the projection that they are counted in from the ledger."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from app.audit.figures import Figure, keep_figure
from app.audit.trail import ActKind, record_act
from app.core.article import PARIS
from app.core.consent import ConsentEvent, EventKind, State
from app.core.fold import ENDED, ConsentRow, Standing, fold, project
from app.core.period import PeriodPolicy
from app.core.processing import Processing
from app.db.database import Database
from app.db.session import ReadSession, WriteSession
from app.ledger.projection import load_rows, lock_subjects, project_subject, remove_rows
from app.ledger.store import Window, count_groups, doubted_histories, load_events
from app.register.store import load_processings

CONSENTS: Final = "consents"

_Key = tuple[str, State, datetime | None]
"""Processing, state and, for a consent in force, when it expires."""


async def count_consents(session: WriteSession, policy: PeriodPolicy) -> int | None:
    """Count the consents and keep the numbers; return the total, or None if another process is counting already.

    One pass over the projection in its own transaction, which sees all of it as of one moment
    (`Database.write(at_once=True)`). The core computes the states (`app.core.fold`), once for each group of consents
    that stand and lapse together.
    """
    if not await session.take_turn(f"figure {CONSENTS}"):
        return None
    now = await session.now()
    counted: Counter[tuple[str, str, str]] = Counter()
    for (processing, state, lapses), number in (await _counted(session, policy, now)).items():
        month = f"{lapses.astimezone(PARIS):%Y-%m}" if lapses is not None else ""
        counted[processing, state.value, month] += number
    numbers = [
        {"processing": processing, "state": state, "month": month, "number": number}
        for (processing, state, month), number in sorted(counted.items())
    ]
    await keep_figure(session, CONSENTS, Figure(now, await session.now() - now, numbers))
    return counted.total()


async def count_lapsing(session: ReadSession, policy: PeriodPolicy, window: Window) -> dict[str, int]:
    """Return how many consents that are in force now will expire between two instants, by processing."""
    counts: Counter[str] = Counter()
    for (processing, _, lapses), number in (await _counted(session, policy, await session.now(), window)).items():
        if lapses is not None and window[0] <= lapses < window[1]:
            counts[processing] += number
    return dict(sorted(counts.items()))


async def _counted(
    session: ReadSession, policy: PeriodPolicy, now: datetime, window: Window | None = None
) -> Counter[_Key]:
    """Count all consents, or those that may lapse in a window, as the core judges them."""
    register = {identifier: record.facts for identifier, record in (await load_processings(session)).items()}
    counted: Counter[_Key] = Counter()
    for group in await count_groups(session, now, window):
        if group.ended_by is not None:
            counted[group.processing, ENDED[group.ended_by], None] += group.number
        else:
            example = group.example()
            standing = fold([example], register[group.processing], max(now, example.collected_at), policy)
            counted[_key(example, standing)] += group.number
    async for events in doubted_histories(session, window):
        counted.update(_keys(events, register, now, policy))
    return counted


def _keys(
    events: Sequence[ConsentEvent], register: Mapping[str, Processing], now: datetime, policy: PeriodPolicy
) -> list[_Key]:
    at = max([now, *(event.collected_at for event in events)])
    consents = [event for event in events if event.kind in {EventKind.GRANTED, EventKind.REFUSED}]
    standings = {
        each: fold(events, register[each], at, policy) for each in {event.processing or "" for event in consents}
    }
    return [_key(event, standings[event.processing or ""]) for event in consents]


def _key(consent: ConsentEvent, standing: Standing) -> _Key:
    state = standing.state_of(consent)
    return standing.processing.id, state, standing.expiry_of(consent) if state is State.IN_FORCE else None


# Rebuild the projection from the ledger, subject by subject, and report what differed.

_BATCH = 200


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a rebuild has come: subjects compared, and consents whose row was not what the ledger says.

    `share`: of all subjects, from 0 to 1; estimated from the references, which are random and visited in order.
    """

    subjects: int
    differing: int
    share: float


async def rebuild_projection(database: Database, *, repair: bool = True) -> AsyncIterator[Progress]:
    """Compare every subject's rows with its ledger, in batches of one transaction each, and repair those that differ.

    Yields:
        Progress after each batch; the last one is the result.

    """
    after, subjects, differing = b"", 0, 0
    while True:
        async with database.write() as session:
            refs, wrong = await _compare_some(session, after, repair=repair)
            if wrong and repair:
                await record_act(session, ActKind.PROJECTION_REPAIRED, None, detail={"consents": wrong})
        differing += wrong
        subjects += len(refs)
        is_last = len(refs) < _BATCH
        after = after if is_last else refs[-1]
        yield Progress(subjects, differing, 1.0 if is_last else int.from_bytes(after[:4]) / 2**32)
        if is_last:
            return


async def count_differing(session: WriteSession) -> int:
    """Return for how many consents the row is missing or not what the ledger says, in the caller's transaction."""
    after, differing = b"", 0
    while True:
        refs, wrong = await _compare_some(session, after, repair=False)
        differing += wrong
        if len(refs) < _BATCH:
            return differing
        after = refs[-1]


async def _compare_some(session: WriteSession, after: bytes, *, repair: bool) -> tuple[list[bytes], int]:
    """Compare the next subjects; return them, and how many of their rows are not what the ledger says."""
    refs = await lock_subjects(session, after=after, limit=_BATCH)
    events = await load_events(session, refs)
    register = {identifier: record.facts for identifier, record in (await load_processings(session)).items()}
    wrong = 0
    for ref in refs:
        wrong += await _compare(session, ref, project(events.get(ref, ()), register), repair=repair)
    return refs, wrong


async def _compare(session: WriteSession, ref: bytes, rows: Sequence[ConsentRow], *, repair: bool) -> int:
    """Return how many of a subject's rows are not what the ledger says; repair them if asked."""
    should = {row.id: row for row in rows}
    stored = await load_rows(session, ref)
    wrong = {each for each in should.keys() | stored.keys() if should.get(each) != stored.get(each)}
    if wrong and repair:
        await remove_rows(session, ref, wrong - should.keys())
        project_subject(session, ref, rows, stored)
    return len(wrong)
