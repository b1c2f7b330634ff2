"""What receivers owe once a consent ended: how soon, and their statement that it was done."""

import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from app.auth.callers import Caller
from app.core.consent import ConsentEvent
from app.core.errors import NotFoundError
from app.core.fold import Standing
from app.core.renewal import NEVER_FLAGGED, FlagKind, Renewal, examine
from app.db.database import Database
from app.db.session import WriteSession, uuid7
from app.events.effects import Effect, acknowledge, find_owed
from app.events.outbox import DomainEvent, put_in_outbox
from app.ledger.sweep import Held, Said, hold_resting, list_untold, load_events_about, put_flags
from app.register.records import standing_now
from app.register.store import InvalidationRecord, add_told, hold_processing, list_not_told


async def acknowledge_effect(
    session: WriteSession, caller: Caller, event: UUID, effect: Effect, count: int | None
) -> tuple[datetime, list[Effect]]:
    """Keep which caller did what after which event. A repetition changes nothing: the first time counts.

    Returns:
        When it was acknowledged now, and the effects that no receiver has acknowledged yet.

    Raises:
        NotFoundError: the event ended no consent, or its processing is not the caller's to name.

    """
    owed = await find_owed(session, event)
    if owed is None or not caller.may_ask_about(owed.processing):
        raise NotFoundError("No event of that id ended a consent.", field="event")
    now = await session.now()
    await acknowledge(session, owed, effect, caller.id, now, count)
    done = {Effect.STOPPED: owed.stopped_at, Effect.ERASED: owed.erased_at, effect: now}
    return now, [each for each in Effect if done[each] is None]


# Notify receivers once of each consent that an invalidation ended; decisions do not wait for it.
#
# A batch is one transaction, as in the sweep of renewals: it holds the subjects, judges their ledgers under that
# lock, and writes the flag and the outbox row. Killed at any point, it has reported all of a batch or nothing of it.
# It skips subjects that another transaction holds: the next run then looks at the invalidation again. The ledger gets
# no entry: the register says that the consent ended.

BATCH: Final = 1_000
RUN: Final = timedelta(seconds=50)
_UNDER_WAY: Final = timedelta(minutes=1)
"""After this, a grant that began to be recorded before an invalidation is there: nothing is missed."""


async def tell_invalidations(database: Database, renewal: Renewal, *, batch: int = BATCH, run: timedelta = RUN) -> int:
    """Report what is not reported yet, batch by batch, until there is nothing left or the run is over.

    Args:
        database: each batch is a transaction in it.
        renewal: how this deployment counts periods.
        batch: consents in a transaction.
        run: for how long new batches begin; the next run goes on with what is left.

    Returns:
        How many consents it reported.

    """
    until, number = time.monotonic() + run.total_seconds(), 0
    async with database.read() as session:
        waiting = await list_not_told(session)
    for processing, invalidation in waiting:
        after: UUID | None = None
        left: set[UUID] = set()
        while time.monotonic() < until:
            async with database.write() as session:
                held, reported = await _batch(session, renewal, processing, invalidation, after, batch)
            number += len(reported)
            left |= {each.id for each in held} - reported
            if len(held) < batch:
                await _close(database, processing, invalidation, left)
                break
            after = held[-1].id
    return number


async def _batch(  # noqa: PLR0917 - one step of a run
    session: WriteSession,
    renewal: Renewal,
    processing: str,
    invalidation: InvalidationRecord,
    after: UUID | None,
    batch: int,
) -> tuple[Sequence[Held], set[UUID]]:
    """Hold, examine and report the next consents; return those held, and the ids of those reported."""
    record = await hold_processing(session, processing)
    if record is None:
        return (), set()
    held = await hold_resting(session, processing, invalidation.struck, after=after, limit=batch)
    if not held:
        return held, set()
    events = await load_events_about(session, {each.subject_ref for each in held}, processing)
    now = await session.now()
    standings = {ref: standing_now(of_one, record, now, renewal.policy) for ref, of_one in events.items()}
    candidates = [_look(renewal, each, events[each.subject_ref], standings[each.subject_ref]) for each in held]
    flagged = await put_flags(session, processing, [each for each in candidates if each is not None], now)
    for item in flagged:
        data = {"consent": str(item.consent.id), "processing": processing}
        ref, kind = item.consent.subject_ref, item.flag.kind.value
        await put_in_outbox(session, DomainEvent(ref, kind, standings[ref].at, data, item.id, ends=item.ends))
    return held, {each.consent.id for each in flagged}


def _look(renewal: Renewal, held: Held, events: Sequence[ConsentEvent], standing: Standing) -> Said | None:
    """Return what there is to report of a consent as its ledger stands now; None unless it was invalidated."""
    consent = next(each for each in events if each.id == held.id)
    examined = examine(consent, standing, NEVER_FLAGGED, renewal)
    if examined.flag is None or examined.flag.kind is not FlagKind.INVALIDATED:
        return None
    ends = standing.has_permitted(consent)
    return Said(held, examined.flag, uuid7(standing.at), standing.expiry_of(consent), ends)


async def _close(database: Database, processing: str, invalidation: InvalidationRecord, left: set[UUID]) -> None:
    """Note that every end was reported, once the consents left over were all examined and left alone."""
    async with database.write() as session:
        now = await session.now()
        untold = await list_untold(session, processing, invalidation.struck, limit=len(left) + 1)
        if now >= invalidation.at + _UNDER_WAY and left.issuperset(untold):
            await add_told(session, processing, invalidation.number, now)
