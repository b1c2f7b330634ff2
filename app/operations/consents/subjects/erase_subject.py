"""Erase a user: close the account and sever the id from the ledger, which keeps the proof, not of whom."""

from collections.abc import Sequence

from app.audit.trail import ActKind, Target, record_act
from app.auth.callers import Caller
from app.auth.idempotency import forget_answers
from app.core.article import PARIS, paris_midnight
from app.core.consent import EventKind
from app.db.session import WriteSession
from app.ledger.locators import MovedError, every_ref, find_ref, hold_refs, names_held, sever, until_held
from app.ledger.vault_store import destroy_names
from app.operations.consents.ledgers import open_ledger, tell
from app.operations.consents.subjects.close_subject import Closure, append_for_all
from app.operations.service.deployment import Deployment, SubjectName
from app.snapshot.tables import ChangeKind, record_change


async def erase_subject(session: WriteSession, deployment: Deployment, caller: Caller, subject: SubjectName) -> Closure:
    """Append a closure and an erasure, and destroy what leads from the id to the ledger and back (GDPR art. 17).

    Every name of the person is erased, and closed accounts of each go with them. Nobody finds the past by one of them
    after this, whoever holds the keys. The ledger keeps what proves, under a random pseudonym. Of each name stays that
    it was erased, and on which day, so that no import brings back what was said before. Erasing somebody of whom
    nothing is recorded leaves nothing.

    Raises:
        InvalidSubjectError: the id has a domain that IDNA refuses.

    """
    locators = deployment.pseudonyms.locators(subject.type, subject.id)
    # Before it is looked for: a first consent that is recorded meanwhile is waited for, and closed, or comes after.
    await session.look_up(names_held(locators, waiting=True))
    refs = await _hold_all(session, locators)
    live = await find_ref(session, *locators)
    session.narrow()
    for locator in locators:  # also where this repeats an erasure that may not have been confirmed
        await record_change(session, ChangeKind.SUBJECT, locator)
    if live is not None:
        closure = await _close(session, deployment, caller, subject)
    else:
        await record_act(session, ActKind.SUBJECT_ERASED, caller.id, Target(), {"ended": 0})
        closure = Closure(None, (), await session.now())
    # What is answered is kept as about the account that was open, if at all: nothing leads to an earlier one.
    session.committing.subjects.intersection_update({live} if live is not None else ())
    await destroy_names(session, refs)
    today = (await session.now()).astimezone(PARIS).date()
    await sever(session, refs, paris_midnight(today))
    await forget_answers(session, refs)
    return closure


async def _hold_all(session: WriteSession, locators: Sequence[bytes]) -> frozenset[bytes]:
    """Hold every account that the person's names lead or have led to; they are held in one order, so all at once."""

    async def hold() -> frozenset[bytes]:
        refs = await every_ref(session, locators)
        await hold_refs(session, refs)
        if await every_ref(session, locators) != refs:
            raise MovedError
        return refs

    return await until_held(session, hold)


async def _close(session: WriteSession, deployment: Deployment, caller: Caller, subject: SubjectName) -> Closure:
    """Append the closure and the erasure, and tell receivers of the erasure alone: it says more."""
    ledger = await open_ledger(session, deployment, subject)
    at = ledger.after_everything
    ledger, ended = await append_for_all(session, caller, ledger, EventKind.CLOSED)
    closure = ledger.entries[-1].event
    await append_for_all(session, caller, ledger, EventKind.ERASED)
    for row in ended:
        await tell(session, ledger.ref, EventKind.ERASED, at, consent=row.id, processing=row.processing)
    told = {"ended": len(ended)}
    await record_act(session, ActKind.SUBJECT_ERASED, caller.id, Target(subject_ref=ledger.ref), told)
    return Closure(closure.id, tuple(row.id for row in ended), closure.collected_at)
