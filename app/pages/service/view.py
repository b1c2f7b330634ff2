"""The operator's dashboard, behind a sign-in with a key of scope `audit:read`, and what its template is given."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import urlsplit

from fastapi import Depends, Response

from app.api.http.security import open_to_all
from app.api.http.services import RecorderDep, StampsLogDep
from app.audit.decision_log import Recorder
from app.audit.figures import DayOfRuns
from app.audit.log_reading import DecisionCount
from app.auth.callers import Caller
from app.core.article import PARIS, SECRECY
from app.core.consent import State
from app.core.processing import Status
from app.core.register import warnings_of
from app.core.staff import lacking
from app.core.wording import PURPOSE_WORDS, STATUS_WORDS
from app.events.effects import EffectCount
from app.events.endpoints import EndpointStatus
from app.operations.service.page_sessions import SignInForm
from app.operations.service.show_dashboard import ConsentCount, Dashboard, Deliveries, LogStanding, Read, show_dashboard
from app.operations.staff import Coverage
from app.pages.dates import day, integer, moment, month, percent, seconds
from app.pages.rendering import page_router, render
from app.pages.service.attention import attention
from app.pages.sign_in import Entrance, Visit, add_sign_in
from app.pages.words import REASONS, Language
from app.proof.anchors import Anchoring
from app.register.records import ProcessingRecord, Registered, VersionRecord
from app.snapshot.tables import ReplicaSeen
from app.words import Catalogue, listed

DASHBOARD: Final = Catalogue("dashboard")
STATES: Final = Catalogue("state")
"""In the order of the table."""

# Bar charts as inline SVG: sizes computed here, drawn by a template, coloured by the style sheet; no script.
# Bars lie, one for each row, so that labels can be read on a phone and on paper. The table beside a chart has the
# same numbers: the picture adds nothing that cannot be read there.

WIDTH: Final = 400
"""Of the drawing, in its own units; it is scaled to the width there is."""
_LABEL: Final = 92
_CHART_NUMBER: Final = 74
_ROW: Final = 22
_BAR: Final = 14


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a bar: where it begins and how wide it is, and the class that says which series it belongs to."""

    x: float
    width: float
    series: str


@dataclass(frozen=True, slots=True)
class Bar:
    """One row: its label, its pieces, and what stands after them, at `end`; `y` is the top, `text_y` the base line."""

    label: str
    parts: tuple[Part, ...]
    said: str
    y: int
    text_y: int
    end: float


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing of that many units in height."""

    bars: tuple[Bar, ...]
    height: int
    width: int = WIDTH
    start: int = _LABEL
    thick: int = _BAR


Row = tuple[str, Sequence[tuple[str, int]], str]
"""A label, the numbers with their series, and what is written at the end of the bar."""


def bar_chart(rows: Sequence[Row]) -> Chart:
    """A chart whose longest bar takes all the room there is; all numbers are 0 or more."""
    most = max((sum(number for _, number in numbers) for _, numbers, _ in rows), default=0) or 1
    room = WIDTH - _LABEL - _CHART_NUMBER
    bars = []
    for place, (label, numbers, said) in enumerate(rows):
        parts, at = [], float(_LABEL)
        for series, number in numbers:
            width = round(number / most * room, 2)
            if number:
                width = max(width, 1.0)  # what is there is seen
                parts.append(Part(round(at, 2), width, series))
                at += width
        top = place * _ROW + (_ROW - _BAR) // 2
        bars.append(Bar(label, tuple(parts), said, top, place * _ROW + 15, round(at + 6, 2)))
    return Chart(tuple(bars), len(rows) * _ROW + 2)


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


def register_table(
    register: Mapping[str, Registered], now: datetime, language: Language, t: Mapping[str, str]
) -> Table:
    """Each processing with the paragraph that its purpose falls under, its state, and what is unusual or waits."""
    columns = [Column(t[name]) for name in ("processing", "purpose", "paragraph", "state", "version")]
    rows = [_processing(record, now, language, t) for record in register.values()]
    return Table(t["register_caption"], columns, rows)


def _processing(known: Registered, now: datetime, language: Language, t: Mapping[str, str]) -> list[Cell]:
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


def reasons_table(
    counts: Sequence[DecisionCount], days: Sequence[str], language: Language, t: Mapping[str, str]
) -> Table:
    """Each reason that was given, with its total and its number on each day."""
    sums: Counter[tuple[str, str]] = Counter()
    answers: dict[str, bool] = {}
    for each in counts:
        answers[each.reason] = each.permitted
        if each.day in days:
            sums[each.reason, each.day] += each.number
    names = REASONS.in_language(language)
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


def effects_table(counts: Sequence[EffectCount], language: Language, t: Mapping[str, str]) -> Table:
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


def deliveries_table(deliveries: Deliveries, language: Language, t: Mapping[str, str]) -> Table:
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


def jobs_table(runs: Sequence[DayOfRuns], language: Language, t: Mapping[str, str]) -> Table:
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


def replicas_table(replicas: Sequence[ReplicaSeen], now: datetime, language: Language, t: Mapping[str, str]) -> Table:
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


_STALE: Final = timedelta(hours=1)
_MONTHS_AHEAD: Final = 12
_DAYS: Final = 14


@dataclass(frozen=True, slots=True)
class SmallTable:
    """A small table of labels and numbers."""

    caption: str
    columns: tuple[str, str]
    rows: list[tuple[str, str]]


@dataclass(slots=True)
class DashboardSection:
    """One section; `failed`: it could not be read, `never`: nothing was counted yet, `empty`: there is nothing."""

    id: str
    title: str
    failed: bool
    never: bool
    as_of: str = ""
    stale: bool = False
    empty: str | None = None
    note: str | None = None
    caption: str = ""
    columns: list[Column] = field(default_factory=list)
    rows: list[list[Cell]] = field(default_factory=list)
    groups: list[SmallTable] = field(default_factory=list)
    chart: Chart | None = None
    chart_title: str = ""
    chart_about: str = ""
    legend: list[tuple[str, str]] = field(default_factory=list)
    second: Table | None = None

    def show(self, table: Table) -> None:
        """Put a table in."""
        self.caption, self.columns, self.rows = table.caption, table.columns, table.rows


@dataclass(frozen=True, slots=True)
class DashboardWording:
    """The language that is spoken, its words, and how it says numbers."""

    language: Language
    t: Mapping[str, str]

    def number(self, number: int) -> str:
        """A number with its thousands apart."""
        return integer(number, self.language)


Content = TypeVar("Content")


def dashboard_page(shown: Dashboard, caller: Caller, recorder: Recorder | None, language: Language) -> dict[str, Any]:
    """The context of `dashboard.html`."""
    t = DASHBOARD.in_language(language)
    wording = DashboardWording(language, t)
    sections = [
        _section("register", shown.register, wording, _register),
        _section("consents", shown.consents, wording, _consents),
        _section("renewals", shown.consents, wording, _renewals),
        _section("decisions", shown.decisions, wording, _decisions_of(recorder)),
        _section("deliveries", shown.deliveries, wording, _deliveries_of(caller)),
        _section("effects", shown.effects, wording, _effects),
        _section("staff", shown.staff, wording, _staff),
        _section("jobs", shown.jobs, wording, _jobs),
        _section("replicas", shown.replicas, wording, _replicas),
        _section("anchors", shown.anchors, wording, _anchors),
    ]
    return {
        "title": t["title"],
        "signed_in_as": caller.name,
        "restricted": None if caller.processings is None else ", ".join(sorted(caller.processings)),
        "sections": sections,
        **attention(shown, sections, language),
    }


def _section(
    name: str,
    read: Read[Content],
    wording: DashboardWording,
    fill: Callable[[DashboardSection, Content, datetime, DashboardWording], None],
) -> DashboardSection:
    section = DashboardSection(name, wording.t[name], failed=read.content is None, never=read.as_of is None)
    if read.content is not None and read.as_of is not None and read.now is not None:
        section.as_of = moment(read.as_of, wording.language)
        section.stale = read.now - read.as_of > _STALE
        fill(section, read.content, read.now, wording)
    return section


def _register(
    section: DashboardSection, content: Mapping[str, Registered], now: datetime, wording: DashboardWording
) -> None:
    section.empty = None if content else wording.t["register_empty"]
    section.show(register_table(content, now, wording.language, wording.t))


def _consents(
    section: DashboardSection, content: Sequence[ConsentCount], _: datetime, wording: DashboardWording
) -> None:
    section.empty = None if content else wording.t["consents_empty"]
    names = STATES.in_language(wording.language)
    for processing in sorted({each.processing for each in content}):
        counts: Counter[str] = Counter()
        for each in content:
            if each.processing == processing:
                counts[each.state] += each.number
        rows = [(names[state], wording.number(counts[state])) for state in names if counts[state]]
        total = (wording.t["total"], wording.number(counts.total()))
        section.groups.append(SmallTable(processing, (wording.t["state"], wording.t["number"]), [*rows, total]))


def _renewals(
    section: DashboardSection, content: Sequence[ConsentCount], now: datetime, wording: DashboardWording
) -> None:
    lapsing: Counter[str] = Counter()
    for each in content:
        if each.state == State.IN_FORCE:
            lapsing[each.month] += each.number
    t, language = wording.t, wording.language
    section.empty = None if lapsing else t["renewals_empty"]
    section.note = t["renewals_note"]
    months = sorted({*_months(now), *lapsing})
    section.chart = bar_chart(
        [
            (month(each, language, short=True), [("one", lapsing[each])], wording.number(lapsing[each]))
            for each in months
        ]
    )
    section.chart_title, section.chart_about = t["renewals_chart"], t["same_numbers"]
    rows = [(month(each, language), wording.number(lapsing[each])) for each in months]
    total = (t["total"], wording.number(lapsing.total()))
    section.groups = [SmallTable(t["renewals_chart"], (t["month"], t["lapsing"]), [*rows, total])]


def _months(now: datetime) -> list[str]:
    """This month in Paris and the twelve that follow, as `2027-03`."""
    local = now.astimezone(PARIS)
    counted = (local.year * 12 + local.month - 1 + ahead for ahead in range(_MONTHS_AHEAD + 1))
    return [f"{count // 12:04}-{count % 12 + 1:02}" for count in counted]


def _decisions_of(
    recorder: Recorder | None,
) -> Callable[[DashboardSection, Sequence[DecisionCount], datetime, DashboardWording], None]:
    def fill(
        section: DashboardSection, content: Sequence[DecisionCount], now: datetime, wording: DashboardWording
    ) -> None:
        t = wording.t
        if recorder is None:
            section.empty = t["decisions_off"]
            return
        section.empty = None if content else t["decisions_empty"]
        section.note = f"{t['decisions_note']} {percent(recorder.exempt_share, wording.language)}."
        today = now.astimezone(PARIS).date()
        days = [f"{today - timedelta(days=back)}" for back in range(_DAYS)]
        answers: Counter[tuple[str, bool]] = Counter()
        for each in content:
            answers[each.day, each.permitted] += each.number
        section.chart = bar_chart([_bar_of_day(each, answers, wording) for each in days])
        section.chart_title, section.chart_about = t["decisions_chart"], t["same_numbers"]
        section.legend = [("one", t["permitted"]), ("two", t["denied"])]
        columns = [Column(t["day"]), Column(t["permitted"], number=True), Column(t["denied"], number=True)]
        section.show(Table(t["decisions_chart"], columns, [_row_of_day(each, answers, wording) for each in days]))
        section.second = reasons_table(content, days, wording.language, t)

    return fill


def _bar_of_day(each: str, answers: Mapping[tuple[str, bool], int], wording: DashboardWording) -> Row:
    permitted, denied = answers[each, True], answers[each, False]
    said = f"{wording.number(permitted)} + {wording.number(denied)}" if permitted or denied else "0"
    return f"{each[8:]}/{each[5:7]}", [("one", permitted), ("two", denied)], said


def _row_of_day(each: str, answers: Mapping[tuple[str, bool], int], wording: DashboardWording) -> list[Cell]:
    noon = datetime.fromisoformat(f"{each}T12:00:00Z")
    numbers = (wording.number(answers[each, permitted]) for permitted in (True, False))
    return [Cell(day(noon, wording.language)), *(Cell(number, css="number") for number in numbers)]


def _deliveries_of(caller: Caller) -> Callable[[DashboardSection, Deliveries, datetime, DashboardWording], None]:
    def fill(section: DashboardSection, content: Deliveries, _: datetime, wording: DashboardWording) -> None:
        section.empty = None if content.endpoints else wording.t["deliveries_empty"]
        if caller.processings is None:
            section.note = f"{wording.t['undispatched']} {wording.number(content.counts.undispatched)}."
        section.show(deliveries_table(content, wording.language, wording.t))

    return fill


def _effects(section: DashboardSection, content: Sequence[EffectCount], _: datetime, wording: DashboardWording) -> None:
    section.empty = None if content else wording.t["effects_empty"]
    section.note = wording.t["effects_note"]
    section.show(effects_table(content, wording.language, wording.t))


def _staff(section: DashboardSection, content: Coverage, _: datetime, wording: DashboardWording) -> None:
    t = wording.t
    section.note = t["staff_to_complete"] if lacking(content.notice.texts) else t["staff_note"]
    rows = [(t[f"staff_{each.value}"], wording.number(number)) for each, number in content.counts.items()]
    rows.append((t["staff_rotated"], wording.number(content.rotated_by_other)))
    caption = f"{t['staff_caption']} {wording.number(content.notice.number)}"
    section.groups = [SmallTable(caption, (t["state"], t["number"]), rows)]


def _jobs(section: DashboardSection, content: Sequence[DayOfRuns], _: datetime, wording: DashboardWording) -> None:
    section.empty = None if content else wording.t["jobs_empty"]
    section.show(jobs_table(content, wording.language, wording.t))


def _replicas(
    section: DashboardSection, content: Sequence[ReplicaSeen], now: datetime, wording: DashboardWording
) -> None:
    section.empty = None if content else wording.t["replicas_empty"]
    section.show(replicas_table(content, now, wording.language, wording.t))


def _anchors(section: DashboardSection, content: LogStanding, _: datetime, wording: DashboardWording) -> None:
    t = wording.t
    if content.anchoring is not Anchoring.ANCHORED:
        section.empty = t[f"anchors_{content.anchoring.value}"]
        return
    section.note = t["anchors_note"]
    rows = [(t["anchors_entries"], wording.number(content.entries))]
    section.groups = [SmallTable(t["anchors"], (t["state"], t["number"]), rows)]


router = page_router()

_visit: Final = add_sign_in(router, Entrance(SignInForm.DASHBOARD, "/dashboard", DASHBOARD))
VisitDep = Annotated[Visit, Depends(_visit)]


@router.get("/dashboard")
@open_to_all
async def show(visit: VisitDep, recorder: RecorderDep, stamps_log: StampsLogDep) -> Response:
    """Show the dashboard to a person whose session is in force; send the others to the sign-in."""
    caller = await visit.signed_in()
    if caller is None:
        return visit.to_the_form()
    shown = await show_dashboard(visit.database, caller, stamps_log=stamps_log)
    page = {**dashboard_page(shown, caller, recorder, visit.language), "proof": visit.proof}
    return render(visit.request, "dashboard.html", visit.language, DASHBOARD, page)
