"""The record of processing activities (GDPR art. 30), and the report of a period."""

import csv
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from io import StringIO
from typing import Any, Final

from app.audit.log_reading import AnswerCount, answers_between
from app.audit.store import count_dropped
from app.audit.trail import ActKind, TrailQuery, every_act
from app.auth.store import names_of_callers
from app.core.article import PARIS
from app.core.period import Retention
from app.core.processing import Status
from app.core.register import RegisterWarning, warnings_of
from app.core.wording import ELEMENT_WORDS, PURPOSE_WORDS, STATUS_WORDS, period_in_words, retention_in_words
from app.db.session import ReadSession
from app.ledger.imports import ImportSource, list_sources
from app.ledger.store import CountOfKind, count_events
from app.ledger.sweep import count_flags
from app.proof.store import count_waiting, latest_checkpoint
from app.register.gate import read_register
from app.register.records import PURPOSES, ControllerRecord, ControllerVersion, ProcessingRecord, VersionRecord
from app.register.store import load_controllers
from app.words import Catalogue

# The record of processing activities (GDPR art. 30(1)): one row for each processing, in the order of that article.
# Pure: register entries in, a table or JSON-LD out. Behind name and dates: who is responsible (a), purpose (b),
# persons and data (c), recipients (d), transfers (e), time limits (f), security (g).

COLUMNS: Final = Catalogue("record")
"""The headings, in their order. A fact that people are told (`TOLD_FACTS`) has its column under its own name."""
_BASIS: Final = Catalogue("record_basis")
_SAID: Final = Catalogue("record_said")
_PROVIDER_KINDS: Final = Catalogue("provider_kind")
_PARTY_MODES: Final = Catalogue("party_mode")
_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")


@dataclass(frozen=True, slots=True)
class Activity:
    """One processing with the version in force, and its controllers."""

    record: ProcessingRecord
    version: VersionRecord
    status: Status
    controllers: Sequence[ControllerRecord]

    @property
    def _now(self) -> list[ControllerVersion]:
        return [each.versions[-1] for each in self.controllers]

    def row(self, language: str) -> dict[str, str]:
        """Return its cells, by the names of `COLUMNS`; `language`: `fr` or `en`."""
        facts, more, of_all = self.version.facts, self.version.particulars, self.record.facts
        basis = "consent" if of_all.rests_on_consent else "exempt" if of_all.is_exempt else "none"
        recipients = [
            ", ".join(part for part in (recipient.name, recipient.role, recipient.country) if part)
            for recipient in sorted(facts.recipients)
        ]
        cells = {
            "name": _in(self.version.name, language),
            "reference": self.record.id,
            "registered_at": _day(self.record.registered_at),
            "changed_at": _day(self.version.recorded_at),
            "version": str(facts.number),
            "started_on": facts.started_on.isoformat(),
            "status": STATUS_WORDS[self.status][language],
            "controllers": "; ".join(self.record.names_of(self.version)),
            "contacts": "; ".join(filter(None, (_contact(each) for each in self._now))),
            "officers": "; ".join(each.data_protection_officer for each in self._now if each.data_protection_officer)
            or self.version.contact
            or "",
            "service": facts.service,
            "provider_kind": _PROVIDER_KINDS[facts.provider_kind][language],
            "purpose": PURPOSE_WORDS[self.record.purpose][language],
            "notice": _in(self.version.notice, language),
            "legal_basis": _BASIS[basis][language],
            "categories_of_persons": "; ".join(facts.categories_of_persons),
            "elements": "; ".join(ELEMENT_WORDS[each][language] for each in sorted(facts.elements)),
            "automated": _yes_or_no(facts.automated, language),
            "party_mode": _PARTY_MODES[facts.party_mode][language],
            "recipients": "; ".join(recipients),
            "transfers": "; ".join(f"{each.country}: {each.safeguards}" for each in sorted(facts.transfers)),
            "retention": _kept(facts.retention, language),
            "derived_data_erased_within": _kept(facts.derived_data_erased_within, language),
            "storage_location": facts.storage_location or "",
            "security": more.security_measures or "",
            "automated_decisions": facts.automated_decisions or "",
            "dpia": more.dpia_reference or "",
            "consent_validity": period_in_words(facts.consent_validity, language) if of_all.rests_on_consent else "",
            "consequences": _in(more.consequences or {}, language),
            "conditional": _yes_or_no(facts.conditional, language),
            "justification": more.justification or "",
        }
        return {name: " ".join(cells[name].split()) for name in COLUMNS}

    def json_ld(self, language: str) -> dict[str, Any]:
        """Return it as a process, in terms of DPV 2.2."""
        cells = self.row(language)
        members = {
            "@type": "dpv:Process",
            "dct:identifier": cells["reference"],
            "dct:title": cells["name"],
            "dct:description": cells["notice"],
            "dct:created": cells["registered_at"],
            "dct:modified": cells["changed_at"],
            "dct:hasVersion": self.version.facts.number,
            "dpv:hasDataController": [
                {"@type": "dpv:DataController", "dpv:hasName": name} for name in self.record.names_of(self.version)
            ],
            "dpv:hasContact": cells["contacts"],
            "dpv:hasDataProtectionOfficer": cells["officers"],
            "dpv:hasService": cells["service"],
            "dpv:hasPurpose": PURPOSES[self.record.purpose],
            "purpose": cells["purpose"],
            # The register does not know the basis in the GDPR of a processing under III.
            "dpv:hasLegalBasis": "eu-gdpr:A6-1-a" if self.record.facts.rests_on_consent else "",
            "legal_basis": cells["legal_basis"],
            "dpv:hasProcessing": "dpv:Analyse",
            "dpv:hasJurisdiction": "loc:FR",
            "dpv:hasDataSubject": list(self.version.facts.categories_of_persons),
            "dpv:hasPersonalData": sorted(self.version.facts.elements),
            "dpv:hasRecipient": cells["recipients"].split("; ") if cells["recipients"] else [],
            "dpv:hasStorageCondition": self._storage(),
            "dpv:hasTechnicalOrganisationalMeasure": cells["security"],
            "status": self.status.value,
            "transfers": [
                {"country": transfer.country, "safeguards": transfer.safeguards}
                for transfer in sorted(self.version.facts.transfers)
            ],
        }
        return {name: value for name, value in members.items() if value not in ("", [], {})}

    def _storage(self) -> dict[str, str]:
        """Return how long (ISO 8601) and where data is kept, as far as the register knows."""
        retention, location = self.version.facts.retention, self.version.facts.storage_location
        return {
            **({"dpv:hasDuration": str(retention)} if retention is not None else {}),
            **({"dpv:hasLocation": location} if location else {}),
        }


def safe_cell(text: str) -> str:
    """Return a cell; one that a spreadsheet would take for a formula gets an apostrophe (OWASP, CSV injection)."""
    return f"'{text}" if text.startswith(_FORMULAS) else text


def record_csv(activities: Sequence[Activity], language: str) -> str:
    """Return the record as CSV for a spreadsheet: `;` between cells, and a byte-order mark, which marks it as UTF-8."""
    headings = [heading[language] for heading in COLUMNS.values()]
    return as_csv([headings, *(list(each.row(language).values()) for each in activities)])


def as_csv(rows: Iterable[Iterable[str]]) -> str:
    """Return rows as CSV, with a byte-order mark; no spreadsheet takes a cell for a formula."""
    sink = StringIO()
    sink.write("\ufeff")
    csv.writer(sink, delimiter=";", lineterminator="\n").writerows([safe_cell(cell) for cell in row] for row in rows)
    return sink.getvalue()


def _in(texts: Mapping[str, str], language: str) -> str:
    return texts.get(language) or next(iter(texts.values()), "")


def _contact(version: ControllerVersion) -> str:
    return ", ".join(part for part in (version.postal_address, version.country, version.contact) if part)


def _kept(retention: Retention | None, language: str) -> str:
    """Return how long data is kept, in words; empty where the register does not say."""
    if retention is None:
        return ""
    return retention_in_words(retention, language) or _SAID["nothing_kept"][language]


def _yes_or_no(fact: bool | None, language: str) -> str:  # noqa: FBT001 - a fact of the register
    return "" if fact is None else _SAID["yes" if fact else "no"][language]


def _day(at: datetime) -> str:
    return at.date().isoformat()


# What a data-protection officer reads of a period: register, approvals, answers, what lapses, decisions, imports.
# Numbers, and acts of operators; nothing of any person whose consents these are.

SOON: Final = timedelta(days=60)
"""How far ahead of the end of the period consents count as lapsing."""
ACTS: Final = (
    ActKind.CONTROLLER_REGISTERED,
    ActKind.CONTROLLER_VERSIONED,
    ActKind.DEPLOYMENT_RESTORED,
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
    ActKind.RESTORE_ACCEPTED,
    ActKind.RETENTION_HELD,
    ActKind.RETENTION_RELEASED,
    ActKind.RETENTION_RUN,
    ActKind.RETENTION_SIGNED,
    ActKind.STAFF_NOTICE_PUBLISHED,
    ActKind.SUBJECT_ERASED,
    ActKind.SUBJECT_EXPORTED,
)
"""The acts that are listed one by one, except those on people, which are counted."""
_ON_PEOPLE: Final = frozenset({ActKind.SUBJECT_ERASED.value, ActKind.SUBJECT_EXPORTED.value})


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
    """The report of a period; `since` is included, `until` is not.

    `lapsing`: consents that are in force as the report is made, and expire within `SOON` after the period. `erasures`
    and `exports`: how many people were erased, or had their data handed out. `log_size`: entries of the log when its
    last head was signed; None without one. `waiting`: how many rows are not entered in the log yet.
    """

    since: datetime
    until: datetime
    made_at: datetime
    processings: Sequence[ReportedProcessing]
    acts: Sequence[ReportedAct]
    events: Sequence[CountOfKind]
    flags: Sequence[CountOfKind]
    lapsing: Mapping[str, int]
    answers: Sequence[AnswerCount]
    dropped: int
    imports: Sequence[ImportSource]
    erasures: int
    exports: int
    log_size: int | None
    log_signed_at: datetime | None
    waiting: int


async def report_period(
    session: ReadSession, since: datetime, until: datetime, lapsing: Mapping[str, int]
) -> PeriodReport:
    """Read everything else that a report of a period says; it goes through the period's events and logged decisions."""
    now = await session.now()
    acts = await every_act(session, TrailQuery(acts=ACTS, since=since, until=until))
    names = await names_of_callers(session, {act.caller for act in acts if act.caller is not None})
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
        lapsing=lapsing,
        answers=await answers_between(session, since, until),
        dropped=await count_dropped(session, since, until),
        imports=begun,
        erasures=sum(act.act == ActKind.SUBJECT_ERASED and act.subject_ref is not None for act in acts),
        exports=sum(act.act == ActKind.SUBJECT_EXPORTED for act in acts),
        log_size=head.size if head is not None else None,
        log_signed_at=head.signed_at if head is not None else None,
        waiting=(await count_waiting(session))[0],
    )


def month_of(day: date) -> tuple[datetime, datetime]:
    """Return when the month of a day begins and ends, in Paris."""
    begin = day.replace(day=1)
    end = (begin + timedelta(days=31)).replace(day=1)
    return _midnight(begin), _midnight(end)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=PARIS)


def report_json(report: PeriodReport, staff: Mapping[Any, int] | None) -> str:
    """Return a report as JSON; `staff`: how many know the notice of today."""
    return json.dumps({**asdict(report), "staff": staff}, ensure_ascii=False, indent=2, default=_plain)


def _plain(value: Any) -> str:  # noqa: ANN401 - as json hands it over
    return value.isoformat() if isinstance(value, datetime) else str(value)


async def _processings(session: ReadSession, now: datetime) -> list[ReportedProcessing]:
    reported = []
    for entry in (await read_register(session)).values():
        facts = entry.record.facts
        version = facts.version_at(now) or facts.versions[0]
        current = entry.record.version(version.number)
        reported.append(
            ReportedProcessing(
                id=entry.record.id,
                name=current.name if current is not None else {},
                purpose=entry.record.purpose,
                status=facts.status_at(now),
                version=version.number,
                waits=entry.waiting is not None,
                warnings=warnings_of(entry.record.purpose, version, current.texts) if current is not None else (),
            )
        )
    return sorted(reported, key=lambda each: each.id)


# Read the register as the record of processing activities (GDPR art. 30).


async def export_register(session: ReadSession) -> list[Activity]:
    """Return every processing with its version of now, retired ones too, in the order of their ids.

    One that waits for its first approval is left out: nothing is processed yet.
    """
    now = await session.now()
    controllers = await load_controllers(session)
    activities = []
    for entry in (await read_register(session)).values():
        record = entry.record
        in_force = record.facts.version_at(now)
        version = record.version(in_force.number) if in_force is not None else None
        if version is None:
            continue
        named = [controllers[each] for each in version.controllers if each in controllers]
        activities.append(Activity(record, version, record.facts.status_at(now), named))
    return sorted(activities, key=lambda each: each.record.id)
