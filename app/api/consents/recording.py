"""From what a caller sends to what is to be recorded: for single requests and for batches."""

from app.api.consents.models import NewConsent, NewWithdrawal
from app.core.consent import EventKind
from app.operations.consents.record_consent import Collected
from app.operations.consents.withdraw_consent import Withdrawal
from app.operations.service.deployment import Deployment, SubjectName


def said_in_consent(body: NewConsent, deployment: Deployment) -> Collected:
    """A grant or a refusal.

    Raises:
        InvalidSubjectError: the id has a domain that IDNA refuses.

    """
    return Collected(
        subject=_checked(body.subject.name(), deployment),
        processing=body.processing,
        kind=EventKind(body.decision),
        evidence=body.evidence.model_dump(mode="json", exclude_none=True),
        capacity=body.capacity.model_dump(mode="json", exclude_none=True) if body.capacity is not None else None,
        version=body.version,
        elements=frozenset(body.elements) if body.elements is not None else None,
        collected_at=body.collected_at,
        territory=body.territory,
    )


def said_in_withdrawal(body: NewWithdrawal, deployment: Deployment) -> Withdrawal:
    """A withdrawal.

    Raises:
        InvalidSubjectError: the id has a domain that IDNA refuses.

    """
    capacity = body.capacity.model_dump(mode="json", exclude_none=True) if body.capacity is not None else None
    name = _checked(body.subject.name(), deployment)
    return Withdrawal(name, body.processing, body.received_at, body.method, capacity=capacity)


def _checked(name: SubjectName, deployment: Deployment) -> SubjectName:
    deployment.pseudonyms.locators(name.type, name.id)
    return name
