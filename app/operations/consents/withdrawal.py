"""A withdrawal, from one processing or from all at once: from what is said to the entry. Values in, values out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from app.auth.callers import Caller
from app.core.consent import ConsentEvent, EventKind
from app.core.errors import ConsentNotApplicableError
from app.core.fold import ConsentRow
from app.db.identifiers import uuid7
from app.ledger.projection import LedgerEntry, collection_of
from app.operations.consents.grant import CollectionTime, Recording, capacity_of, time_of_history, time_of_narrowing
from app.operations.consents.ledgers import OpenLedger
from app.operations.service.deployment import Deployment, SubjectName


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
