"""Invalidate a version of a processing, or a text: nothing that was consented to by it permits any more."""

from app.audit.acts import ActKind, Target, TargetKind
from app.audit.trail import record_act
from app.auth.callers import Caller
from app.core.errors import ConsentNotApplicableError, NotFoundError, UnknownVersionError
from app.core.register.approval import RegisterApproval
from app.core.register.errors import NoticeOnPagesError, UnknownTextError
from app.core.register.invalidation import InvalidationState, Struck
from app.db.session import ReadSession, WriteSession
from app.ledger.flags import list_resting
from app.ledger.link_store import may_be_within_texts_shown
from app.register.invalidations import (
    InvalidationRecord,
    add_invalidation,
    add_invalidation_proposal,
    load_invalidations,
    next_number,
)
from app.register.records import ProcessingRecord
from app.register.store import lock_processing
from app.snapshot.changes import ChangeKind, record_change


async def invalidate_processing(  # noqa: PLR0917 - who invalidates what, and why
    session: WriteSession, caller: Caller, identifier: str, struck: Struck, reason: str, approval: RegisterApproval
) -> InvalidationRecord:
    """Invalidate from now on, for ever; or propose it, where two persons are needed.

    What is invalidated already, or waits to be, is answered as it is: the reason given first is kept.

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
    known = await load_invalidations(session, identifier)
    of_it = {each.state: each for each in known if each.struck == struck}
    in_force, waiting = of_it.get(InvalidationState.IN_FORCE), of_it.get(InvalidationState.PROPOSED)
    if in_force is not None:
        await _tell_replicas(session, identifier)  # the first time may have ended before it was confirmed
        return in_force
    await check_struck(session, record, struck)
    waits = approval is RegisterApproval.TWO
    if waits and waiting is not None:
        return waiting
    now = await session.now()
    at = None if waits else record.next_instant(now)
    made = InvalidationRecord(next_number(known), struck, reason, now, caller.id, at)
    if not waits:
        await put_in_force(session, caller, identifier, made)
        return made
    await add_invalidation_proposal(session, identifier, made)
    await _record(session, caller, identifier, made, ActKind.INVALIDATION_PROPOSED)
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


async def put_in_force(session: WriteSession, caller: Caller, identifier: str, made: InvalidationRecord) -> None:
    """Put an invalidation where decisions meet it; every replica must have heard before it is answered."""
    await add_invalidation(session, identifier, made)
    await _tell_replicas(session, identifier)
    await _record(session, caller, identifier, made, ActKind.PROCESSING_INVALIDATED)


async def _tell_replicas(session: WriteSession, identifier: str) -> None:
    session.narrow()
    await record_change(session, ChangeKind.PROCESSING, identifier.encode())


async def _record(
    session: WriteSession, caller: Caller, identifier: str, made: InvalidationRecord, act: ActKind
) -> None:
    told = {"invalidation": made.number, "version": made.struck.version}
    await record_act(session, act, caller.id, Target(TargetKind.PROCESSING, identifier), told)
