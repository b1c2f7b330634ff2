"""The dashboard's wide tables: columns and cells, in words."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from urllib.parse import urlsplit

from app.audit.figures import DecisionCount
from app.audit.job_runs import DayOfRuns
from app.core.article import SECRECY
from app.core.page.text import listed
from app.core.processing import Status
from app.core.register.approval import warnings_of
from app.core.wording import PURPOSE_WORDS, STATUS_WORDS
from app.events.effects import EffectCount
from app.events.endpoints import EndpointStatus
from app.operations.service.show_dashboard import Deliveries
from app.pages.dates import day, integer, moment, seconds
from app.pages.rendering import words
from app.pages.service.words import REASONS
from app.pages.words import Language
from app.register.records import ProcessingRecord, Registered, VersionRecord
from app.snapshot.tables import ReplicaSeen


@dataclass(frozen=True, slots=True)
class Column:
    """A column's heading; numbers stand to the right."""

    label: str
    number: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in a cell, a second line, and a class of the style sheet."""

    text: str
    more: str = ""
    css: str = ""


@dataclass(frozen=True, slots=True)
class Table:
    """A table; the first cell of each row is its heading."""

    caption: str
    columns: list[Column]
    rows: list[list[Cell]]


_NUMBER: Final = "number"


def register_table(register: Mapping[str, Registered], now: datetime, language: Language, t: dict[str, str]) -> Table:
    """Each processing with the paragraph that its purpose falls under, its state, and what is unusual or waits."""
    columns = [Column(t[name]) for name in ("processing", "purpose", "paragraph", "state", "version")]
    rows = [_processing(record, now, language, t) for record in register.values()]
    return Table(t["register_caption"], columns, rows)


def _processing(known: Registered, now: datetime, language: Language, t: dict[str, str]) -> list[Cell]:
    record, facts = known.record, known.record.facts
    current = facts.version_at(now) or facts.versions[0]
    told = record.version(current.number)
    name = (told.name.get(language.value) or next(iter(told.name.values()), "")) if told is not None else ""
    if facts.is_exempt:
        paragraph = Cell("III", t["exempt"])
    elif facts.rests_on_consent:
        paragraph = Cell("IV", t["on_consent"])
    else:
        paragraph = Cell(SECRECY[current.provider_kind].removeprefix("L32-3 "), t["forbidden"], "bad-text")
    status = facts.status_at(now)
    coming = next((each for each in facts.versions if not each.in_force_at(now)), None)
    warned = warnings_of(record.purpose, current, told.said) if told is not None else ()
    said = [t[f"warning_{warning.value}"] for warning in warned]
    if told is not None and record.struck(told, now):
        said.append(t["struck"])
    to_come = ""
    if known.waiting is not None:
        to_come = f"{t['version_to_approve']} {known.waiting.version.facts.number}"
    elif coming is not None and coming.effective_from is not None:
        to_come = f"{t['version_to_come']} {coming.number}, {day(coming.effective_from, language)}"
    return [
        Cell(record.id, name),
        Cell(PURPOSE_WORDS[record.purpose][language], _controllers(record, told, language)),
        paragraph,
        Cell(
            STATUS_WORDS[status][language],
            "; ".join(said),
            "" if status is Status.ACTIVE and not said else "warn-text",
        ),
        Cell(str(current.number), to_come),
    ]


def _controllers(record: ProcessingRecord, version: VersionRecord | None, language: Language) -> str:
    return listed(record.names_of(version), language.value) if version is not None else record.controller


def reasons_table(counts: Sequence[DecisionCount], days: Sequence[str], language: Language, t: dict[str, str]) -> Table:
    """Each reason that was given, with its total and its number on each day."""
    sums: Counter[tuple[str, str]] = Counter()
    answers: dict[str, bool] = {}
    for each in counts:
        answers[each.reason] = each.permitted
        if each.day in days:
            sums[each.reason, each.day] += each.number
    names = words(REASONS, language)
    columns = [
        *(Column(t["reason"]), Column(t["total"], number=True)),
        *(Column(f"{each[8:]}/{each[5:7]}", number=True) for each in days),
    ]
    rows = [
        [
            Cell(names.get(reason, reason), t["permitted"] if answers[reason] else t["denied"]),
            Cell(integer(sum(sums[reason, each] for each in days), language), css=_NUMBER),
            *(Cell(integer(sums[reason, each], language), css=_NUMBER) for each in days),
        ]
        for reason in sorted(answers, key=lambda each: (not answers[each], each))
    ]
    return Table(t["reasons_caption"], columns, rows)


def effects_table(counts: Sequence[EffectCount], language: Language, t: dict[str, str]) -> Table:
    """What receivers did not acknowledge yet, by processing; what is overdue stands out."""
    columns = [
        Column(t["processing"]),
        *(Column(t[name], number=True) for name in ("not_stopped", "not_erased", "overdue")),
    ]
    rows = [
        [
            Cell(each.processing),
            Cell(integer(each.not_stopped, language), css=_NUMBER),
            Cell(integer(each.not_erased, language), css=_NUMBER),
            Cell(integer(each.overdue, language), css=f"{_NUMBER} bad-text" if each.overdue else _NUMBER),
        ]
        for each in counts
    ]
    return Table(t["effects_caption"], columns, rows)


def deliveries_table(deliveries: Deliveries, language: Language, t: dict[str, str]) -> Table:
    """Each receiver by id and host, with what waits, was given up or became too old, and how its attempts ended."""
    numbers = ("pending", "dead", "lost", "delivered", "attempts_failed")
    columns = [Column(t["receiver"]), Column(t["state"]), *(Column(t[name], number=True) for name in numbers)]
    counts = deliveries.counts
    rows = []
    for endpoint in deliveries.endpoints:
        attempts = {outcome: number for (of, outcome), number in counts.attempts.items() if of == endpoint.id}
        dead = counts.unfinished.get((endpoint.id, "dead"), 0)
        lost = sum(number for (of, _), number in counts.lost.items() if of == endpoint.id)
        disabled = endpoint.status is EndpointStatus.DISABLED
        reason = t.get(endpoint.status_reason or "", endpoint.status_reason or "") if disabled else ""
        rows.append(
            [
                Cell(urlsplit(endpoint.url).hostname or "", str(endpoint.id)),
                Cell(t[endpoint.status.value], reason, "warn-text" if disabled else ""),
                Cell(integer(counts.unfinished.get((endpoint.id, "pending"), 0), language), css=_NUMBER),
                Cell(integer(dead, language), css=f"{_NUMBER} bad-text" if dead else _NUMBER),
                Cell(integer(lost, language), css=f"{_NUMBER} bad-text" if lost else _NUMBER),
                Cell(integer(attempts.pop("delivered", 0), language), css=_NUMBER),
                Cell(integer(sum(attempts.values()), language), css=_NUMBER),
            ]
        )
    return Table(t["deliveries_caption"], columns, rows)


def jobs_table(runs: Sequence[DayOfRuns], language: Language, t: dict[str, str]) -> Table:
    """Each task with its last run and the last day on which it ran."""
    numbers = ("took", "flagged", "backlog", "runs", "failures")
    columns = [Column(t["task"]), Column(t["last_run"]), *(Column(t[name], number=True) for name in numbers)]
    rows = [
        [
            Cell(run.task),
            Cell(moment(run.last_started_at, language)),
            Cell(seconds(run.last_took, language), css=_NUMBER),
            Cell(integer(run.last_flagged, language), css=_NUMBER),
            Cell(integer(run.backlog, language), css=_NUMBER),
            Cell(integer(run.runs, language), css=_NUMBER),
            Cell(
                integer(run.failures, language),
                run.last_error or "",
                f"{_NUMBER} bad-text" if run.failures else _NUMBER,
            ),
        ]
        for run in runs
    ]
    return Table(t["jobs_caption"], columns, rows)


def replicas_table(replicas: Sequence[ReplicaSeen], now: datetime, language: Language, t: dict[str, str]) -> Table:
    """Each replica with how long ago it was heard; one that was not within its lease may not decide from memory."""
    columns = [
        Column(t["replica"]),
        Column(t["state"]),
        *(Column(t[each], number=True) for each in ("lag", "lease", "beats")),
    ]
    rows = []
    for each in replicas:
        lag = now - each.seen_at
        late = lag > each.lease
        rows.append(
            [
                Cell(each.about),
                Cell(t["late"] if late else t["fresh"], css="warn-text" if late else ""),
                Cell(seconds(lag, language), css=_NUMBER),
                Cell(seconds(each.lease, language), css=_NUMBER),
                Cell(integer(each.beats, language), css=_NUMBER),
            ]
        )
    return Table(t["replicas_caption"], columns, rows)
