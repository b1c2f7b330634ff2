"""What a link to the consent page shows: each processing, where the person stands, and what they can press."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final
from uuid import UUID

from app.auth.callers import Caller, Scope
from app.auth.store import is_key_revoked, load_caller
from app.core.consent import (
    DECISIONS,
    AgeBand,
    ConsentEvent,
    EventKind,
    GivenBy,
    State,
    age_known,
)
from app.core.consent_link import (
    Act,
    Authentication,
    Face,
    LinkKind,
    Situation,
    account_hint,
    consent_ends,
    latest_decision,
    offered,
    renewal_declined,
    situation,
    would_end,
)
from app.core.consent_text import Asked, ConsentText, Who, on_one_page
from app.core.errors import ConsentLinkEndedError, NotFoundError
from app.core.fold import Standing
from app.core.names import NOES
from app.core.period import PeriodPolicy
from app.core.processing import Status
from app.core.register import FieldChange
from app.core.wording import Audience
from app.db.session import ReadSession
from app.ledger.identifiers import load_name
from app.ledger.link_store import ConsentLink, find_link, find_texts, last_form
from app.ledger.projection import LedgerEntry
from app.ledger.store import load_entries
from app.operations.service.deployment import Deployment, SubjectName, ref_of
from app.register.records import (
    ControllerRecord,
    ProcessingRecord,
    VersionRecord,
    asked_by,
    standing_now,
    told_changes,
    version_shown,
    who_is,
)
from app.register.store import load_controllers, load_processings, name_controllers
from app.words import LANGUAGES


@dataclass(frozen=True, slots=True)
class ShownProcessing:
    """One processing on the page.

    `decision` is the person's last one, if any; `ends_at` is when a consent that holds ends by itself, `would_end_at`
    when one given now would. `presented`: the text shown for the last decision, where it is kept. `here`: that
    decision, or the wish not to renew, came after the link was made. `asked`: the link may collect an answer now.
    `struck`: what it would ask was invalidated. `last_no`: the ledger order of the person's last refusal, withdrawal or
    closure about it (0: none), so that a form shown before that no is not accepted after it.
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
        """Return the text in a language, as this page shows it."""
        return (self.texts or {})[language]

    def shown(self, language: str) -> str:
        """Return what identifies it as shown: processing, version, hash of the text, and the last no that stood."""
        return f"{self.id} {self.version} {self.text(language).sha256} {self.last_no}"


def shown_digest(items: Sequence[ShownProcessing], language: str) -> str:
    """Return the SHA-256 (hex) of what several processings show, one line each."""
    return sha256("\n".join(item.shown(language) for item in items).encode()).hexdigest()


_NOES = NOES | {EventKind.CLOSED}
_BY_SIDE = {GivenBy.SELF: Audience.CHILD, GivenBy.PARENT: Audience.PARENT}
_BY_AGE = {AgeBand.UNDER_15: Audience.CHILD, AgeBand.MINOR_15_PLUS: Audience.TEEN}


def audience_of(link: ConsentLink, age: AgeBand | None) -> Audience:
    """Return who reads a link's page: the side that a joint link is for, else by the person's age, if it is known."""
    if link.given_by is not None:
        return _BY_SIDE.get(link.given_by, Audience.ALONE)
    if link.kind is LinkKind.OVERVIEW:  # the person and those who answer for them read the same page
        return Audience.ALONE
    return _BY_AGE.get(age, Audience.ALONE) if age is not None else Audience.ALONE


def title_of(link: ConsentLink, items: Sequence[ShownProcessing], *, asks: bool) -> str:
    """Return the key of the page's title (`Sentences.frame`)."""
    awaited = [item for item in items if item.face.open]
    if awaited:
        return "title_renew" if all(item.face.renews for item in awaited) else "title_decide"
    deciding = link.kind.asks and asks
    return "title_withdraw" if not deciding and any(Act.WITHDRAW in item.acts for item in items) else "title_answers"


def with_texts(items: Sequence[ShownProcessing], title: str, audience: Audience) -> tuple[ShownProcessing, ...]:
    """Return the processings with their texts in each language, as one page shows them together."""
    parts = [(item.facts, item.face) for item in items]
    pages = {language: on_one_page(parts, language, title=title, audience=audience) for language in LANGUAGES}
    return tuple(
        replace(item, texts={language: texts[place] for language, texts in pages.items()})
        for place, item in enumerate(items)
    )


def on_a_struck_text(item: ShownProcessing, record: ProcessingRecord, now: datetime) -> bool:
    """Return whether the text by which a page would ask was invalidated, in any of its languages."""
    digests = [text.sha256 for text in (item.texts or {}).values()]
    return item.asked and any(record.facts.invalidated(item.version, each, now) for each in digests)


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
    """Return what a link shows of one processing, as the ledger and the register stand; `with_texts` adds the texts.

    `struck`: the text that the page would show was invalidated; the version and its notices are checked here.
    """
    facts = record.facts
    events = [entry.event for entry in entries]
    standing = standing_now(events, record, now, policy)
    at, decision = standing.at, latest_decision(standing)
    entry = next((each for each in entries if decision is not None and each.event.id == decision.id), None)
    version = version_shown(record, at)
    active = facts.status_at(at) is Status.ACTIVE
    struck = struck or record.struck(version, at)
    asked = asks and active and version.facts.automated and version.contact is not None and not struck
    granted = decision if decision is not None and decision.kind is EventKind.GRANTED else None
    superseded = granted is not None and standing.state_of(granted) is State.SUPERSEDED
    since = granted.version if granted is not None and superseded else None
    new = [each for each in entries if each.event.order > link.ledger_order]
    declined = (EventKind.RENEWAL_DECLINED, record.id)
    return ShownProcessing(
        id=record.id,
        version=version.facts.number,
        face=_face(link, decision, standing, asked=asked),
        facts=asked_by(
            record.purpose, controllers, version, policy, changes=_changes(record, since, version), since=since
        ),
        decision=entry,
        ends_at=consent_ends(granted, standing) if granted is not None else None,
        would_end_at=would_end(version.facts, facts, at, policy, link.territory),
        active=active,
        asked=asked,
        here=entry in new or any((each.event.kind, each.event.processing) == declined for each in new),
        struck=struck,
        last_no=max((each.order for each in events if each.kind in _NOES and each.concerns(record.id)), default=0),
    )


def _face(link: ConsentLink, decision: ConsentEvent | None, standing: Standing, *, asked: bool) -> Face:
    stands = situation(decision, standing)
    declined = stands is Situation.HOLDS and renewal_declined(decision, standing.account.events)
    here = decision is not None and decision.order > link.ledger_order
    if decision is not None and stands is Situation.AWAITING:
        here = decision.collection.given_by is link.given_by
    acts = offered(link.kind, stands, asks=asked, decided_here=here, declined=declined)
    return Face(acts, stands, declined)


def _changes(record: ProcessingRecord, since: int | None, version: VersionRecord) -> Sequence[FieldChange]:
    before = record.version(since) if since is not None else None
    return told_changes(record, before, version) if before is not None else ()


_WITHDRAWN_BY_IT: Final = frozenset({Situation.HOLDS, Situation.AWAITING})
ANSWERS_SHOWN: Final = timedelta(days=7)
"""How long after the last answer through it a link still shows that answer, once it serves no other use."""


@dataclass(frozen=True, slots=True)
class OpenedLink:
    """A link that works: the link, the caller that made it, and what it shows.

    `under_15`: it records no decision except withdrawals. `name` says whose page this is; the page shows only
    `account`, a hint at it. `shown_until`: when a page that only shows past answers goes; None while it asks or
    withdraws. `age_band`: the one that the link was made with, unless an age was stated since. `title`: the key of its
    title. `audience`: who reads it.
    """

    link: ConsentLink
    caller: Caller
    name: SubjectName
    account: str
    title: str
    items: tuple[ShownProcessing, ...]
    under_15: bool
    asks: bool
    now: datetime
    shown_until: datetime | None
    age_band: AgeBand | None = None
    audience: Audience = Audience.ALONE

    def offering(self, act: Act) -> tuple[ShownProcessing, ...]:
        """Return the processings for which a button is there."""
        return tuple(item for item in self.items if act in item.acts)

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages in which everything on the page is available."""
        return tuple(each for each in LANGUAGES if all(each in item.facts.languages for item in self.items))


async def open_consent_link(session: ReadSession, deployment: Deployment, token_sha256: bytes) -> OpenedLink:
    """Return what the link with that token's hash shows now.

    It asks until it expires. After that it still works while a consent that it names holds, so that the person can
    withdraw it, and for `ANSWERS_SHOWN` after the last answer through it, to show that answer. One of kind `overview`
    covers every processing that the person has decided about, and ends when it expires.

    Raises:
        NotFoundError: there is no such link.
        ConsentLinkEndedError: it has expired; or the account was closed or erased since it was made; or its maker may
            no longer ask or, for kind `overview`, no longer read.

    """
    link = await find_link(session, token_sha256)
    if link is None:
        raise NotFoundError
    entries = await load_entries(session, link.subject_ref)
    about = link.processings or _decided_about(entries)
    records = await name_controllers(session, await load_processings(session, about))
    caller = await load_caller(session, link.created_by)
    kept = await load_name(session, link.subject_ref, link.name)
    now = await session.now()
    if caller is None or kept is None or account_closed(link, entries):
        raise ConsentLinkEndedError
    in_force = now < link.expires_at and await _in_force(session, link, caller)
    if link.kind is LinkKind.OVERVIEW and not (in_force and caller.processings is None):
        raise ConsentLinkEndedError
    age = _age(link, entries, now)
    young, audience = age is AgeBand.UNDER_15, audience_of(link, age)
    joint = link.kind is LinkKind.JOINT
    under_15 = young and not joint
    asks = in_force and link.kind.asks and (young or not joint) and any(map(caller.may_ask_about, link.processings))
    controllers = await load_controllers(session, _controllers_of(records, now))

    def show(struck: frozenset[str]) -> tuple[str, tuple[ShownProcessing, ...]]:
        """Return the title, and each processing with its texts; `struck`: where the text that asks was invalidated."""
        shown = [
            show_processing(
                *(link, entries, records[each], _who(records[each], controllers, now), now, deployment.policy),
                asks=asks and not under_15 and caller.may_ask_about(each),
                struck=each in struck,
            )
            for each in about
            if each in records
        ]
        title = title_of(link, shown, asks=asks)
        return title, with_texts(shown, title, audience)

    title, shown = show(frozenset())
    struck = frozenset(item.id for item in shown if on_a_struck_text(item, records[item.id], now))
    title, shown = show(struck) if struck else (title, shown)
    items = await _with_presented(session, shown)
    withdraws = not link.kind.asks and now < link.expires_at
    works = asks or withdraws or any(item.situation in _WITHDRAWN_BY_IT for item in items)
    shown_until = None if works else await _shown_until(session, link, now)
    name = SubjectName(kept.type, deployment.vault.open(kept.sealed))
    account = account_hint(name.id, name.type)
    age_band = None if _bands_since(link, entries) else link.age_band
    return OpenedLink(link, caller, name, account, title, items, under_15, asks, now, shown_until, age_band, audience)


async def show_person(session: ReadSession, deployment: Deployment, name: SubjectName) -> tuple[ShownProcessing, ...]:
    """Return where a person stands on each processing that they decided about, as a page for them would show it.

    Raises:
        InvalidSubjectError: the id has a domain that IDNA refuses.

    """
    ref = await ref_of(session, deployment, name)
    entries, now = await load_entries(session, ref), await session.now()
    records = await name_controllers(session, await load_processings(session, _decided_about(entries)))
    controllers = await load_controllers(session, _controllers_of(records, now))
    nobody = UUID(int=0)
    page = ConsentLink(
        *(b"", nobody, ref, nobody, LinkKind.OVERVIEW, (), Authentication.MAILBOX),
        by_person=False,
        age_band=None,
        created_at=now,
        created_by=nobody,
        expires_at=now,
        ledger_order=0,
        credential=nobody,
    )
    return with_texts(
        [
            show_processing(page, entries, record, _who(record, controllers, now), now, deployment.policy, asks=False)
            for record in records.values()
        ],
        "title_answers",
        Audience.ALONE,
    )


def _decided_about(entries: Sequence[LedgerEntry]) -> tuple[str, ...]:
    """Return the processings that a person ever decided about, in the order of their first decisions."""
    events = [entry.event for entry in entries if entry.event.kind in DECISIONS]
    return tuple(dict.fromkeys(event.processing for event in events if event.processing is not None))


def _controllers_of(records: Mapping[str, ProcessingRecord], now: datetime) -> frozenset[str]:
    return frozenset(each for record in records.values() for each in version_shown(record, now).controllers)


def _who(record: ProcessingRecord, controllers: Mapping[str, ControllerRecord], now: datetime) -> tuple[Who, ...]:
    """Return who answers for the version that is shown."""
    named = tuple(who_is(controllers[each]) for each in version_shown(record, now).controllers if each in controllers)
    return named or (Who(record.controller),)


async def _with_presented(session: ReadSession, items: Sequence[ShownProcessing]) -> tuple[ShownProcessing, ...]:
    """Return the processings with the texts that were shown for the decisions about them, where those are kept."""
    digests = {item.id: _digest_of(item.decision) for item in items}
    texts = await find_texts(session, [each for each in digests.values() if each is not None])
    return tuple(replace(item, presented=texts.get(digests[item.id] or b"")) for item in items)


def _digest_of(decision: LedgerEntry | None) -> bytes | None:
    digest = (decision.evidence or {}).get("presented_text_sha256") if decision is not None else None
    return bytes.fromhex(digest) if isinstance(digest, str) else None


def account_closed(link: ConsentLink, entries: Sequence[LedgerEntry]) -> bool:
    """Return whether the account was closed since the link was made: another person may have its address now.

    A closure about one processing comes from the sweep, after a retirement, and concerns no other (docs/renewal.md).
    """
    closures = (entry.event for entry in entries if entry.event.kind is EventKind.CLOSED)
    return any(event.processing is None and link.ledger_order < event.order for event in closures)


async def _in_force(session: ReadSession, link: ConsentLink, caller: Caller) -> bool:
    """Return whether the link's maker still has the scope to ask or, for an overview, to read, by a key not revoked.

    A key that ended as planned, at a rotation for instance, leaves its links asking.
    """
    scope = Scope.CONSENTS_READ if link.kind is LinkKind.OVERVIEW else Scope.CONSENTS_WRITE
    if caller.revoked_at is not None or scope not in caller.scopes:
        return False
    return link.credential == caller.id or not await is_key_revoked(session, link.credential)


async def _shown_until(session: ReadSession, link: ConsentLink, now: datetime) -> datetime:
    """Return until when a link that takes no more answers still shows those that were given through it.

    Raises:
        ConsentLinkEndedError: no answer was given through it, or the last one too long ago.

    """
    answered_at = await last_form(session, link.token_sha256)
    if answered_at is None or now >= answered_at + ANSWERS_SHOWN:
        raise ConsentLinkEndedError
    return answered_at + ANSWERS_SHOWN


def _bands_since(link: ConsentLink, entries: Sequence[LedgerEntry]) -> list[AgeBand]:
    """Return the age bands stated since a link was made."""
    since = (entry.event for entry in entries if entry.event.order > link.ledger_order)
    return [event.collection.age_band for event in since if event.collection.age_band is not None]


def _age(link: ConsentLink, entries: Sequence[LedgerEntry], now: datetime) -> AgeBand | None:
    """Return how old the person is known to be.

    The age that a link was made with counts beside those stated since, and the youngest wins; but for a joint link the
    ledger comes first: it asks only those who are still under fifteen.
    """
    if link.age_band is not None and link.kind is not LinkKind.JOINT:
        return max((link.age_band, *_bands_since(link, entries)), key=list(AgeBand).index)
    return age_known([entry.event for entry in entries], now) or link.age_band
