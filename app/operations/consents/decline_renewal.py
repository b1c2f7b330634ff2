"""Record that a person does not want to renew a consent: it stands until its end, and nobody is reminded of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from app.auth.callers import Caller
from app.core.consent import ConsentEvent, EventKind
from app.core.errors import ConsentNotApplicableError, NothingToRenewError
from app.core.page.link import Situation, latest_decision, situation
from app.db.session import WriteSession
from app.ledger.entries import LedgerEntry
from app.operations.consents.ledgers import append, open_ledger, tell
from app.operations.decisions.evaluate_requests import present
from app.operations.service.deployment import Deployment, SubjectName


@dataclass(frozen=True, slots=True)
class DeclinedRenewal:
    """Whose consent to which processing is not to be renewed, and how that was said (`method`, `link`)."""

    subject: SubjectName
    processing: str
    evidence: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RecordedDecline:
    """The entry of the ledger, and the consent that it is about."""

    entry: LedgerEntry
    consent: UUID


async def decline_renewal(
    session: WriteSession, deployment: Deployment, caller: Caller, declined: DeclinedRenewal
) -> RecordedDecline:
    """Append the wish. It decides nothing: the consent permits until it ends, is withdrawn or refused.

    Raises:
        NotFoundError: no such processing.
        ConsentNotApplicableError: its purpose does not rest on consent.
        NothingToRenewError: no consent to it holds.

    """
    ledger = await open_ledger(session, deployment, declined.subject, [declined.processing])
    record = ledger.registered(declined.processing)
    if not record.facts.rests_on_consent:
        raise ConsentNotApplicableError(field="processing")
    at = present(ledger.after_everything, {ledger.ref: ledger.events}, record)
    consent = latest_decision(ledger.events, record.facts, at)
    stands = situation(consent, ledger.events, record.facts, at, deployment.policy)
    if consent is None or stands is not Situation.HOLDS:
        raise NothingToRenewError(field="processing")
    event = ConsentEvent(
        id=session.new_id(at),
        kind=EventKind.RENEWAL_DECLINED,
        processing=declined.processing,
        collected_at=at,
        order=ledger.next_order,
        version=consent.version,
    )
    entry = LedgerEntry(
        subject_ref=ledger.ref,
        event=event,
        recorded_at=at,
        recorded_by=caller.id,
        evidence={**declined.evidence, "consent": str(consent.id)},
    )
    await append(session, ledger, entry)
    await tell(session, ledger.ref, EventKind.RENEWAL_DECLINED, at, consent=consent.id, processing=declined.processing)
    return RecordedDecline(entry, consent.id)
