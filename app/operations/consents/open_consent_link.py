"""What a link shows: each processing with the text that asks, where the person stands, and what they can press.

Reads only: a mail scanner that follows a link changes nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from app.auth.callers import Caller
from app.auth.key_store import is_key_revoked
from app.auth.scopes import Scope
from app.auth.store import load_caller
from app.core.consent import AgeBand, EventKind
from app.core.errors import ConsentLinkEndedError, NotFoundError
from app.core.fold import age_known
from app.core.page.link import (
    Act,
    LinkKind,
    Situation,
    account_hint,
    consent_ends,
    latest_decision,
    offered,
    situation,
    would_end,
)
from app.core.page.text import ConsentText
from app.core.period import PeriodPolicy
from app.core.processing import Status
from app.db.session import ReadSession
from app.ledger.entries import LedgerEntry
from app.ledger.link_store import ConsentLink, find_link, last_form
from app.ledger.store import load_entries
from app.ledger.vault_store import load_id
from app.operations.decisions.evaluate_requests import present
from app.operations.service.consent_texts import consent_texts
from app.operations.service.deployment import Deployment
from app.register.controllers import name_controllers
from app.register.records import ProcessingRecord
from app.register.store import load_processings

ANSWERS_SHOWN: Final = timedelta(days=7)
"""For how long after the last answer through it a link shows that answer, when it is good for nothing else."""


@dataclass(frozen=True, slots=True)
class ShownProcessing:
    """One processing on the page.

    `decision` is the person's last one, if any, and `ends_at` when a consent that holds will end by itself;
    `would_end_at` when one given now would. `acts` are the buttons; `asked`: the link may collect an answer now.
    """

    id: str
    version: int
    texts: Mapping[str, ConsentText]
    situation: Situation
    decision: LedgerEntry | None
    ends_at: datetime | None
    would_end_at: datetime
    active: bool
    asked: bool
    acts: frozenset[Act]

    def shown(self, language: str) -> str:
        """What identifies the text as shown: processing, version and hash."""
        return f"{self.id} {self.version} {self.texts[language].sha256}"


@dataclass(frozen=True, slots=True)
class OpenedLink:
    """A link that works: what it is, who made it, what it shows. `under_15`: it records no decision but withdrawals.

    `account` is a hint at whose page this is, never the whole id. `shown_until`: when the page goes, of a link that
    only shows what was answered by it; None while it asks or withdraws.
    """

    link: ConsentLink
    caller: Caller
    account: str
    controllers: tuple[str, ...]
    items: tuple[ShownProcessing, ...]
    under_15: bool
    asks: bool
    now: datetime
    shown_until: datetime | None

    def offering(self, act: Act) -> tuple[ShownProcessing, ...]:
        """The processings for which a button is there."""
        return tuple(item for item in self.items if act in item.acts)


def shown_digest(items: Sequence[ShownProcessing], language: str) -> str:
    """SHA-256 (hex) of what several processings show, one line each."""
    return sha256("\n".join(item.shown(language) for item in items).encode()).hexdigest()


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
    if link is None:
        raise NotFoundError
    entries = await load_entries(session, link.subject_ref)
    records = await name_controllers(session, await load_processings(session, link.processings))
    caller = await load_caller(session, link.created_by)
    sealed = await load_id(session, link.subject_ref)
    now = await session.now()
    if caller is None or sealed is None or _account_closed(link, entries):
        raise ConsentLinkEndedError
    under_15 = _is_under_15(link, entries, now)
    asks = link.kind is LinkKind.DECIDE and now < link.expires_at and await _in_force(session, link, caller)
    items = tuple(
        _item(
            *(link, entries, records[each], now, deployment.policy),
            asks=asks and not under_15 and caller.may_ask_about(each),
        )
        for each in link.processings
    )
    works = asks or any(item.situation is Situation.HOLDS for item in items) or _withdraws(link, now)
    shown_until = None if works else await _shown_until(session, link, now)
    controllers = tuple(dict.fromkeys(name for each in link.processings for name in _controllers(records[each], now)))
    account = account_hint(deployment.vault.open(sealed))
    return OpenedLink(link, caller, account, controllers, items, under_15, asks, now, shown_until)


def _controllers(record: ProcessingRecord, now: datetime) -> tuple[str, ...]:
    """Who answers for the version that is shown."""
    in_force = record.facts.version_at(now) or record.facts.versions[0]
    return record.names_of(record.version(in_force.number) or record.versions[0])


def _account_closed(link: ConsentLink, entries: Sequence[LedgerEntry]) -> bool:
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
    return link.credential in {None, caller.id} or not await is_key_revoked(session, link.credential)


async def _shown_until(session: ReadSession, link: ConsentLink, now: datetime) -> datetime:
    """Until when a link that is good for nothing else shows what was answered through it.

    Raises:
        ConsentLinkEndedError: nothing was, or that is too long ago.

    """
    answered_at = await last_form(session, link.token_sha256)
    if answered_at is None or now >= answered_at + ANSWERS_SHOWN:
        raise ConsentLinkEndedError
    return answered_at + ANSWERS_SHOWN


def _is_under_15(link: ConsentLink, entries: Sequence[LedgerEntry], now: datetime) -> bool:
    if link.age_band is not None:
        return link.age_band is AgeBand.UNDER_15
    return age_known([entry.event for entry in entries], now) is AgeBand.UNDER_15


def _item(
    link: ConsentLink,
    entries: Sequence[LedgerEntry],
    record: ProcessingRecord,
    now: datetime,
    policy: PeriodPolicy,
    *,
    asks: bool,
) -> ShownProcessing:
    facts = record.facts
    events = [entry.event for entry in entries]
    at = present(now, {link.subject_ref: events}, record)
    decision = latest_decision(events, facts, at)
    entry = next((each for each in entries if decision is not None and each.event.id == decision.id), None)
    stands = situation(decision, events, facts, at, policy)
    in_force = facts.version_at(at) or facts.versions[0]
    version = record.version(in_force.number) or record.versions[0]
    active = facts.status_at(at) is Status.ACTIVE
    asked = asks and active and in_force.automated and version.contact is not None
    granted = decision is not None and decision.kind is EventKind.GRANTED
    return ShownProcessing(
        id=record.id,
        version=in_force.number,
        texts=consent_texts(record.purpose, record.names_of(version), version, policy),
        situation=stands,
        decision=entry,
        ends_at=consent_ends(decision, events, facts, at, policy) if decision is not None and granted else None,
        would_end_at=would_end(in_force, facts, at, policy),
        active=active,
        asked=asked,
        acts=offered(
            link.kind,
            stands,
            asks=asked,
            decided_here=entry is not None and entry.event.order > link.ledger_order,
        ),
    )
