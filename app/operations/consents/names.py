"""State whose a name is: give it to a person, take it from one, or mark a mailbox as shared by several people."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from app.audit.trail import ActKind, Target, record_act
from app.auth.callers import Caller
from app.core.consent import ConsentEvent, EventKind
from app.core.errors import NotFoundError
from app.core.names import (
    MOST_NAMES,
    NOES,
    MailboxSharedError,
    NameBasis,
    SameNameError,
    TooManyNamesError,
    carried_over,
)
from app.db.session import ChangeKind, WriteSession, uuid7
from app.events.outbox import DomainEvent, put_in_outbox
from app.ledger.identifiers import KeptName, forget_name, keep_name, keep_names_of, names_of
from app.ledger.locators import begin_account, lead_names_to, take_name
from app.ledger.projection import LedgerEntry, age_alone, collection_of
from app.operations.consents.close_subject import Closure, close_ledger
from app.operations.consents.ledgers import (
    OpenLedger,
    OpenLedgers,
    append,
    new_account,
    open_ledgers,
    write_account,
)
from app.operations.consents.statements import own_references
from app.operations.service.deployment import Deployment, SubjectName


@dataclass(frozen=True, slots=True)
class StatedName:
    """What is stated of a name, and the consents that this ended; `closed`: the name's own account was closed."""

    id: UUID
    basis: NameBasis
    stated_at: datetime
    ended: tuple[UUID, ...] = ()
    closed: bool = False


async def link_names(  # noqa: PLR0917 - two names and what is said of them
    session: WriteSession, deployment: Deployment, caller: Caller, one: SubjectName, other: SubjectName, by: NameBasis
) -> StatedName:
    """State that `one` is a name of the person of `other`, whose consents go on; a repetition returns what stands.

    An account of `one` is closed, as its user would close it, and all its names become this person's. Its refusals,
    withdrawals and statements of age are recorded in this person's ledger, each at its own date, so that they end every
    consent that they would have ended if they had been made there.

    Raises:
        InvalidSubjectError: an id has a domain that IDNA refuses.
        SameNameError: both are one name.
        TooManyNamesError: the person would have more names than a person may.
        MailboxSharedError: one of them is a mailbox that several people share.

    """
    session.narrow()
    pseudonyms = deployment.pseudonyms
    if pseudonyms.locator(one.type, one.id) == pseudonyms.locator(other.type, other.id):
        raise SameNameError(field="to")
    opened = await open_ledgers(session, deployment, [one, other])
    mine, theirs = opened.of(one), opened.of(other)
    # Also where nothing changes: the first attempt may have changed something without being confirmed.
    _forget_in_memory(session, mine, theirs)
    if mine.ref == theirs.ref:
        return await _as_it_stands(session, opened, one, other)
    for field, ledger in (("from", mine), ("to", theirs)):
        if ledger.shared:
            raise MailboxSharedError(field=field)
    if sum([max(1, len(await names_of(session, ledger.ref))) for ledger in (mine, theirs)]) > MOST_NAMES:
        raise TooManyNamesError(field="to")
    session.widen()  # what the person has consented to is permitted by the other name from now on
    opened.begin(other)
    account, sealed = opened.account(one), deployment.vault.seal(mine.locators[0], one.id)
    stated = KeptName(account.name, theirs.ref, one.type, sealed, mine.now, by, caller.id)
    if account.new:
        begin_account(session, replace(account, ref=theirs.ref, new=False), mine.now)
        keep_name(session, stated)
    else:
        await keep_names_of(session, mine.ref, stated)
    ended: list[UUID] = []
    if not account.new:
        ended += (await close_ledger(session, caller, mine)).closed
        await lead_names_to(session, theirs.ref, names_of=mine.ref, at=mine.now)
    ended += await _carry_over(session, deployment, caller, stated, mine, theirs)
    session.note("other", {"what": "another name was linked", "about": f"subject_ref {theirs.ref.hex()}"})
    detail = {"basis": by.value, "ended": len(ended)}
    await record_act(session, ActKind.SUBJECTS_LINKED, caller.id, Target(subject_ref=theirs.ref), detail)
    return StatedName(stated.id, by, stated.kept_at, tuple(ended), closed=not account.new)


async def _as_it_stands(session: WriteSession, opened: OpenLedgers, one: SubjectName, other: SubjectName) -> StatedName:
    """Return the statement by which two names already lead to one account; the account's first name has none."""
    kept = {each.id: each for each in await names_of(session, opened.account(one).ref)}
    for stated in (kept[opened.account(name).name] for name in (one, other)):
        if stated.basis is not None:
            return StatedName(stated.id, stated.basis, stated.kept_at)
    raise AssertionError  # pragma: no cover - a statement is kept of every name but the first


async def _carry_over(  # noqa: PLR0917 - what is said of two people
    session: WriteSession,
    deployment: Deployment,
    caller: Caller,
    stated: KeptName,
    mine: OpenLedger,
    theirs: OpenLedger,
) -> list[UUID]:
    """Record in a person's ledger what was said under a name that is theirs now, as if it had been said there.

    Every no and every statement of age is carried over, at its own date and weight. A consent that names this very
    person as the parent is no joint consent: it is withdrawn.

    Returns:
        The consents that ended.

    """
    by_id = {entry.event.id: entry for entry in mine.entries}
    after = theirs
    for event in carried_over(mine.events):
        after = after.with_entries(_carried(caller, stated, by_id[event.id], after))
    for processing in await _own_parent(session, deployment, theirs):
        at = after.after_everything
        event = ConsentEvent(uuid7(at), EventKind.WITHDRAWN, processing, at, after.next_order)
        evidence = {"name": str(stated.id), "why": "the parent is this person"}
        after = after.with_entries(LedgerEntry(theirs.ref, event, at, caller.id, evidence=evidence))
    added = after.entries[len(theirs.entries) :]
    if not added:
        return []
    _, ended = await append(session, theirs, *added)
    return [consent.id for consent in ended]


def _carried(caller: Caller, stated: KeptName, entry: LedgerEntry, after: OpenLedger) -> LedgerEntry:
    """Return an entry as the person's ledger records it: of a grant, only the statement of age that came with it."""
    event = entry.event
    is_no = event.kind in NOES
    evidence, capacity = age_alone(entry.evidence, entry.capacity) if event.collection.age_band else ({}, None)
    again = ConsentEvent(
        uuid7(after.now),
        event.kind if is_no else EventKind.AGE_STATED,
        event.processing if is_no else None,
        event.collected_at,
        after.next_order,
        version=event.version if is_no else None,
        collection=collection_of(evidence, capacity, text_known=True),
    )
    recorded_at = max(after.now, event.collected_at)
    carried_evidence = {**(evidence or {}), "name": str(stated.id)}
    return LedgerEntry(
        after.ref, again, recorded_at, caller.id, imported=entry.imported, evidence=carried_evidence, capacity=capacity
    )


async def _own_parent(session: WriteSession, deployment: Deployment, theirs: OpenLedger) -> Sequence[str]:
    """Return the processings of consents whose parent bears one of the person's own names."""
    own = await own_references(session, deployment, theirs)
    live = (entry for entry in theirs.entries if entry.event.kind is EventKind.GRANTED)
    named = [entry.event.processing for entry in live if (entry.capacity or {}).get("parent_ref") in own]
    return sorted({each for each in named if each is not None})


async def unlink_names(
    session: WriteSession, deployment: Deployment, caller: Caller, one: SubjectName, other: SubjectName
) -> datetime:
    """State that `one` is no longer a name of the person of `other`; return since when. The person's consents go on.

    Receivers are told of each of these, as an event about the name that is taken away.

    The name permits nothing until its holder decides anew. If its account ended before, perhaps in this way, the
    earlier end stands.

    Raises:
        NotFoundError: they are not recorded as two names of one person.

    """
    session.narrow()
    opened = await open_ledgers(session, deployment, [one, other])
    account, ledger = opened.account(one), opened.of(one)
    _forget_in_memory(session, ledger)
    if account.new and account.closed_until is not None:
        return account.closed_until  # the first time may not have been confirmed
    if ledger.ref != opened.of(other).ref or account.name == opened.account(other).name:
        raise NotFoundError("Nothing says that these two names are one person's.")
    await take_name(session, ledger.ref, account.name)
    await forget_name(session, ledger.ref, account.name)
    # The name gets its own account, closed from the start: what was collected so far is not its next holder's.
    begun = new_account(deployment, one)
    write_account(session, deployment, one, begun, ledger.now, ended_at=ledger.now)
    for row in ledger.consents:
        if row.ended_by is None and row.decision is EventKind.GRANTED:
            data = {"consent": str(row.id), "processing": row.processing}
            await put_in_outbox(session, DomainEvent(begun.ref, "name_removed", ledger.now, data))
    session.note("other", {"what": "a name was taken from a person", "about": f"subject_ref {ledger.ref.hex()}"})
    await record_act(session, ActKind.SUBJECTS_UNLINKED, caller.id, Target(subject_ref=ledger.ref))
    return ledger.now


def _forget_in_memory(session: WriteSession, *ledgers: OpenLedger) -> None:
    """Make replicas reload the persons that they know by the names of these accounts."""
    for ledger in ledgers:
        for locator in ledger.locators:
            session.change(ChangeKind.SUBJECT, locator)


async def share_mailbox(session: WriteSession, deployment: Deployment, caller: Caller, mailbox: SubjectName) -> Closure:
    """Close the account that the id has, with all of its names, and begin one that takes no consent.

    Stating it again returns what stands.

    Raises:
        InvalidSubjectError: the id has a domain that IDNA refuses.

    """
    session.narrow()
    opened = await open_ledgers(session, deployment, [mailbox])
    ledger, is_new = opened.of(mailbox), opened.account(mailbox).new
    _forget_in_memory(session, ledger)  # also where it stands already: the first attempt may be unconfirmed
    if ledger.shared:
        return Closure(None, (), (await names_of(session, ledger.ref))[0].kept_at)
    closure = Closure(None, (), ledger.now) if is_new else await close_ledger(session, caller, ledger)
    account = new_account(deployment, mailbox, shared=True)
    write_account(session, deployment, mailbox, account, closure.effective_at)
    session.note("other", {"what": "a mailbox was said to be shared", "about": f"subject_ref {ledger.ref.hex()}"})
    detail = {"ended": len(closure.closed)}
    await record_act(session, ActKind.MAILBOX_SHARED, caller.id, Target(subject_ref=account.ref), detail)
    return closure


async def unshare_mailbox(
    session: WriteSession, deployment: Deployment, caller: Caller, mailbox: SubjectName
) -> Closure:
    """State that a mailbox is one person's: its account is closed, so that the person starts without any decision.

    Raises:
        NotFoundError: nothing says that it is shared.

    """
    session.widen()  # it may be given consents from now on
    opened = await open_ledgers(session, deployment, [mailbox])
    ledger = opened.of(mailbox)
    if not ledger.shared:
        raise NotFoundError("Nothing says that this mailbox is shared.")
    closure = await close_ledger(session, caller, ledger)
    await record_act(session, ActKind.MAILBOX_UNSHARED, caller.id, Target(subject_ref=ledger.ref))
    return replace(closure, closed=())  # a shared mailbox has had no consent, but perhaps a refusal
