"""From the wire to the core: an AuthZEN request with names becomes a question about pseudonyms."""

from app.api.access_models import EvaluationRequest
from app.core.decision import Participant, Request
from app.ledger.pseudonym import Pseudonyms


def question_of(pseudonyms: Pseudonyms, asked: EvaluationRequest) -> Request:
    """The core's question; participants are of the subject's type."""
    kind, resource = asked.subject.type, asked.resource.properties
    elements = asked.action.properties.elements
    participants = resource.participants
    return Request(
        subject=pseudonyms.ref(kind, asked.subject.id),
        processing=asked.action.name,
        elements=frozenset(elements) if elements is not None else None,
        automated=asked.action.properties.automated,
        channel=resource.channel,
        private=resource.private,
        territory=resource.territory,
        participants=None
        if participants is None
        else tuple(Participant(pseudonyms.ref(kind, each.id), each.local) for each in participants),
    )
