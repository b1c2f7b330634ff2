"""Short builders of register entries, events and requests; what a test does not name is lawful and usual."""

from datetime import UTC, date, datetime
from uuid import UUID

from app.core.article import Element, ProviderKind, Purpose
from app.core.consent import Collection, ConsentEvent, EventKind
from app.core.decision import DecisionRequest
from app.core.period import ConsentPeriod
from app.core.processing import PartyMode, Processing, ProcessingVersion, Recipient

ALICE, BOB, CAROL = b"alice", b"bob", b"carol"
ADS = "ads"


def utc(text: str) -> datetime:
    """An instant from its ISO form; UTC when it names no offset."""
    read = datetime.fromisoformat(text)
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def version(number: int = 1, effective_from: str | None = None, **facts) -> ProcessingVersion:
    """A version of a processing: an operator's, automated, content only, user_only, one year, material.

    `data_recipients` names recipients of whom nothing else is known.
    """
    if "data_recipients" in facts:
        facts["recipients"] = frozenset(map(Recipient, facts.pop("data_recipients")))
    usual = {
        "provider_kind": ProviderKind.OPERATOR,
        "elements": frozenset({Element.CONTENT}),
        "automated": True,
        "party_mode": PartyMode.USER_ONLY,
        "started_on": date(2020, 1, 1),
        "consent_validity": ConsentPeriod.parse("P1Y"),
        "material": True,
    }
    return ProcessingVersion(number, utc(effective_from) if effective_from else None, **{**usual, **facts})


def processing(*versions: ProcessingVersion, purpose: Purpose = Purpose.ADVERTISING, changes=()) -> Processing:
    """A register entry named `ads`."""
    return Processing(ADS, purpose, versions or (version(),), tuple(changes))


def event(kind: EventKind, collected_at: str, order: int = 1, **facts) -> ConsentEvent:
    """An event about version 1 of `ads`; `collection` words may be given by name."""
    collection = {name: facts.pop(name) for name in tuple(facts) if name in Collection.__slots__}
    usual = {"processing": ADS, "version": 1, "collection": Collection(**collection)}
    return ConsentEvent(
        id=UUID(int=order), kind=kind, collected_at=utc(collected_at), order=order, **{**usual, **facts}
    )


def granted(collected_at: str, order: int = 1, **facts) -> ConsentEvent:
    """A lawful grant."""
    return event(EventKind.GRANTED, collected_at, order, **facts)


def asked(subject: bytes = ALICE, **facts) -> DecisionRequest:
    """A request about `ads` for a subject: online, private, automated, in France."""
    return DecisionRequest(subject, ADS, **facts)
