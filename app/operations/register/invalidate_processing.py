"""Invalidate a version of a processing, or a text: no consent that rests on it permits any more."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from app.audit.log_reading import RelyingCount, Resting, count_relying, first_logged
from app.audit.segments import HOUR, hour_begun
from app.audit.trail import ActKind, Target, TargetKind, record_act
from app.auth.callers import Caller
from app.core.consent import State
from app.core.errors import ConsentNotApplicableError, NotFoundError, UnknownVersionError
from app.core.period import PeriodPolicy
from app.core.processing import Invalidation
from app.core.register import NoticeOnPagesError, Struck, UnknownTextError
from app.db.database import Database
from app.db.session import ChangeKind, ReadSession, WriteSession
from app.ledger.link_store import may_be_within_texts_shown
from app.ledger.sweep import Held, list_resting, load_events_about
from app.register.records import ProcessingRecord, standing_now
from app.register.store import (
    InvalidationRecord,
    add_invalidation,
    load_invalidations,
    load_processing,
    lock_processing,
)

_AT_ONCE: Final = 200


@dataclass(frozen=True, slots=True)
class InvalidationCounts:
    """What an invalidation would do now.

    `people`: those whose consent in force would end. `permits`: how many in the decision log rested on such a consent,
    in force or ended since, the first of them at `first_permit_at`. `sealed_permits`: how many other permits looked at
    consents of other people, which the log keeps sealed: some may have rested on one.
    """

    people: int
    permits: int
    first_permit_at: datetime | None
    sealed_permits: int


async def preview_invalidation(
    database: Database, policy: PeriodPolicy, identifier: str, struck: Struck
) -> InvalidationCounts:
    """Count, as of now; in many short transactions, so that other writes can happen in between.

    Raises:
        NotFoundError: no such processing.
        ConsentNotApplicableError: its purpose does not rest on consent.
        UnknownVersionError: no such version of it.
        UnknownTextError: no consent to it can rest on that text.

    """
    async with database.read() as session:
        record = await load_processing(session, identifier)
        if record is None:
            raise NotFoundError
        await check_struck(session, record, struck)
        begins, now = await first_logged(session, record.registered_at - HOUR), await session.instant()
    relying = RelyingCount()
    while begins is not None and begins <= now:
        begins = hour_begun(begins)  # an hour at a time, skipping hours without decisions
        async with database.read() as session:
            relying += await count_relying(session, Resting(identifier, struck), begins, begins + HOUR)
            begins = await first_logged(session, begins + HOUR)
    people: set[bytes] = set()
    after = None
    while True:
        async with database.read() as session:
            page = await list_resting(session, identifier, struck, after=after, limit=_AT_ONCE)
            people |= await _whose_would_end(session, policy, record, struck, page)
        if len(page) < _AT_ONCE:
            break
        after = page[-1].id
    return InvalidationCounts(len(people), relying.number, relying.first_at, relying.sealed)


async def _whose_would_end(
    session: ReadSession, policy: PeriodPolicy, record: ProcessingRecord, struck: Struck, page: Sequence[Held]
) -> set[bytes]:
    events = await load_events_about(session, {held.subject_ref for held in page}, record.id) if page else {}
    now, ending = await session.now(), set[bytes]()
    for held in page:
        own = events.get(held.subject_ref, ())
        consent = next((each for each in own if each.id == held.id), None)  # None: they were taken out meanwhile
        standing = standing_now(own, record, now, policy)
        if consent is None or standing.state_of(consent) is not State.IN_FORCE:
            continue
        added = Invalidation(standing.at, struck.version, struck.text)
        then = replace(record.facts, invalidations=(*record.facts.invalidations, added))
        if replace(standing, processing=then).state_of(consent) is State.INVALIDATED:
            ending.add(held.subject_ref)
    return ending


async def invalidate_processing(
    session: WriteSession, caller: Caller, identifier: str, struck: Struck, reason: str
) -> InvalidationRecord:
    """Invalidate from now on, for ever. An invalidation that exists is returned as it is, with its first reason.

    Raises:
        NotFoundError: no such processing.
        ConsentNotApplicableError: its purpose does not rest on consent.
        UnknownVersionError: no such version of it.
        UnknownTextError: no consent to it can rest on that text.
        NoticeOnPagesError: it is a notice that the page has shown too, within texts of other hashes.

    """
    record = await lock_processing(session, identifier)
    if record is None:
        raise NotFoundError
    session.narrow()
    session.change(ChangeKind.PROCESSING, identifier.encode())
    invalidations = await load_invalidations(session, identifier)
    in_force = next((each for each in invalidations if each.struck == struck), None)
    if in_force is not None:
        return in_force  # confirmed again: the first attempt may have ended before it was
    await check_struck(session, record, struck)
    now = await session.now()
    number = max((each.number for each in invalidations), default=0) + 1  # numbers are not given again
    made = InvalidationRecord(number, struck, reason, now, caller.id, record.next_instant(now))
    await add_invalidation(session, identifier, made)
    detail = {"invalidation": made.number, "version": made.struck.version}
    target = Target(TargetKind.PROCESSING, identifier)
    await record_act(session, ActKind.PROCESSING_INVALIDATED, caller.id, target, detail)
    return made


async def check_struck(session: ReadSession, record: ProcessingRecord, struck: Struck) -> None:
    """Refuse what no consent to a processing can rest on.

    Raises:
        ConsentNotApplicableError: its purpose does not rest on consent.
        UnknownVersionError: no such version of it.
        UnknownTextError: the text is no notice of a version of it, and no consent to it that stands rests on it.
        NoticeOnPagesError: it is a notice that the page has shown too, within texts of other hashes.

    """
    if not record.facts.rests_on_consent:
        raise ConsentNotApplicableError
    if struck.version is not None and record.version(struck.version) is None:
        raise UnknownVersionError(field="version")
    text = struck.text
    if text is None:
        return
    notices = [notice for version in record.versions for notice in version.notices(text)]
    if notices:
        if any([await may_be_within_texts_shown(session, each, record.id) for each in notices]):
            raise NoticeOnPagesError(field="text")
        return
    # Texts and pages that were shown belong to no processing: what counts is whether a consent to it rests on one.
    if not await list_resting(session, record.id, struck, after=None, limit=1):
        raise UnknownTextError(field="text")
