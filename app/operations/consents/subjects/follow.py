"""A refusal, a withdrawal or a closure under one name of a person is recorded under the others too; a grant never is.

So is an age of a minor, unless somebody younger is known there. Each name keeps a ledger of its
own, and its rules read that alone: what follows is an entry like any other. It does not say which entry it follows:
once one name is erased, nothing may lead from the other to it.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from app.core.aliases import FOLLOWED, stays_as_young
from app.core.consent import AgeBand, ConsentEvent, EventKind
from app.core.projection import ConsentRow
from app.db.session import WriteSession
from app.ledger.aliases import accounts_behind, accounts_of, locators_of
from app.ledger.entries import LedgerEntry, collection_of
from app.ledger.locators import end_account, find_ref, hold_names, hold_ref, hold_refs
from app.ledger.store import load_entries
from app.operations.consents.append_to_ledger import OpenLedger, append, tell
from app.operations.service.deployment import Deployment, SubjectName

_FOLLOWED: Final = {"followed": "another_name"}


async def hold_people(session: WriteSession, deployment: Deployment, *names: SubjectName) -> None:
    """Hold all accounts of some people, in the one order in which writers hold several: two never wait for each other.

    Names come before accounts: a name without an account is held too, or two writers might each begin one and wait for
    the other's. A person with one account only is left to whoever opens that.
    """
    locators = {each for name in names for each in deployment.pseudonyms.locators(name.type, name.id)}
    if len(names) == 1 and len(await accounts_behind(session, locators)) <= 1:
        return
    await hold_names(session, locators)
    await hold_refs(session, await accounts_behind(session, locators))


async def hold_person(session: WriteSession, ref: bytes) -> None:
    """Hold every account of the person who has this one, in the same order."""
    await hold_refs(session, await accounts_of(session, ref) or [ref])


async def account_of(session: WriteSession, deployment: Deployment, name: SubjectName) -> bytes | None:
    """The open account that a name leads to; None when there is none."""
    for locator in deployment.pseudonyms.locators(name.type, name.id):
        if (ref := await find_ref(session, locator)) is not None:
            return ref
    return None


async def follow(session: WriteSession, ledger: OpenLedger, entry: LedgerEntry) -> list[ConsentRow]:
    """Record under the person's other names what was recorded under one, if it follows, and tell receivers.

    Args:
        session: a transaction that holds the person (`hold_people`).
        ledger: that of the name under which it was said.
        entry: what was said.

    Returns:
        The grants that ended with it under other names.

    """
    band, follows = entry.event.collection.age_band, entry.event.kind in FOLLOWED
    ended: list[ConsentRow] = []
    if band in {None, AgeBand.ADULT} and not follows:
        return ended  # nobody else's ledger is held for what says nothing there
    for ref in await accounts_of(session, ledger.ref):
        if ref == ledger.ref:
            continue
        other = await open_account(session, ref, ledger)
        if stays_as_young(band, other.events, other.after_everything) and band is not None:
            other = await record_age(session, entry.recorded_by, (band, other.after_everything), other, _FOLLOWED)
        if follows:
            ended += await _record_under(session, other, entry)
    return ended


async def record_age(
    session: WriteSession, by: UUID, age: tuple[AgeBand, datetime], ledger: OpenLedger, evidence: Mapping[str, str]
) -> OpenLedger:
    """Record under another name of the person an age, and since when it is known (LIL art. 45); the ledger with it."""
    session.narrow()
    band, at = age
    capacity, recorded_at = {"age_band": band.value}, max(ledger.now, at)
    event = ConsentEvent(
        session.new_id(recorded_at),
        EventKind.AGE_STATED,
        None,
        at,
        ledger.next_order,
        collection=collection_of(None, capacity, text_known=True),
    )
    entry = LedgerEntry(
        ledger.ref, event, recorded_at, by, imported=at < ledger.now, evidence=dict(evidence), capacity=capacity
    )
    await append(session, ledger, entry)
    return ledger.with_entry(entry)


async def open_account(session: WriteSession, ref: bytes, ledger: OpenLedger) -> OpenLedger:
    """The ledger of another account of the same person, held by this transaction."""
    await hold_ref(session, ref)
    return OpenLedger(ref, await locators_of(session, ref), None, await load_entries(session, ref), ledger.now)


async def _record_under(session: WriteSession, other: OpenLedger, entry: LedgerEntry) -> list[ConsentRow]:
    said = entry.event
    # An import keeps its own past date; what is said live ends everything that stands under the other name.
    at = said.collected_at if entry.imported else other.after_everything
    recorded_at = entry.recorded_at if entry.imported else at
    evidence = {name: value for name, value in (entry.evidence or {}).items() if name != "link"}
    evidence |= _FOLLOWED
    event = replace(
        said,
        id=session.new_id(recorded_at),
        collected_at=at,
        order=other.next_order,
        # As it will be read back: who gave it, and an age (`record_age` has that), are told under its own name.
        collection=collection_of(evidence, None, text_known=said.collection.text_known),
    )
    copied = replace(
        entry,
        subject_ref=other.ref,
        event=event,
        recorded_at=recorded_at,
        evidence=evidence,
        capacity=None,
    )
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
