"""Invalidate a version of a processing, or a text: nothing that was consented to by it permits any more."""

from app.audit.trail import ActKind, Target, TargetKind, record_act
from app.auth.callers import Caller
from app.core.errors import ConsentNotApplicableError, NotFoundError, UnknownVersionError
from app.core.register.errors import NoticeOnPagesError, UnknownTextError
from app.core.register.invalidation import Struck
from app.db.session import ReadSession, WriteSession
from app.ledger.flags import list_resting
from app.ledger.link_store import may_be_within_texts_shown
from app.register.invalidations import InvalidationRecord, add_invalidation, load_invalidations, next_number
from app.register.records import ProcessingRecord
from app.register.store import lock_processing
from app.snapshot.tables import ChangeKind, record_change


async def invalidate_processing(
    session: WriteSession, caller: Caller, identifier: str, struck: Struck, reason: str
) -> InvalidationRecord:
    """Invalidate from now on, for ever. What is invalidated already is answered as it is: the first reason is kept.

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
    await record_change(session, ChangeKind.PROCESSING, identifier.encode())
    known = await load_invalidations(session, identifier)
    in_force = next((each for each in known if each.struck == struck), None)
    if in_force is not None:
        return in_force  # confirmed again: the first time may have ended before it was
    await check_struck(session, record, struck)
    now = await session.now()
    made = InvalidationRecord(next_number(known), struck, reason, now, caller.id, record.next_instant(now))
    await add_invalidation(session, identifier, made)
    told = {"invalidation": made.number, "version": made.struck.version}
    target = Target(TargetKind.PROCESSING, identifier)
    await record_act(session, ActKind.PROCESSING_INVALIDATED, caller.id, target, told)
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
    # Texts and whole pages that were shown belong to no processing: what counts is whether a consent to it rests on it.
    if not await list_resting(session, record.id, struck, after=None, limit=1):
        raise UnknownTextError(field="text")
