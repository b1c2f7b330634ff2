"""What a data-protection officer reads of a period: register, approvals, answers, what lapses, decisions, imports.

Numbers, and acts of operators; nothing of any person whose consents these are.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from app.audit.figures import AnswerCount, answers_between
from app.audit.store import count_dropped
from app.audit.trail import ActKind, Entry, TrailQuery, search_trail
from app.auth.store import load_caller
from app.core.processing import Status
from app.core.register.approval import RegisterWarning, warnings_of
from app.db.session import ReadSession
from app.ledger.counting import EventsOfAProcessing, count_events, count_lapsing
from app.ledger.flags import FlagsOfAProcessing, count_flags
from app.ledger.imports import ImportSource, list_sources
from app.operations.register.read_register import read_register
from app.proof.store import count_waiting, latest_checkpoint

SOON: Final = timedelta(days=60)
"""How far ahead of the end of the period consents count as lapsing."""
ACTS: Final = (
    ActKind.CONTROLLER_REGISTERED,
    ActKind.CONTROLLER_VERSIONED,
    ActKind.IMPORT_APPROVED,
    ActKind.OWNER_LIMITS_CHANGED,
    ActKind.PROCESSING_APPROVED,
    ActKind.PROCESSING_INVALIDATED,
    ActKind.PROCESSING_PROPOSED,
    ActKind.PROCESSING_REGISTERED,
    ActKind.PROCESSING_REJECTED,
    ActKind.PROCESSING_RESUMED,
    ActKind.PROCESSING_RETIRED,
    ActKind.PROCESSING_SUSPENDED,
    ActKind.PROCESSING_VERSIONED,
    ActKind.PROPOSAL_APPROVED,
    ActKind.PROPOSAL_REJECTED,
    ActKind.RETENTION_HELD,
    ActKind.RETENTION_RELEASED,
    ActKind.RETENTION_RUN,
    ActKind.RETENTION_SIGNED,
    ActKind.STAFF_NOTICE_PUBLISHED,
    ActKind.SUBJECT_ERASED,
    ActKind.SUBJECT_EXPORTED,
)
"""The acts that are told one by one, but for those on people, which are counted."""
_ON_PEOPLE: Final = frozenset({ActKind.SUBJECT_ERASED.value, ActKind.SUBJECT_EXPORTED.value})
_PAGE: Final = 500


@dataclass(frozen=True, slots=True)
class ReportedProcessing:
    """One processing as it stands when the report is made."""

    id: str
    name: Mapping[str, str]
    purpose: str
    status: Status
    version: int
    waits: bool
    warnings: Sequence[RegisterWarning]


@dataclass(frozen=True, slots=True)
class ReportedAct:
    """One act on the register: when, what, on which thing, by whom (a caller's name, or the way it was done)."""

    at: datetime
    act: str
    thing: str
    by: str


@dataclass(frozen=True, slots=True)
class PeriodReport:
    """The report of a period; `since` is included, `until` is not. `lapsing`: consents that end within `SOON` of it.

    `erasures` and `exports`: how many people were erased, or had their data handed out. `log_size`: entries of the log
    when its last head was signed; None without one. `waiting`: what is not entered yet.
    """

    since: datetime
    until: datetime
    made_at: datetime
    processings: Sequence[ReportedProcessing]
    acts: Sequence[ReportedAct]
    events: Sequence[EventsOfAProcessing]
    flags: Sequence[FlagsOfAProcessing]
    lapsing: Mapping[str, int]
    answers: Sequence[AnswerCount]
    dropped: int
    imports: Sequence[ImportSource]
    erasures: int
    exports: int
    log_size: int | None
    log_signed_at: datetime | None
    waiting: int


async def report_period(session: ReadSession, since: datetime, until: datetime) -> PeriodReport:
    """Read everything that a report of a period tells; it goes through the period's events and logged decisions."""
    now = await session.now()
    acts = await _acts(session, since, until)
    names = {each: await _name(session, each) for each in {act.caller for act in acts if act.caller is not None}}
    head = await latest_checkpoint(session)
    begun = [each for each in await list_sources(session) if since <= each.begun_at < until]
    return PeriodReport(
        since=since,
        until=until,
        made_at=now,
        processings=await _processings(session, now),
        acts=[
            ReportedAct(act.at, act.act, act.thing_id or "", names[act.caller] if act.caller is not None else act.way)
            for act in acts
            if act.act not in _ON_PEOPLE
        ],
        events=await count_events(session, since, until),
        flags=await count_flags(session, since, until),
        lapsing=await count_lapsing(session, until, until + SOON),
        answers=await answers_between(session, since, until),
        dropped=await count_dropped(session, since, until),
        imports=begun,
        erasures=sum(act.act == ActKind.SUBJECT_ERASED for act in acts),
        exports=sum(act.act == ActKind.SUBJECT_EXPORTED for act in acts),
        log_size=head.size if head is not None else None,
        log_signed_at=head.signed_at if head is not None else None,
        waiting=(await count_waiting(session))[0],
    )


async def _processings(session: ReadSession, now: datetime) -> list[ReportedProcessing]:
    found = []
    for known in (await read_register(session)).values():
        facts = known.record.facts
        version = facts.version_at(now) or facts.versions[0]
        told = known.record.version(version.number)
        found.append(
            ReportedProcessing(
                id=known.record.id,
                name=told.name if told is not None else {},
                purpose=known.record.purpose,
                status=facts.status_at(now),
                version=version.number,
                waits=known.waiting is not None,
                warnings=warnings_of(known.record.purpose, version, told.said) if told is not None else (),
            )
        )
    return sorted(found, key=lambda each: each.id)


async def _acts(session: ReadSession, since: datetime, until: datetime) -> list[Entry]:
    """The acts of the period, oldest first."""
    found: list[Entry] = []
    query, before = TrailQuery(acts=ACTS, since=since, until=until), None
    while page := await search_trail(session, query, before=before, limit=_PAGE):
        found += page
        before = page[-1].id
    return found[::-1]


async def _name(session: ReadSession, caller: UUID) -> str:
    known = await load_caller(session, caller)
    return known.name if known is not None else str(caller)
