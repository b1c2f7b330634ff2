"""Make links for a person: to a page that asks for consents, and to a page with everything recorded about them."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple
from uuid import UUID

from app.audit.trail import ActKind, Target, record_act
from app.auth.callers import Caller, Scope
from app.core.article import FRANCE, PARIS
from app.core.consent import AgeBand, GivenBy, age_known
from app.core.consent_link import (
    Authentication,
    LinkKind,
    Situation,
    consent_ends,
    latest_decision,
    paused_until,
    renewal_declined,
    situation,
)
from app.core.errors import (
    ConsentNotApplicableError,
    ContactMissingError,
    JointConsentNeededError,
    JointConsentNotApplicableError,
    NotFoundError,
    NothingToWithdrawError,
    ProcessingRetiredError,
    ProcessingSuspendedError,
    SolicitationPausedError,
)
from app.core.names import MailboxSharedError
from app.core.processing import Status
from app.core.register import ProcessingNotApprovedError, VersionInvalidatedError
from app.core.renewal import Solicited, next_half_year
from app.db.session import WriteSession, uuid7
from app.ledger.link_store import ConsentLink, add_link, token_digest
from app.ledger.link_store import remove_ended_links as remove_some
from app.ledger.locators import find_name
from app.ledger.store import count_asked, load_asked, load_entries
from app.operations.consents.ledgers import OpenLedger, open_ledgers
from app.operations.consents.open_consent_link import ANSWERS_SHOWN
from app.operations.consents.statements import own_references, refuse_own_parent
from app.operations.service.deployment import Deployment, SubjectName, parent_reference
from app.register.records import ProcessingRecord

TOKEN_BYTES: Final = 32
_FIELD: Final = "processings"


@dataclass(frozen=True, slots=True)
class WantedLink:
    """What a caller asks for: whose link, about which processings, of which kind.

    `credential`: the key that asks, or the caller's id where a token does. `person_request`: what shows that the person
    asked to decide, so that refused processings may be offered again. `age_band` None: not stated. `return_to`: an
    address already checked. `territory`: where the consents that it asks for are collected. `parent`: for a joint link,
    the parent's name, and how parental responsibility was checked.
    """

    subject: SubjectName
    processings: tuple[str, ...]
    kind: LinkKind
    authentication: Authentication
    credential: UUID
    person_request: str | None = None
    age_band: AgeBand | None = None
    return_to: str | None = None
    territory: str = FRANCE
    parent: tuple[SubjectName, str] | None = None

    @property
    def by_person(self) -> bool:
        """Whether the person asked for it."""
        return self.person_request is not None


class LeftOutReason(StrEnum):
    """Why a processing is not on the page."""

    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    NO_CONSENT = "no_consent"
    RENEWAL_DECLINED = "renewal_declined"
    ASKED_ENOUGH = "asked_enough"


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A processing that the link does not offer; `until`: when it may be offered again (None: `NO_CONSENT`)."""

    processing: str
    reason: LeftOutReason
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class MadeLink:
    """The link with its token, which is shown this once; `parent`: the parent's link of a joint consent."""

    token: str
    id: UUID
    processings: tuple[str, ...]
    expires_at: datetime
    left_out: Sequence[LeftOut]
    parent: "MadeLink | None" = None


async def create_consent_link(
    session: WriteSession, deployment: Deployment, caller: Caller, wanted: WantedLink
) -> MadeLink:
    """Make a link. One that decides lasts `link_validity`; one that withdraws lasts as long as the longest consent.

    A joint consent gets two: for the child, and for the holder of parental responsibility.

    Raises:
        NotFoundError: a processing is not registered.
        ConsentNotApplicableError: no consent could permit one of them.
        ContactMissingError: one names no contact for the protection of data, which the person must be told.
        ProcessingSuspendedError: one is suspended, and so is not asked for (withdrawing goes on).
        ProcessingRetiredError: one is retired.
        VersionInvalidatedError: what one would ask was invalidated.
        JointConsentNeededError: the person is under fifteen, and the link is not joint.
        JointConsentNotApplicableError: the link is joint, and the person is not known to be under fifteen.
        SolicitationPausedError: every one was declined too recently, or asked about often enough in this half-year.
        NothingToWithdrawError: no consent to any of them is in force.
        MailboxSharedError: it asks, and several people share the mailbox: it has no user who could decide.

    """
    opened = await open_ledgers(session, deployment, [wanted.subject], wanted.processings)
    opened.begin(wanted.subject)
    ledger = opened.of(wanted.subject)
    if ledger.shared and wanted.kind.asks:
        raise MailboxSharedError(field="subject")
    solicited = await load_asked(session, ledger.ref, ledger.now)
    for identifier in wanted.processings:
        _check(ledger.register.get(identifier), identifier, ledger, wanted)
    _check_age(ledger, wanted)
    chosen = _to_decide(deployment, ledger, wanted, solicited) if wanted.kind.asks else _to_withdraw(ledger, wanted)
    token = secrets.token_urlsafe(TOKEN_BYTES)
    link = _link(token, ledger, opened.account(wanted.subject).name, caller, wanted, chosen)
    made = await _keep(session, token, link, chosen.left_out)
    if wanted.parent is not None:
        parent, checked_how = parent_reference(deployment, wanted.parent[0]), wanted.parent[1]
        refuse_own_parent(parent.hex(), await own_references(session, deployment, ledger, wanted.subject), "parent")
        token = secrets.token_urlsafe(TOKEN_BYTES)
        link = replace(link, token_sha256=token_digest(token), id=uuid7(ledger.now), given_by=GivenBy.PARENT)
        link = replace(link, parent_ref=parent, parent_checked_how=checked_how)
        made = replace(made, parent=await _keep(session, token, link))
    if wanted.kind.asks:
        await count_asked(session, ledger.ref, link.processings, ledger.now, wanted.person_request)
    # A campaign makes a link for every user; what is done by each stands in the ledger, with who made it.
    await record_act(session, ActKind.CONSENT_LINKS_MADE, caller.id, once=f"{ledger.now:%Y-%m-%d}")
    return made


class _Chosen(NamedTuple):
    """The processings of a link, those that it leaves out, and until when it asks or withdraws."""

    processings: tuple[str, ...]
    left_out: Sequence[LeftOut]
    expires_at: datetime


def _link(  # noqa: PLR0917 - a token, and what it leads to
    token: str, ledger: OpenLedger, name: UUID, caller: Caller, wanted: WantedLink, chosen: _Chosen
) -> ConsentLink:
    """Return the link that was asked for, of a joint consent the child's."""
    is_joint = wanted.kind is LinkKind.JOINT
    return ConsentLink(
        token_sha256=token_digest(token),
        id=uuid7(ledger.now),
        subject_ref=ledger.ref,
        name=name,
        kind=wanted.kind,
        processings=chosen.processings,
        authentication=wanted.authentication,
        by_person=wanted.by_person,
        age_band=AgeBand.UNDER_15 if is_joint else wanted.age_band,
        created_at=ledger.now,
        created_by=caller.id,
        expires_at=chosen.expires_at,
        ledger_order=ledger.next_order - 1,
        credential=wanted.credential,
        return_to=wanted.return_to,
        given_by=GivenBy.SELF if is_joint else None,
        territory=wanted.territory,
    )


async def _keep(session: WriteSession, token: str, link: ConsentLink, left_out: Sequence[LeftOut] = ()) -> MadeLink:
    await add_link(session, link)
    return MadeLink(token, link.id, link.processings, link.expires_at, left_out)


def _check(record: ProcessingRecord | None, identifier: str, ledger: OpenLedger, wanted: WantedLink) -> None:
    """Refuse what cannot be asked, or cannot be withdrawn."""
    if record is None:
        raise NotFoundError(f"No processing {identifier} is registered.", field=_FIELD)
    facts = record.facts
    if not facts.rests_on_consent:
        raise ConsentNotApplicableError(
            f"{identifier} does not rest on consent: there is nothing to ask.", field=_FIELD
        )
    if wanted.kind is LinkKind.WITHDRAW:
        return
    status = facts.status_at(ledger.now)
    if status is Status.RETIRED:
        raise ProcessingRetiredError(f"{identifier} is retired: nothing is asked for it any more.", field=_FIELD)
    if status is Status.PROPOSED:
        raise ProcessingNotApprovedError(f"{identifier} is not approved yet: nothing is asked before.", field=_FIELD)
    if status is Status.SUSPENDED:
        raise ProcessingSuspendedError(f"{identifier} is suspended: nothing is asked meanwhile.", field=_FIELD)
    version = facts.version_at(ledger.now)
    if version is None or not version.automated:
        detail = f"{identifier} is not an automated analysis: no consent lets a person read a correspondence."
        raise ConsentNotApplicableError(detail, field=_FIELD)
    current = record.version(version.number)
    if current is not None and record.struck(current, ledger.now):
        detail = f"What {identifier} asks was invalidated: add a version that may be asked, and ask then."
        raise VersionInvalidatedError(detail, field=_FIELD)
    if current is None or current.contact is None:
        detail = f"{identifier} names no data_protection_contact: add a version that does, and ask then."
        raise ContactMissingError(detail, field=_FIELD)


def _check_age(ledger: OpenLedger, wanted: WantedLink) -> None:
    """Refuse to ask a child alone, and a person of fifteen or more together with a parent."""
    young = (wanted.age_band or age_known(ledger.events, ledger.now)) is AgeBand.UNDER_15
    if young and wanted.kind is LinkKind.DECIDE:
        raise JointConsentNeededError(field="age_band")
    if not young and wanted.kind is LinkKind.JOINT:
        raise JointConsentNotApplicableError(field="age_band")


def _to_decide(
    deployment: Deployment,
    ledger: OpenLedger,
    wanted: WantedLink,
    solicited: Mapping[str, Solicited],
) -> _Chosen:
    """Choose what may be asked now: leave out what was asked about often enough in this half-year.

    Unless the person asked to decide, what a recent decision declined is left out too.
    """
    chosen, left_out = [], []
    for identifier in wanted.processings:
        standing = ledger.standing(identifier)
        decision = latest_decision(standing)
        until = paused_until(decision, deployment.solicitation_pause)
        declined = renewal_declined(decision, standing.account.events)
        declined = declined and situation(decision, standing) is Situation.HOLDS
        paused = until is not None and until > ledger.now
        no = decision.collected_at if decision is not None and until is not None else None
        if decision is not None and declined and not wanted.by_person:
            ends = consent_ends(decision, standing)
            left_out.append(LeftOut(identifier, LeftOutReason.RENEWAL_DECLINED, ends))
        elif decision is not None and paused and not wanted.by_person:
            left_out.append(LeftOut(identifier, LeftOutReason(decision.kind.value), until))
        elif solicited.get(identifier, Solicited()).is_enough(no, by_person=wanted.by_person):
            left_out.append(LeftOut(identifier, LeftOutReason.ASKED_ENOUGH, next_half_year(ledger.now)))
        else:
            chosen.append(identifier)
    if not chosen:
        raise SolicitationPausedError(
            "Refused, withdrawn, not to be renewed, or asked for often enough in this half-year; not to be offered: "
            f"{', '.join(map(_left_out_text, left_out))}.",
            field=_FIELD,
        )
    return _Chosen(tuple(chosen), left_out, ledger.now + deployment.link_validity)


def _left_out_text(left_out: LeftOut) -> str:
    until = f" until {left_out.until.astimezone(PARIS):%Y-%m-%d}" if left_out.until else ""
    return f"{left_out.processing}{until}"


def _to_withdraw(ledger: OpenLedger, wanted: WantedLink) -> _Chosen:
    """Choose the consents that hold, which can be withdrawn; return also until when the longest of them does."""
    ends: dict[str, datetime] = {}
    for identifier in wanted.processings:
        standing = ledger.standing(identifier)
        decision = latest_decision(standing)
        if decision is not None and situation(decision, standing) is Situation.HOLDS:
            ends[identifier] = consent_ends(decision, standing)
    if not ends:
        raise NothingToWithdrawError(field=_FIELD)
    left_out = [LeftOut(each, LeftOutReason.NO_CONSENT) for each in wanted.processings if each not in ends]
    return _Chosen(tuple(ends), left_out, max(ends.values()))


# Links to the page about everything that is held about a person: an operator makes one, the person opens it.

VALIDITY: Final = timedelta(days=7)
"""How long an overview link works: long enough to be read, short enough to be forgotten in a mailbox."""


async def create_overview_link(
    session: WriteSession, deployment: Deployment, caller: Caller, wanted: WantedLink
) -> MadeLink:
    """Make a link by which a person reads everything that is held about them (GDPR art. 15), for a week.

    By it the person can also withdraw the consents that hold. The audit trail records it as an export of that person's
    data, since anyone who holds the link can read them.

    Raises:
        ScopeMissingError: the caller may not read consents.
        ProcessingNotAllowedError: the caller is limited to some processings.
        NotFoundError: nothing is recorded about the person.

    """
    caller.require(Scope.CONSENTS_READ)
    caller.require_processing(None)
    ref_and_name = await find_name(session, deployment.pseudonyms.found_by(wanted.subject.type, wanted.subject.id))
    if ref_and_name is None:
        raise NotFoundError("Nothing is recorded about this user.", field="subject")
    ref, name = ref_and_name
    entries, now = await load_entries(session, ref), await session.now()
    token = secrets.token_urlsafe(TOKEN_BYTES)
    link = ConsentLink(
        token_sha256=token_digest(token),
        id=uuid7(now),
        subject_ref=ref,
        name=name,
        kind=LinkKind.OVERVIEW,
        processings=(),
        authentication=wanted.authentication,
        by_person=wanted.by_person,
        age_band=None,
        created_at=now,
        created_by=caller.id,
        expires_at=now + VALIDITY,
        ledger_order=max((entry.event.order for entry in entries), default=0),
        credential=wanted.credential,
    )
    await record_act(session, ActKind.SUBJECT_EXPORTED, caller.id, Target(subject_ref=ref))
    return await _keep(session, token, link)


# Remove links to the consent page that have ended: expired, with nothing left that they could withdraw or show.

AT_ONCE: Final = 1_000


async def remove_ended_links(session: WriteSession, *, limit: int = AT_ONCE) -> int:
    """Remove some ended links with the nonces of their forms; return how many. Fewer than `limit`: none are left.

    Consents stay. Only the page that says "this link has ended" goes; the link is answered 404 from then on.
    """
    now = await session.now()
    return await remove_some(session, at=now, answered_before=now - ANSWERS_SHOWN, limit=limit)
