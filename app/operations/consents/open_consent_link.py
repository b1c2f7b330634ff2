"""What a link shows: each processing with the text that asks, where the person stands, and what they can press.

Reads only: a mail scanner that follows a link changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from app.auth.callers import Caller
from app.auth.key_store import is_key_revoked
from app.auth.scopes import Scope
from app.auth.store import load_caller
from app.core.age import age_known
from app.core.consent import AgeBand, EventKind
from app.core.errors import ConsentLinkEndedError, NotFoundError
from app.core.page.account import account_hint
from app.core.page.catalogue import Audience
from app.core.page.link import Act, LinkKind, Situation
from app.core.page.passages import LANGUAGES
from app.core.page.questions import Who
from app.db.session import ReadSession
from app.ledger.entries import LedgerEntry
from app.ledger.link_store import ConsentLink, find_link, find_texts, last_form
from app.ledger.store import load_entries
from app.ledger.vault_store import load_name
from app.operations.consents.shown_processing import (
    ShownProcessing,
    audience_of,
    on_a_struck_text,
    show_processing,
    title_of,
    version_shown,
    with_texts,
)
from app.operations.service.consent_texts import who_is
from app.operations.service.deployment import Deployment
from app.register.controllers import load_controllers, name_controllers
from app.register.records import ControllerRecord, ProcessingRecord
from app.register.store import load_processings

_WITHDRAWN_BY_IT: Final = frozenset({Situation.HOLDS, Situation.AWAITING})
ANSWERS_SHOWN: Final = timedelta(days=7)
"""For how long after the last answer through it a link shows that answer, when it is good for nothing else."""


@dataclass(frozen=True, slots=True)
class OpenedLink:
    """A link that works: what it is, who made it, what it shows. `under_15`: it records no decision but withdrawals.

    `account` is a hint at whose page this is, never the whole id. `shown_until`: when the page goes, of a link that
    only shows what was answered by it; None while it asks or withdraws. `age_band`: what it was made with, unless
    an age was stated since. `title`: its word among those of the page. `audience`: who reads it.
    """

    link: ConsentLink
    caller: Caller
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
        """The processings for which a button is there."""
        return tuple(item for item in self.items if act in item.acts)

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages in which everything on the page is there."""
        return tuple(each for each in LANGUAGES if all(each in item.facts.languages for item in self.items))


async def open_consent_link(session: ReadSession, deployment: Deployment, token_sha256: bytes) -> OpenedLink:
    """What the link with that token's hash shows now.

    It asks until it expires; after that it goes on for as long as a consent that it names holds, to withdraw it, and
    for `ANSWERS_SHOWN` after the last answer through it, to show that.

    Raises:
        NotFoundError: there is no such link.
        ConsentLinkEndedError: it has expired; or the account was closed or erased since it was made; or who made it may
            no longer ask.

    """
    link = await find_link(session, token_sha256)
    if link is None or link.kind is LinkKind.OVERVIEW:  # that is opened by `open_overview_link`
        raise NotFoundError
    entries = await load_entries(session, link.subject_ref)
    records = await name_controllers(session, await load_processings(session, link.processings))
    caller = await load_caller(session, link.created_by)
    name = await load_name(session, link.subject_ref, link.name)
    now = await session.now()
    if caller is None or name is None or account_closed(link, entries):
        raise ConsentLinkEndedError
    age = _age(link, entries, now)
    young, audience = age is AgeBand.UNDER_15, audience_of(link, age)
    joint = link.kind is LinkKind.JOINT
    under_15 = young and not joint
    asks = link.kind.asks and (young or not joint) and now < link.expires_at and await _in_force(session, link, caller)
    known = await load_controllers(session, _controllers_of(records, now))

    def show(struck: frozenset[str]) -> tuple[str, tuple[ShownProcessing, ...]]:
        """The title, and each processing with its texts; of those processings the text that asks was invalidated."""
        shown = [
            show_processing(
                *(link, entries, records[each], _who(records[each], known, now), now, deployment.policy),
                asks=asks and not under_15 and caller.may_ask_about(each),
                struck=each in struck,
            )
            for each in link.processings
        ]
        title = title_of(link, shown, asks=asks)
        return title, with_texts(shown, title, audience)

    title, shown = show(frozenset())
    struck = frozenset(item.id for item in shown if on_a_struck_text(item, records[item.id], now))
    title, shown = show(struck) if struck else (title, shown)
    items = await _with_presented(session, shown)
    works = asks or any(item.situation in _WITHDRAWN_BY_IT for item in items) or _withdraws(link, now)
    shown_until = None if works else await _shown_until(session, link, now)
    account = account_hint(deployment.vault.open(name.sealed), name.type)
    age_band = None if _bands_since(link, entries) else link.age_band
    return OpenedLink(link, caller, account, title, items, under_15, asks, now, shown_until, age_band, audience)


def _controllers_of(records: Mapping[str, ProcessingRecord], now: datetime) -> frozenset[str]:
    return frozenset(each for record in records.values() for each in version_shown(record, now).controllers)


def _who(record: ProcessingRecord, known: Mapping[str, ControllerRecord], now: datetime) -> tuple[Who, ...]:
    """Who answers for the version that is shown."""
    named = tuple(who_is(known[each]) for each in version_shown(record, now).controllers if each in known)
    return named or (Who(record.controller),)


async def _with_presented(session: ReadSession, items: Sequence[ShownProcessing]) -> tuple[ShownProcessing, ...]:
    """The processings with the texts that were shown for the decisions about them, where those are kept."""
    digests = {item.id: _digest_of(item.decision) for item in items}
    texts = await find_texts(session, [each for each in digests.values() if each is not None])
    return tuple(replace(item, presented=texts.get(digests[item.id] or b"")) for item in items)


def _digest_of(decision: LedgerEntry | None) -> bytes | None:
    said = (decision.evidence or {}).get("presented_text_sha256") if decision is not None else None
    return bytes.fromhex(said) if isinstance(said, str) else None


def account_closed(link: ConsentLink, entries: Sequence[LedgerEntry]) -> bool:
    """Whether the account was closed since the link was made: another may have its address now.

    A closure about one processing is the sweep's, of one that is retired, and concerns no other (ADR 15).
    """
    closures = (entry.event for entry in entries if entry.event.kind is EventKind.CLOSED)
    return any(event.processing is None and link.ledger_order < event.order for event in closures)


def _withdraws(link: ConsentLink, now: datetime) -> bool:
    return link.kind is LinkKind.WITHDRAW and now < link.expires_at


async def _in_force(session: ReadSession, link: ConsentLink, caller: Caller) -> bool:
    """Whether who made the link may still ask for any of this, and what it was made with was not revoked.

    A key that ended as it was planned to, at a rotation for instance, leaves its links asking.
    """
    if caller.revoked_at is not None or Scope.CONSENTS_WRITE not in caller.scopes:
        return False
    if not any(caller.may_ask_about(each) for each in link.processings):
        return False
    return link.credential == caller.id or not await is_key_revoked(session, link.credential)


async def _shown_until(session: ReadSession, link: ConsentLink, now: datetime) -> datetime:
    """Until when a link that is good for nothing else shows what was answered through it.

    Raises:
        ConsentLinkEndedError: nothing was, or that is too long ago.

    """
    answered_at = await last_form(session, link.token_sha256)
    if answered_at is None or now >= answered_at + ANSWERS_SHOWN:
        raise ConsentLinkEndedError
    return answered_at + ANSWERS_SHOWN


def _bands_since(link: ConsentLink, entries: Sequence[LedgerEntry]) -> list[AgeBand]:
    """The ages stated since a link was made."""
    since = (entry.event for entry in entries if entry.event.order > link.ledger_order)
    return [event.collection.age_band for event in since if event.collection.age_band is not None]


def _age(link: ConsentLink, entries: Sequence[LedgerEntry], now: datetime) -> AgeBand | None:
    """How old the person is known to be.

    What a link was made with stands beside what was stated since, and the youngest counts; but a joint link asks only
    those who still are under fifteen.
    """
    if link.age_band is not None and link.kind is not LinkKind.JOINT:
        return max((link.age_band, *_bands_since(link, entries)), key=list(AgeBand).index)
    return age_known([entry.event for entry in entries], now) or link.age_band
