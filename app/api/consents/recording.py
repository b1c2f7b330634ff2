"""From what a caller sends to what is recorded, and to what is answered: for single requests and for batches."""

from collections.abc import Awaitable
from typing import Protocol

from app.api.consents.models import ConsentBody, NewConsent, NewWithdrawal, WithdrawalBody, consent_body
from app.auth.callers import Caller
from app.core.consent import EventKind
from app.db.session import WriteSession
from app.operations.consents.record_consent import Collected, record_consent
from app.operations.consents.search_consents import ConsentView
from app.operations.consents.withdraw_consent import Withdrawal, withdraw_consent
from app.operations.service.deployment import Deployment


class Recording(Protocol):
    """Records one decision in a transaction."""

    def __call__(self, session: WriteSession, caller: Caller) -> Awaitable[ConsentBody | WithdrawalBody]:
        """Record it for a caller, and give its answer.

        Raises:
            ProcessingNotAllowedError: the caller may not name the processing.

        """


def recording_of_consent(body: NewConsent, deployment: Deployment) -> Recording:
    """Record a grant or a refusal."""
    collected = Collected(
        subject=body.subject.name(),
        processing=body.processing,
        kind=EventKind(body.decision),
        evidence=body.evidence.model_dump(mode="json", exclude_none=True),
        capacity=body.capacity.model_dump(mode="json", exclude_none=True) if body.capacity is not None else None,
        version=body.version,
        elements=frozenset(body.elements) if body.elements is not None else None,
        collected_at=body.collected_at,
        territory=body.territory,
    )

    async def record(session: WriteSession, caller: Caller) -> ConsentBody:
        caller.require_processing(body.processing)
        recorded = await record_consent(session, deployment, caller, collected)
        entry = recorded.entry
        view = ConsentView(entry.event, entry.subject_ref, recorded.state, recorded.expires_at)
        return consent_body(view, recorded.defects)

    return record


def recording_of_withdrawal(body: NewWithdrawal, deployment: Deployment) -> Recording:
    """Record a withdrawal."""
    capacity = body.capacity.model_dump(mode="json", exclude_none=True) if body.capacity is not None else None
    withdrawal = Withdrawal(body.subject.name(), body.processing, body.received_at, body.method, capacity=capacity)

    async def withdraw(session: WriteSession, caller: Caller) -> WithdrawalBody:
        caller.require_processing(body.processing)
        recorded = await withdraw_consent(session, deployment, caller, withdrawal)
        return WithdrawalBody(
            id=recorded.id,
            matched=recorded.matched,
            withdrawn=list(recorded.withdrawn),
            effective_at=recorded.effective_at,
        )

    return withdraw
