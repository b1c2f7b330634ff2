"""One processing as a link shows it: where the person stands, what they can press, and the text that asks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256

from app.core.consent import AgeBand, EventKind, GivenBy, State
from app.core.names import NOES
from app.core.page.catalogue import Audience
from app.core.page.changes import ToldChange
from app.core.page.face import Face
from app.core.page.link import (
    Act,
    Situation,
    consent_ends,
    latest_decision,
    offered,
    renewal_declined,
    situation,
    would_end,
)
from app.core.page.passages import LANGUAGES
from app.core.page.questions import Asked, Who
from app.core.page.text import ConsentText, on_one_page
from app.core.period import PeriodPolicy
from app.core.processing import Status
from app.core.state import consent_state
from app.ledger.entries import LedgerEntry
from app.ledger.link_store import ConsentLink
from app.operations.decisions.evaluate_requests import present
from app.operations.service.consent_texts import asked_by, told_changes
from app.register.records import ProcessingRecord, VersionRecord


@dataclass(frozen=True, slots=True)
class ShownProcessing:
    """One processing on the page.

    `decision` is the person's last one, if any, and `ends_at` when a consent that holds will end by itself;
    `would_end_at` when one given now would. `presented`: the text that was shown for the last decision, where it is
    kept. `here`: whether that decision, or the wish not to renew, came after the link was made. `asked`: the link may
    collect an answer now. `struck`: what it would ask was invalidated. `last_no`: the ledger order of the person's last
    refusal, withdrawal or closure about it, 0 without one: what was shown before a no does not answer after it.
    """

    id: str
    version: int
    face: Face
    facts: Asked
    decision: LedgerEntry | None
    ends_at: datetime | None
    would_end_at: datetime
    active: bool
    asked: bool
    here: bool
    struck: bool = False
    last_no: int = 0
    presented: str | None = None
    texts: Mapping[str, ConsentText] | None = None

    @property
    def acts(self) -> frozenset[Act]:
        """The buttons."""
        return self.face.acts

    @property
    def situation(self) -> Situation:
        """Where the person stands."""
        return self.face.situation

    def text(self, language: str) -> ConsentText:
        """The text in a language, as this page shows it."""
        return (self.texts or {})[language]

    def shown(self, language: str) -> str:
        """What identifies it as shown: processing, version, hash of the text, and the no that stood last."""
        return f"{self.id} {self.version} {self.text(language).sha256} {self.last_no}"


def shown_digest(items: Sequence[ShownProcessing], language: str) -> str:
    """SHA-256 (hex) of what several processings show, one line each."""
    return sha256("\n".join(item.shown(language) for item in items).encode()).hexdigest()


_NOES = NOES | {EventKind.CLOSED}
_BY_SIDE = {GivenBy.SELF: Audience.CHILD, GivenBy.PARENT: Audience.PARENT}
_BY_AGE = {AgeBand.UNDER_15: Audience.CHILD, AgeBand.MINOR_15_PLUS: Audience.TEEN}


def audience_of(link: ConsentLink, age: AgeBand | None) -> Audience:
    """Who reads the page of a link: of a joint consent, its side; else by the person's age, as far as it is known."""
    if link.given_by is not None:
        return _BY_SIDE.get(link.given_by, Audience.ALONE)
    return _BY_AGE.get(age, Audience.ALONE) if age is not None else Audience.ALONE


def title_of(link: ConsentLink, items: Sequence[ShownProcessing], *, asks: bool) -> str:
    """The word of the page's title (`Sentences.frame`)."""
    awaited = [item for item in items if item.face.open]
    if awaited:
        return "title_renew" if all(item.face.renews for item in awaited) else "title_decide"
    deciding = link.kind.asks and asks
    return "title_withdraw" if not deciding and any(Act.WITHDRAW in item.acts for item in items) else "title_answers"


def with_texts(items: Sequence[ShownProcessing], title: str, audience: Audience) -> tuple[ShownProcessing, ...]:
    """The processings with their texts in each language, as one page shows them together."""
    asked = [(item.facts, item.face) for item in items]
    pages = {language: on_one_page(asked, language, title=title, audience=audience) for language in LANGUAGES}
    return tuple(
        replace(item, texts={language: texts[place] for language, texts in pages.items()})
        for place, item in enumerate(items)
    )


def on_a_struck_text(item: ShownProcessing, record: ProcessingRecord, now: datetime) -> bool:
    """Whether the text by which a page would ask, in one of its languages, was invalidated."""
    digests = [text.sha256 for text in (item.texts or {}).values()]
    return item.asked and any(record.facts.invalidated(item.version, each, now) for each in digests)


def version_shown(record: ProcessingRecord, at: datetime) -> VersionRecord:
    """The version that a person is asked about: the one in force, else the first."""
    in_force = record.facts.version_at(at) or record.facts.versions[0]
    return record.version(in_force.number) or record.versions[0]


def show_processing(  # noqa: PLR0917 - a link, and all that its page rests on
    link: ConsentLink,
    entries: Sequence[LedgerEntry],
    record: ProcessingRecord,
    controllers: Sequence[Who],
    now: datetime,
    policy: PeriodPolicy,
    *,
    asks: bool,
    struck: bool = False,
) -> ShownProcessing:
    """What a link shows of one processing, as the ledger and the register stand; the texts come with `with_texts`.

    `struck`: the text that the page would show was invalidated; the version and its notices are looked at here.
    """
    facts = record.facts
    events = [entry.event for entry in entries]
    at = present(now, {link.subject_ref: events}, record)
    decision = latest_decision(events, facts, at)
    entry = next((each for each in entries if decision is not None and each.event.id == decision.id), None)
    version = version_shown(record, at)
    active = facts.status_at(at) is Status.ACTIVE
    struck = struck or record.struck(version, at)
    asked = asks and active and version.facts.automated and version.contact is not None and not struck
    granted = decision if decision is not None and decision.kind is EventKind.GRANTED else None
    superseded = granted is not None and consent_state(granted, events, facts, at, policy) is State.SUPERSEDED
    since = granted.version if granted is not None and superseded else None
    return ShownProcessing(
        id=record.id,
        version=version.facts.number,
        face=_face(link, entries, record, at, policy, asked=asked),
        facts=asked_by(
            record.purpose, controllers, version, policy, changes=_changes(record, since, version), since=since
        ),
        decision=entry,
        ends_at=consent_ends(granted, events, facts, at, policy) if granted is not None else None,
        would_end_at=would_end(version.facts, facts, at, policy, link.territory),
        active=active,
        asked=asked,
        here=_answered_here(link, entries, record.id, entry),
        struck=struck,
        last_no=max((each.order for each in events if each.kind in _NOES and each.concerns(record.id)), default=0),
    )


def _face(
    link: ConsentLink,
    entries: Sequence[LedgerEntry],
    record: ProcessingRecord,
    at: datetime,
    policy: PeriodPolicy,
    *,
    asked: bool,
) -> Face:
    events = [entry.event for entry in entries]
    decision = latest_decision(events, record.facts, at)
    stands = situation(decision, events, record.facts, at, policy)
    declined = stands is Situation.HOLDS and renewal_declined(decision, events)
    here = decision is not None and decision.order > link.ledger_order
    if decision is not None and stands is Situation.AWAITING:
        here = decision.collection.given_by is link.given_by
    acts = offered(link.kind, stands, asks=asked, decided_here=here, declined=declined)
    return Face(acts, stands, declined)


def _changes(record: ProcessingRecord, since: int | None, version: VersionRecord) -> Sequence[ToldChange]:
    before = record.version(since) if since is not None else None
    return told_changes(record, before, version) if before is not None else ()


def _answered_here(
    link: ConsentLink, entries: Sequence[LedgerEntry], processing: str, decision: LedgerEntry | None
) -> bool:
    if decision is not None and decision.event.order > link.ledger_order:
        return True
    return any(
        entry.event.kind is EventKind.RENEWAL_DECLINED
        and entry.event.processing == processing
        and entry.event.order > link.ledger_order
        for entry in entries
    )
