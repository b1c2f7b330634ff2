"""The one way to record what people decide: in ledgers that are open, each decision as if it were alone.

A press on the page, a row of an import, a batch and a single request are all recorded here.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from app.audit.trail import ActKind, record_act
from app.auth.callers import Caller
from app.core.consent import AgeBand, ConsentEvent, EventKind, State
from app.core.errors import ConsentNotApplicableError, InvalidEvidenceError
from app.core.fold import ConsentRow
from app.db.session import WriteSession, uuid7
from app.ledger.link_store import keep_text
from app.ledger.projection import LedgerEntry, collection_of
from app.ledger.vault import KeptName, names_of
from app.operations.consents.grant import (
    Collected,
    ConsentView,
    Known,
    Recording,
    covers,
    document_of,
    grant,
    view_of,
)
from app.operations.consents.ledgers import (
    CollectionTime,
    OpenLedger,
    OpenLedgers,
    append,
    capacity_of,
    tell,
    time_of_history,
    time_of_narrowing,
)
from app.operations.service.deployment import Deployment, SubjectName, parent_reference

# A withdrawal, from one processing or from all at once: from what is said to the entry. Values in, values out.


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What a caller says; `processing` None withdraws from every processing of IV, registered now or later.

    `link`: the consent page's link through which it came, if any. `capacity`: what it says of the person's age.
    `historic`: a row of an import, which keeps its date. `quiet`: receivers are not notified.
    """

    subject: SubjectName
    processing: str | None = None
    received_at: datetime | None = None
    method: str | None = None
    link: UUID | None = None
    capacity: Mapping[str, Any] | None = None
    historic: bool = False
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class RecordedWithdrawal:
    """The entry, the consents that ended, and when it took effect.

    `matched`: whether anything but withdrawals had been recorded of the id before.
    """

    id: UUID
    matched: bool
    withdrawn: tuple[UUID, ...]
    effective_at: datetime


def withdrawal(said: Withdrawal, ledger: OpenLedger, deployment: Deployment, caller: Caller) -> Recording:
    """Return the entry of a withdrawal, even with nothing to withdraw: an older import must not revive a consent.

    Raises:
        NotFoundError: no such processing.
        ConsentNotApplicableError: its purpose does not rest on consent.
        CollectionTimeError: `received_at` lies in the future.

    """
    if said.processing is not None and not ledger.registered(said.processing).facts.rests_on_consent:
        raise ConsentNotApplicableError(field="processing")
    if said.historic:
        when = time_of_history(ledger, caller, said.received_at, field="received_at", narrows=True)
    else:
        when = time_of_narrowing(ledger, deployment, caller, said.received_at, field="received_at")
    capacity = capacity_of(ledger, deployment, EventKind.WITHDRAWN, said.capacity, when.at)
    return Recording(_entry(caller, ledger, replace(said, capacity=capacity.said), when), capacity.widens)


def recorded(entry: LedgerEntry, before: OpenLedger, ended: Sequence[ConsentRow]) -> RecordedWithdrawal:
    """Return the answer to a withdrawal, from the ledger before it and the consents that it ended."""
    # Earlier withdrawals do not make an id known: a repetition must not hide that the id was wrong.
    known = any(event.kind is not EventKind.WITHDRAWN for event in before.events)
    return RecordedWithdrawal(entry.event.id, known, tuple(row.id for row in ended), entry.event.collected_at)


def _entry(caller: Caller, ledger: OpenLedger, said: Withdrawal, when: CollectionTime) -> LedgerEntry:
    recorded_at = max(ledger.now, when.at)
    event = ConsentEvent(
        id=uuid7(recorded_at),
        kind=EventKind.WITHDRAWN,
        processing=said.processing,
        collected_at=when.at,
        order=ledger.next_order,
        collection=collection_of(None, said.capacity, text_known=True),
    )
    told = {"method": said.method, "link": str(said.link) if said.link is not None else None}
    evidence = {name: value for name, value in told.items() if value is not None} or None
    return LedgerEntry(
        subject_ref=ledger.ref,
        event=event,
        recorded_at=recorded_at,
        recorded_by=caller.id,
        imported=when.imported,
        stated_at=said.received_at,
        evidence=evidence,
        capacity=said.capacity,
    )


# Each decision is recorded in the ledger of its subject: a grant or refusal (`app.operations.consents.grant`), or a
# withdrawal.

Said = Collected | Withdrawal
Done = ConsentView | RecordedWithdrawal


@dataclass(frozen=True, slots=True)
class Recorded:
    """The entry that was recorded, and what its caller is answered."""

    entry: LedgerEntry
    done: Done


def named_in(said: Iterable[Said]) -> dict[SubjectName, set[bytes]]:
    """Return the subjects of some decisions, each with the documents (SHA-256) that are to stand for their grants."""
    named: dict[SubjectName, set[bytes]] = {}
    for each in said:
        documents = named.setdefault(each.subject, set())
        if isinstance(each, Collected) and (document := document_of(each)) is not None:
            documents.add(document)
    return named


async def record(
    session: WriteSession, deployment: Deployment, caller: Caller, said: Said, opened: OpenLedgers
) -> Recorded:
    """Record one decision in the ledger of its subject, which was opened with its processing.

    Every check runs before anything is staged: a decision that is refused leaves nothing behind, and leaves the others
    of the transaction alone.

    Raises:
        DomainError: it is refused (`grant`, `withdrawal`; InvalidEvidenceError: its document stands for another
            person).

    """
    ledger = opened.of(said.subject)
    stated = said.received_at if isinstance(said, Withdrawal) else said.collected_at
    is_old = stated is not None and stated < ledger.now - deployment.max_backdating
    if is_old:
        deployment = await opened.as_decided()
    if isinstance(said, Withdrawal):
        recording = withdrawal(said, ledger, deployment, caller)
        session.narrow()
    else:
        own = await _own_names(session, deployment, said, ledger)
        known = Known(own, await opened.unfound_until() if is_old else None)
        recording = grant(said, ledger, deployment, caller, known)
        if recording.document is not None and not opened.claim(recording.document, ledger.ref):
            message = "This document stands for another person's consent already."
            raise InvalidEvidenceError(message, field="evidence.document_sha256")
    if recording.widens:
        session.widen()
    for text in recording.texts:
        await keep_text(session, text, ledger.now)
    entry = recording.entry
    grown, ended = await append(session, ledger, entry)
    opened.grown(said.subject, grown)
    at = entry.event.collected_at
    if isinstance(said, Withdrawal):
        granted = [row for row in ended if row.decision is EventKind.GRANTED]
        told = [] if said.quiet else [(row.id, row.processing) for row in granted]
        done: Done = recorded(entry, ledger, granted)
    else:
        told = [] if said.quiet else [(entry.event.id, said.processing)]
        done = view_of(entry, grown, deployment)
        minor = (said.capacity or {}).get("age_band") not in {None, AgeBand.ADULT.value}
        if minor or done.state is not State.IN_FORCE or not covers(grown, entry, ended, deployment):
            # A refusal, a grant that covers less than the one before it, or an age that others may fall with.
            session.narrow()
    for consent, processing in told:
        await tell(session, ledger.ref, entry.event.kind, at, consent=consent, processing=processing)
    return Recorded(entry, done)


async def record_import(session: WriteSession, caller: Caller) -> None:
    """Record that this caller imports, once a day (UTC): the ledger itself marks each entry that was imported."""
    now = await session.now()
    await record_act(session, ActKind.CONSENTS_IMPORTED, caller.id, once=f"{now:%Y-%m-%d}")


async def _own_names(
    session: WriteSession, deployment: Deployment, said: Collected, ledger: OpenLedger
) -> frozenset[str]:
    """Return the references that the person's names would have as a parent (hex); none unless a parent is named."""
    if not {"parent", "parent_ref"} & (said.capacity or {}).keys():
        return frozenset()
    return await own_references(session, deployment, ledger, said.subject)


async def own_references(
    session: WriteSession, deployment: Deployment, ledger: OpenLedger, also: SubjectName | KeptName
) -> frozenset[str]:
    """Return the references that a person's names would have as a parent (hex); `also`: a name maybe not kept yet."""
    kept = [*await names_of(session, ledger.ref), *([also] if isinstance(also, KeptName) else [])]
    names = [SubjectName(each.type, deployment.vault.open(each.sealed)) for each in kept]
    names += [also] if isinstance(also, SubjectName) else []
    return frozenset(parent_reference(deployment, each).hex() for each in names)
