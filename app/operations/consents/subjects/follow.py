"""A refusal, a withdrawal or a closure under one name of a person is recorded under the others too; a grant never is.

Each name keeps a ledger of its own, and its rules read that alone: what follows is an entry like any other, which names
the one that it follows.
"""

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

from app.auth.callers import Caller
from app.core.aliases import FOLLOWED
from app.core.consent import AgeBand, ConsentEvent, EventKind
from app.core.projection import ConsentRow
from app.db.session import WriteSession
from app.ledger.aliases import accounts_of, locators_of
from app.ledger.entries import LedgerEntry, collection_of
from app.ledger.locators import end_account, find_ref, hold_ref
from app.ledger.store import load_entries
from app.operations.consents.append_to_ledger import OpenLedger, append, tell
from app.operations.service.deployment import Deployment, SubjectName


async def hold_people(session: WriteSession, deployment: Deployment, *names: SubjectName) -> None:
    """Hold all accounts of some people, in the one order in which writers hold several: two never wait for each other.

    A person with one account only is left to whoever opens that.
    """
    accounts: set[bytes] = set()
    for name in names:
        ref = await account_of(session, deployment, name)
        accounts.update(await accounts_of(session, ref) if ref is not None else ())
    if len(accounts) > 1:
        for each in sorted(accounts):
            await hold_ref(session, each)


async def account_of(session: WriteSession, deployment: Deployment, name: SubjectName) -> bytes | None:
    """The open account that a name leads to; None when there is none."""
    for locator in deployment.pseudonyms.locators(name.type, name.id):
        if (ref := await find_ref(session, locator)) is not None:
            return ref
    return None


async def follow(session: WriteSession, ledger: OpenLedger, entry: LedgerEntry) -> list[ConsentRow]:
    """Record under the person's other names what was recorded under one, and tell receivers.

    Args:
        session: a transaction that holds the person (`hold_people`).
        ledger: that of the name under which it was said.
        entry: what was said: of a kind that follows.

    Returns:
        The grants that ended with it under other names.

    """
    if entry.event.kind not in FOLLOWED:
        return []
    ended: list[ConsentRow] = []
    for ref in await accounts_of(session, ledger.ref):
        if ref != ledger.ref:
            other = await open_account(session, ref, ledger)
            ended += await _record_under(session, other, entry)
    return ended


async def carry_age(
    session: WriteSession, caller: Caller, band: AgeBand, ledger: OpenLedger, evidence: Mapping[str, str]
) -> None:
    """Record an age under another name of the person: it is the person's (facts of LIL art. 45), not a name's."""
    at, capacity = ledger.after_everything, {"age_band": band.value}
    collection = collection_of(None, capacity, text_known=True)
    event = ConsentEvent(session.new_id(at), EventKind.AGE_STATED, None, at, ledger.next_order, collection=collection)
    entry = LedgerEntry(ledger.ref, event, at, caller.id, evidence=dict(evidence), capacity=capacity)
    await append(session, ledger, entry)


async def open_account(session: WriteSession, ref: bytes, ledger: OpenLedger) -> OpenLedger:
    """The ledger of another account of the same person, held by this transaction."""
    await hold_ref(session, ref)
    return OpenLedger(ref, await locators_of(session, ref), None, await load_entries(session, ref), ledger.now)


async def _record_under(session: WriteSession, other: OpenLedger, entry: LedgerEntry) -> list[ConsentRow]:
    said = entry.event
    # An import keeps its own past date; what is said live ends everything that stands under the other name.
    at = said.collected_at if entry.imported else other.after_everything
    recorded_at = entry.recorded_at if entry.imported else at
    event = replace(said, id=session.new_id(recorded_at), collected_at=at, order=other.next_order)
    # Not which entry: once one name is erased, nothing may lead from the other to it.
    evidence = {**(entry.evidence or {}), "followed": "another_name"}
    copied = replace(entry, subject_ref=other.ref, event=event, recorded_at=recorded_at, evidence=evidence)
    ended = [row for row in await append(session, other, copied) if row.decision is EventKind.GRANTED]
    if said.kind is EventKind.REFUSED:
        await tell(session, other.ref, said.kind, at, consent=event.id, processing=said.processing or "")
    else:
        await tell_of(session, other.ref, said.kind, ended, copied)
    if said.kind is EventKind.CLOSED:
        await end_account(session, other.ref, at)
    return ended


async def tell_of(
    session: WriteSession, ref: bytes, kind: EventKind, ended: list[ConsentRow], entry: LedgerEntry
) -> list[UUID]:
    """Tell receivers of each consent that an entry ended; the ids of those."""
    for row in ended:
        await tell(session, ref, kind, entry.event.collected_at, consent=row.id, processing=row.processing)
    return [row.id for row in ended]
