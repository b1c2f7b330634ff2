"""Withdraw a user's consent, from one processing or from all of them at once."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from app.auth.callers import Caller
from app.core.consent import ConsentEvent, EventKind
from app.core.errors import ConsentNotApplicableError, NotFoundError
from app.db.session import WriteSession
from app.ledger.entries import LedgerEntry, collection_of
from app.operations.consents.append_to_ledger import (
    OpenLedger,
    append,
    entries_of_register,
    tell,
)
from app.operations.consents.collection_time import (
    CollectionTime,
    record_import,
    time_of_history,
    time_of_narrowing,
)
from app.operations.consents.open_ledgers import open_ledger
from app.operations.consents.subjects.told_age import capacity_to_record, without_parent_id
from app.operations.service.deployment import Deployment, SubjectName
from app.register.records import ProcessingRecord


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What a caller says: `processing` None withdraws from every processing of IV, registered now or later.

    `link`: that of the consent page by which it came, if it did. `capacity`: what it says of the person's age.
    `historic`: a row of an import, which keeps its date. `quiet`: receivers are not told.
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
    """The entry, the consents that ended, and since when.

    `matched`: whether anything but withdrawals had been recorded of the id.
    """

    id: UUID
    matched: bool
    withdrawn: tuple[UUID, ...]
    effective_at: datetime


async def withdraw_consent(
    session: WriteSession, deployment: Deployment, caller: Caller, withdrawal: Withdrawal
) -> RecordedWithdrawal:
    """Append a withdrawal. It is recorded even when there is nothing to withdraw: an older import must not revive.

    Raises:
        NotFoundError: no such processing.
        ConsentNotApplicableError: its purpose does not rest on consent.
        CollectionTimeError: `received_at` lies in the future.

    """
    ledger = await open_ledger(session, deployment, withdrawal.subject)
    entry, recorded = await withdraw_in(session, deployment, caller, withdrawal, ledger)
    if entry.imported:
        await record_import(session, caller, ledger.now)
    return recorded


async def withdraw_in(
    session: WriteSession, deployment: Deployment, caller: Caller, withdrawal: Withdrawal, ledger: OpenLedger
) -> tuple[LedgerEntry, RecordedWithdrawal]:
    """Append a withdrawal to an open ledger.

    Returns:
        The entry, and what is told of it.

    Raises:
        As `withdraw_consent`.

    """
    session.narrow()
    if withdrawal.processing is not None:
        named = await entries_of_register(session, ledger, [withdrawal.processing])
        _check(named.get(withdrawal.processing))
    if withdrawal.historic:
        when = time_of_history(ledger, caller, withdrawal.received_at, field="received_at", narrows=True)
    else:
        when = time_of_narrowing(ledger, deployment, caller, withdrawal.received_at, field="received_at")
    said = without_parent_id(deployment, withdrawal.capacity)
    capacity = capacity_to_record(session, ledger, EventKind.WITHDRAWN, said, when.at)
    entry = _entry(session, caller, ledger, replace(withdrawal, capacity=capacity), when)
    ended = [row for row in await append(session, ledger, entry) if row.decision is EventKind.GRANTED]
    if not withdrawal.quiet:
        for row in ended:
            await tell(session, ledger.ref, EventKind.WITHDRAWN, when.at, consent=row.id, processing=row.processing)
    # Earlier withdrawals do not make an id known: a repetition must not hide that it was the wrong one.
    known = any(event.kind is not EventKind.WITHDRAWN for event in ledger.events)
    return entry, RecordedWithdrawal(entry.event.id, known, tuple(row.id for row in ended), when.at)


def _check(record: ProcessingRecord | None) -> None:
    """Refuse what nobody can consent to, and so nobody withdraws from."""
    if record is None:
        raise NotFoundError("No such processing is registered.", field="processing")
    if not record.facts.rests_on_consent:
        raise ConsentNotApplicableError(field="processing")


def _entry(
    session: WriteSession, caller: Caller, ledger: OpenLedger, withdrawal: Withdrawal, when: CollectionTime
) -> LedgerEntry:
    recorded_at = max(ledger.now, when.at)
    event = ConsentEvent(
        id=session.new_id(recorded_at),
        kind=EventKind.WITHDRAWN,
        processing=withdrawal.processing,
        collected_at=when.at,
        order=ledger.next_order,
        collection=collection_of(None, withdrawal.capacity, text_known=True),
    )
    told = {"method": withdrawal.method, "link": str(withdrawal.link) if withdrawal.link is not None else None}
    said: Mapping[str, Any] | None = {name: value for name, value in told.items() if value is not None} or None
    return LedgerEntry(
        subject_ref=ledger.ref,
        event=event,
        recorded_at=recorded_at,
        recorded_by=caller.id,
        imported=when.imported,
        stated_at=withdrawal.received_at,
        evidence=said,
        capacity=withdrawal.capacity,
    )
