"""The one way to record what people decide: in ledgers that are open, each decision as if it were alone.

A press on the page, a row of an import, a batch and a single request are all recorded here.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from app.auth.callers import Caller
from app.core.article import FRANCE, Element
from app.core.consent import AgeBand, ConsentEvent, Defect, EventKind, GivenBy, State
from app.core.errors import (
    CollectionTimeError,
    ConsentNotApplicableError,
    InvalidEvidenceError,
    InvalidVersionError,
    ProcessingRetiredError,
    TooManyConsentsError,
    UnknownVersionError,
)
from app.core.fold import Standing, covered, defects
from app.core.names import NOES, MailboxSharedError
from app.core.processing import Status
from app.core.register import ProcessingNotApprovedError
from app.events.outbox import DomainEvent, put_in_outbox
from app.ledger.link_store import keep_text, text_digest
from app.ledger.projection import LedgerEntry
from app.operations.consents.ledgers import OpenLedger, OpenLedgers, append
from app.operations.consents.statements import (
    CollectionTime,
    capacity_of,
    entry_of,
    own_references,
    refuse_own_parent,
    time_of_grant,
    time_of_history,
    time_of_narrowing,
    without_parent_id,
)
from app.operations.service.deployment import Deployment, SubjectName
from app.register.records import (
    ProcessingRecord,
    VersionRecord,
    check_evidence,
    check_started,
    check_text_existed,
    proves,
)

# A grant or a refusal: from what a caller says was collected to the entry of the ledger. Values in, values out.

MOST_A_DAY: Final = 100
"""How many consents are recorded of one person within a day. Decisions that forbid are never bounded."""
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class PresentedPage:
    """What Sceau's own page showed: the text that it made from the register, and the page without anything of a person.

    Both are kept, and the evidence holds their hashes.
    """

    text: str
    page: str


@dataclass(frozen=True, slots=True)
class Collected:
    """What a caller says was collected. `evidence` and `capacity` hold the words of design section 4.

    `presented`: what Sceau's own page showed. No API caller can set it, and only with it may a grant omit
    `collected_at`: the database's clock times a press on the page. `historic`: a
    row of an import. It keeps its date; a grant whose proof is incomplete, or whose text was not registered yet, is
    recorded with its text unknown and never permits (`unknown`). `until`: when the older system stopped deciding.
    `joint_form`: several people signed the form. `quiet`: receivers are told of nothing but the end of a consent that
    permitted something.
    """

    subject: SubjectName
    processing: str
    kind: EventKind
    evidence: Mapping[str, Any]
    capacity: Mapping[str, Any] | None = None
    version: int | None = None
    elements: frozenset[Element] | None = None
    collected_at: datetime | None = None
    presented: PresentedPage | None = None
    territory: str = FRANCE
    historic: bool = False
    until: datetime | None = None
    joint_form: bool = False
    quiet: bool = False
    unknown: bool = False


@dataclass(frozen=True, slots=True)
class ConsentView:
    """One consent at an instant; `expires_at` is the expiry that counts then, None for a refusal.

    `defects`: why it is invalid, given only when it was just recorded.
    """

    event: ConsentEvent
    subject_ref: bytes
    state: State
    expires_at: datetime | None
    defects: tuple[Defect, ...] = ()


def grant(  # noqa: PLR0917 - what is said, in which ledger, and what else is recorded
    collected: Collected,
    ledger: OpenLedger,
    deployment: Deployment,
    caller: Caller,
    own_references: frozenset[str],
    unfound_until: datetime | None,
) -> tuple[LedgerEntry, bool]:
    """Return the entry of a grant or refusal, and whether it may permit more than was permitted.

    An unlawful grant is recorded too, as `invalid`: it never permits.

    Args:
        collected: what was collected.
        ledger: the person's, held by the transaction.
        deployment: how it counts periods and times.
        caller: the caller that states it.
        own_references: those that the person's names would have as a parent (hex), where a parent is named.
        unfound_until: for a row older than live calls may state, the instant before which the keys in use may not find
            an erased person; None where they find all.

    Raises:
        NotFoundError: no such processing.
        ConsentNotApplicableError: its purpose does not rest on consent.
        ProcessingRetiredError: it is retired: nothing is asked for it any more.
        ProcessingNotApprovedError: it waits for a second person, or did when the consent was collected.
        UnknownVersionError: no such version of it.
        InvalidVersionError: an element is named that the version does not declare.
        CollectionTimeError: the time of collection is missing, or one that this caller may not state.
        InvalidEvidenceError: the evidence of a grant is incomplete, or contradicts itself or the version.
        MailboxSharedError: several people share the mailbox: it is given no consent.
        TooManyConsentsError: the person has consented too often within a day.

    """
    record = ledger.registered(collected.processing)
    _check_asked(record, collected, ledger)
    parent = (without_parent_id(deployment, collected.capacity) or {}).get("parent_ref")
    refuse_own_parent(parent, own_references, "capacity.parent")
    when = _when(ledger, deployment, caller, collected)
    is_grant = collected.kind is EventKind.GRANTED
    if is_grant and record.facts.status_at(when.at) is Status.PROPOSED:
        raise ProcessingNotApprovedError(field="processing")
    version = _version(record, collected, when.at)
    collected = _checked(collected, version, when, ledger, unfound_until)
    capacity, widens = capacity_of(ledger, deployment, caller, collected.capacity, when.at, is_grant=is_grant)
    return _entry_of_grant(replace(collected, capacity=capacity), ledger, deployment, caller, version, when), widens


def document_of(collected: Collected) -> bytes | None:
    """Return the hash of the paper or recording that stands for a grant, and for no other person's; None without one.

    A form that several people signed stands for none of them alone.
    """
    digest = collected.evidence.get("document_sha256")
    claims = collected.kind is EventKind.GRANTED and isinstance(digest, str) and not collected.joint_form
    return bytes.fromhex(str(digest)) if claims else None


def view_of(ref: bytes, event: ConsentEvent, standing: Standing) -> ConsentView:
    """Return the consent that a decision of this person began, as it is at an instant (`standing`)."""
    expires_at = standing.expiry_of(event) if event.kind is EventKind.GRANTED else None
    return ConsentView(event, ref, standing.state_of(event), expires_at)


def covers(entry: LedgerEntry, replaced: Sequence[ConsentEvent], standing: Standing) -> bool:
    """Return whether a grant covers as much, and lasts as long, as the grants that it replaced."""

    def reach(event: ConsentEvent) -> tuple[frozenset[Element], datetime]:
        return covered(standing.grant_of(event), standing.processing), standing.expiry_of(event)

    elements, until = reach(entry.event)
    return all(old <= elements and end <= until for old, end in map(reach, replaced))


def _check_asked(record: ProcessingRecord, collected: Collected, ledger: OpenLedger) -> None:
    if not record.facts.rests_on_consent:
        raise ConsentNotApplicableError(field="processing")
    if ledger.shared and collected.kind is EventKind.GRANTED:
        raise MailboxSharedError(field="subject")
    if collected.kind is EventKind.GRANTED and not collected.historic:
        _check_bound(ledger)
    status = record.facts.status_at(ledger.now)
    if status is Status.RETIRED and collected.kind is EventKind.GRANTED:
        raise ProcessingRetiredError(field="processing")
    if status is Status.PROPOSED and collected.kind is EventKind.GRANTED:
        raise ProcessingNotApprovedError(field="processing")


def _check_bound(ledger: OpenLedger) -> None:
    """Refuse a grant past `MOST_A_DAY` within a day: each read of a person reads all that is recorded of them."""
    since, count = ledger.now - _DAY, 0
    for entry in reversed(ledger.entries):  # in the order of recording
        if entry.recorded_at <= since:
            return
        count += entry.event.kind is EventKind.GRANTED and not entry.imported
        if count >= MOST_A_DAY:
            raise TooManyConsentsError(field="subject")


def _when(ledger: OpenLedger, deployment: Deployment, caller: Caller, collected: Collected) -> CollectionTime:
    if collected.historic:
        narrows = collected.kind is EventKind.REFUSED
        return time_of_history(ledger, caller, collected.collected_at, field="collected_at", narrows=narrows)
    if collected.kind is EventKind.GRANTED:
        if collected.collected_at is None and collected.presented is None:
            raise CollectionTimeError("A grant says when it was collected.", field="collected_at")
        return time_of_grant(ledger, deployment, caller, collected.collected_at)
    return time_of_narrowing(ledger, deployment, caller, collected.collected_at, field="collected_at")


def _version(record: ProcessingRecord, collected: Collected, at: datetime) -> VersionRecord:
    """Return the version decided on: the one named or, for a grant that names none, that of its notice.

    For a refusal that names none: the one in force when it was collected, else the first; never the one in force now.
    """
    number, field = collected.version, "version"
    shown = collected.evidence.get("notice_version")
    if number is None and collected.kind is EventKind.GRANTED and isinstance(shown, int):
        number, field = shown, "evidence.notice_version"
    if number is None:
        then = record.facts.version_at(at)
        number = then.number if then is not None else 1
    version = record.version(number)
    if version is None:
        raise UnknownVersionError(field=field)
    if collected.elements is not None and not collected.elements <= version.facts.elements:
        raise InvalidVersionError("The version does not declare every element named.", field="elements")
    return version


def _checked(
    collected: Collected,
    version: VersionRecord,
    when: CollectionTime,
    ledger: OpenLedger,
    unfound_until: datetime | None,
) -> Collected:
    """Refuse a grant that proves nothing; what Sceau's own page showed and recorded needs no check.

    A row of an import is marked `unknown` instead if its proof is incomplete or the older system had stopped deciding.
    So is every imported grant that might outlive a no: one recorded here before it, one of the very same instant, or an
    erasure by a name that the keys no longer find.
    """
    if collected.kind is not EventKind.GRANTED or collected.presented is not None:
        return collected
    check_started(version, when.at)
    erased = unfound_until is not None and when.at < unfound_until
    if when.imported and (erased or _refused_by(collected, when, ledger)):
        return replace(collected, unknown=True)
    if collected.historic and not _is_history(collected, version, when):
        return replace(collected, unknown=True)
    check_evidence(collected.evidence, version)
    check_text_existed(collected.evidence, version, when.at)
    return collected


def _is_history(collected: Collected, version: VersionRecord, when: CollectionTime) -> bool:
    """Return whether a grant of an import is proved, and was given while the older system decided."""
    capacity = collected.capacity or {}
    by_parent = capacity.get("given_by") in {GivenBy.PARENT.value, GivenBy.BOTH.value}
    parent_told = not by_parent or {"parent", "parent_checked_how"} <= capacity.keys()
    in_time = collected.until is not None and when.at <= collected.until
    return proves(collected.evidence, version, when.at) and parent_told and in_time


def _refused_by(collected: Collected, when: CollectionTime, ledger: OpenLedger) -> bool:
    """Return whether a no recorded here precedes an imported grant, or any no has the very same instant.

    A date without a time does not say which came first: then the no stands.
    """
    noes = (
        entry for entry in ledger.entries if entry.event.kind in NOES and entry.event.concerns(collected.processing)
    )
    at = when.at
    return any(no.event.collected_at == at or (not no.imported and no.event.collected_at < at) for no in noes)


def _entry_of_grant(  # noqa: PLR0917 - the parts of one entry, each from elsewhere
    collected: Collected,
    ledger: OpenLedger,
    deployment: Deployment,
    caller: Caller,
    version: VersionRecord,
    when: CollectionTime,
) -> LedgerEntry:
    granted = collected.kind is EventKind.GRANTED
    evidence, text_known = _evidence(collected, version)
    period = version.facts.consent_validity
    expires_at = deployment.policy.expiry(when.at, period, collected.territory) if granted else None
    entry = entry_of(
        ledger,
        caller,
        when,
        kind=collected.kind,
        processing=collected.processing,
        stated_at=collected.collected_at,
        evidence=evidence,
        capacity=collected.capacity,
        text_known=text_known,
    )
    event = replace(
        entry.event,
        version=version.facts.number,
        elements=collected.elements,
        expires_at=expires_at,
        territory=collected.territory,
    )
    return replace(entry, event=event, counting=deployment.policy.counting.value if granted else None)


def _evidence(collected: Collected, version: VersionRecord) -> tuple[dict[str, Any], bool]:
    """Return the evidence as stated, or with the hash of the page's text; and whether the register holds the text."""
    evidence = collected.evidence
    if (shown := collected.presented) is not None:
        text, page = text_digest(shown.text).hex(), text_digest(shown.page).hex()
        return {**evidence, "presented_text_sha256": text, "presented_page_sha256": page}, True
    digest = evidence.get("presented_text_sha256")
    return dict(evidence), digest is not None and not collected.unknown and version.holds_text(digest)


# A withdrawal, from one processing or from all at once: from what is said to the entry. Values in, values out.


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What a caller says; `processing` None withdraws from every processing of IV, registered now or later.

    `link`: the consent page's link through which it came, if any. `capacity`: what it says of the person's age.
    `historic`: a row of an import, which keeps its date. `quiet`: as of `Collected`.
    """

    subject: SubjectName
    processing: str | None = None
    received_at: datetime | None = None
    method: str | None = None
    link: UUID | None = None
    capacity: Mapping[str, Any] | None = None
    historic: bool = False
    quiet: bool = False


@dataclass(frozen=True, slots=True)
class RecordedWithdrawal:
    """The entry, the consents that ended, and when it took effect.

    `matched`: whether anything but withdrawals had been recorded of the id before that the caller may see.
    """

    id: UUID
    matched: bool
    withdrawn: tuple[UUID, ...]
    effective_at: datetime


def withdrawal(
    stated: Withdrawal, ledger: OpenLedger, deployment: Deployment, caller: Caller
) -> tuple[LedgerEntry, bool]:
    """Return the entry of a withdrawal, and whether the age that it states may permit more.

    It is recorded even with nothing to withdraw: an older import must not revive a consent.

    Raises:
        NotFoundError: no such processing.
        ConsentNotApplicableError: its purpose does not rest on consent.
        CollectionTimeError: `received_at` lies in the future.

    """
    if stated.processing is not None and not ledger.registered(stated.processing).facts.rests_on_consent:
        raise ConsentNotApplicableError(field="processing")
    if stated.historic:
        when = time_of_history(ledger, caller, stated.received_at, field="received_at", narrows=True)
    else:
        when = time_of_narrowing(ledger, deployment, caller, stated.received_at, field="received_at")
    capacity, widens = capacity_of(ledger, deployment, caller, stated.capacity, when.at, is_grant=False)
    evidence = {"method": stated.method, "link": str(stated.link) if stated.link is not None else None}
    entry = entry_of(
        ledger,
        caller,
        when,
        kind=EventKind.WITHDRAWN,
        processing=stated.processing,
        stated_at=stated.received_at,
        evidence={name: value for name, value in evidence.items() if value is not None} or None,
        capacity=capacity,
    )
    return entry, widens


def is_known(events: Iterable[ConsentEvent], processings: Collection[str] | None) -> bool:
    """Return whether any of a person's events is about one of these processings or about all; None asks for any."""
    return any(processings is None or any(map(event.concerns, processings)) for event in events)


def recorded(
    entry: LedgerEntry, before: OpenLedger, ended: Sequence[ConsentEvent], caller: Caller
) -> RecordedWithdrawal:
    """Return the answer to a withdrawal, from the ledger before it and the consents that it ended."""
    # Earlier withdrawals do not make an id known: a repetition must not hide that the id was wrong.
    others = (event for event in before.events if event.kind is not EventKind.WITHDRAWN)
    matched = is_known(others, caller.processings)
    return RecordedWithdrawal(entry.event.id, matched, tuple(consent.id for consent in ended), entry.event.collected_at)


# Each of these is recorded in the ledger of its subject.

Said = Collected | Withdrawal
Done = ConsentView | RecordedWithdrawal


@dataclass(frozen=True, slots=True)
class Recorded:
    """The entry that was recorded, and what its caller is answered."""

    entry: LedgerEntry
    done: Done


def named_in(decisions: Iterable[Said]) -> dict[SubjectName, set[bytes]]:
    """Return the subjects of some decisions, each with the documents (SHA-256) that are to stand for their grants."""
    named: dict[SubjectName, set[bytes]] = {}
    for decision in decisions:
        documents = named.setdefault(decision.subject, set())
        if isinstance(decision, Collected) and (document := document_of(decision)) is not None:
            documents.add(document)
    return named


async def record(caller: Caller, decision: Said, opened: OpenLedgers) -> Recorded:
    """Record one decision in the ledger of its subject, which was opened with its processing.

    Every check runs before anything is staged: a decision that is refused leaves nothing behind, and leaves the others
    of the transaction alone.

    Raises:
        DomainError: it is refused (`grant`, `withdrawal`; InvalidEvidenceError: its document stands for another
            person).

    """
    session, deployment, ledger = opened.session, opened.deployment, opened.of(decision.subject)
    stated = decision.received_at if isinstance(decision, Withdrawal) else decision.collected_at
    is_old = stated is not None and stated < ledger.now - deployment.max_backdating
    deployment = await opened.as_decided() if is_old else deployment
    if isinstance(decision, Withdrawal):
        entry, widens = withdrawal(decision, ledger, deployment, caller)
        session.narrow()
    else:
        names_parent = {"parent", "parent_ref"} & (decision.capacity or {}).keys()
        own = await own_references(session, deployment, ledger, decision.subject) if names_parent else frozenset[str]()
        unfound_until = await opened.unfound_until() if is_old else None
        entry, widens = grant(decision, ledger, deployment, caller, own, unfound_until)
        document = document_of(decision)
        if document is not None and not opened.claim(document, ledger.ref):
            message = "This document stands for another person's consent already."
            raise InvalidEvidenceError(message, field="evidence.document_sha256")
    if widens:
        session.widen()
    if isinstance(decision, Collected) and decision.presented is not None:
        for text in (decision.presented.text, decision.presented.page):
            await keep_text(session, text, ledger.now)
    grown, ended = await append(session, ledger, entry, quiet=decision.quiet)
    opened.grown(decision.subject, grown)
    if isinstance(decision, Withdrawal):
        done: Done = recorded(entry, ledger, ended, caller)
    else:
        standing = grown.standing(decision.processing)
        done = view_of(ledger.ref, entry.event, standing)
        if done.state is State.INVALID:
            lacking = defects(standing.grant_of(entry.event), standing.processing, standing.at)
            done = replace(done, defects=lacking)
        minor = (decision.capacity or {}).get("age_band") not in {None, AgeBand.ADULT.value}
        if minor or done.state is not State.IN_FORCE or not covers(entry, ended, standing):
            # A refusal, a grant that covers less than the one before it, or an age that others may fall with.
            session.narrow()
        if not decision.quiet:
            data = {"consent": str(entry.event.id), "processing": decision.processing, "state": done.state}
            await put_in_outbox(session, DomainEvent(ledger.ref, entry.event.kind, entry.event.collected_at, data))
    return Recorded(entry, done)
