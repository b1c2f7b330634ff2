"""What the dashboard's template is given: each section with its instant, its note, its chart and its table."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from app.audit.decision_log import Recorder
from app.audit.figures import DecisionCount
from app.audit.job_runs import DayOfRuns
from app.auth.callers import Caller
from app.core.article import PARIS
from app.core.consent import State
from app.core.staff import lacking
from app.events.effects import EffectCount
from app.operations.service.show_dashboard import ConsentCount, Dashboard, Deliveries, LogStanding, Read
from app.operations.staff.coverage import Coverage
from app.pages.dates import day, integer, moment, month, percent
from app.pages.rendering import words
from app.pages.service.attention import attention
from app.pages.service.charts import Chart, Row, bar_chart
from app.pages.service.tables import (
    Cell,
    Column,
    Table,
    deliveries_table,
    effects_table,
    jobs_table,
    reasons_table,
    register_table,
    replicas_table,
)
from app.pages.service.words import DASHBOARD, STATES
from app.pages.words import Language
from app.proof.anchors import Anchoring
from app.register.records import Registered
from app.snapshot.tables import ReplicaSeen

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
    t: dict[str, str]

    def number(self, number: int) -> str:
        """A number with its thousands apart."""
        return integer(number, self.language)


Content = TypeVar("Content")


def dashboard_page(shown: Dashboard, caller: Caller, recorder: Recorder | None, language: Language) -> dict[str, Any]:
    """The context of `dashboard.html`."""
    t = words(DASHBOARD, language)
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
    names = words(STATES, wording.language)
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
