"""From the wire to the core: an AuthZEN request with names becomes a question about pseudonyms."""

from app.api.access_models import ActionProperties, EvaluationRequest, ResourceProperties
from app.core.decision import Participant, Request
from app.ledger.pseudonym import Pseudonyms


def question_of(pseudonyms: Pseudonyms, asked: EvaluationRequest) -> Request:
    """The core's question."""
    subject = pseudonyms.ref(asked.subject.type, asked.subject.id)
    action, said = asked.action, asked.resource.properties
    return question_about(pseudonyms, asked.subject.type, subject, action.name, action.properties, said)


def question_about(  # noqa: PLR0917 - the parts of a question
    pseudonyms: Pseudonyms,
    kind: str,
    subject: bytes,
    processing: str,
    how: ActionProperties,
    said: ResourceProperties,
) -> Request:
    """The core's question about a subject of a type, by its pseudonym; participants are of the subject's type."""
    participants = said.participants
    return Request(
        subject=subject,
        processing=processing,
        elements=frozenset(how.elements) if how.elements is not None else None,
        automated=how.automated,
        channel=said.channel,
        private=said.private,
        territory=said.territory,
        participants=None
        if participants is None
        else tuple(Participant(pseudonyms.ref(kind, each.id), each.local) for each in participants),
    )
