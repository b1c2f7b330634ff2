"""The first page of the console: what needs attention, four numbers, two charts, consents by state.

Nothing is counted while a person waits: a job has counted the consents, and decisions are added up from the counts of
the log's segments. Each part is read separately, and says so if it cannot be read.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from fastapi import Response

from app.api.http.security import open_to_all
from app.audit.log_reading import DecisionCount
from app.auth.callers import Scope
from app.core.article import PARIS
from app.core.consent import State
from app.core.register import warnings_of
from app.core.staff import lacking
from app.events.effects import EffectCount
from app.events.endpoints import EndpointStatus
from app.operations.service.show_home import ConsentCount, HomeFigures, Read, show_home
from app.pages.console.frame import Desk, DeskDep, Room, router
from app.pages.console.tables import Cell, Table, bar_chart
from app.pages.dates import moment, month, percent
from app.pages.words import REASONS
from app.proof.anchors import Anchoring
from app.words import Catalogue

ATTENTION: Final = Catalogue("attention")
STATES: Final = Catalogue("state")
"""Words for the states, in the order of the table."""
_STALE: Final = timedelta(hours=1)
_SWEEP: Final = "renewals.sweep"
_MONTHS_AHEAD: Final = 12
_DAYS: Final = 14
_LETTER: Final = 6.9
"""The width of a letter of a chart's labels, in the units of the drawing."""


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that needs attention, and the address at which to deal with it; "" if that is not in the console."""

    text: str
    href: str = ""


@router.get("/console")
@open_to_all
async def show(desk: DeskDep) -> Response:
    """Show what needs attention, and the numbers of those who may read the audit."""
    shown = await show_home(desk.visit.database, desk.caller, stamps_log=desk.services.stamps_log)
    audits = desk.may(Scope.AUDIT_READ)
    points = [*_of_register(shown, desk), *(_of_service(shown, desk) if audits else ())]
    context = {
        "title": desk.t["home_title"],
        "points": points,
        "figures": _figures(shown, desk) if audits else [],
        "audits": audits,
        "parts": [
            _lapses(shown.consents, desk),
            _decisions(shown.decisions, desk),
            _consents(shown.consents, desk),
            _effects(shown.effects, desk),
        ]
        if audits
        else [],
        "own_notice": desk.address("/staff/notice"),
    }
    return desk.page("console/home.html", Room.HOME, context)


def _of_register(shown: HomeFigures, desk: Desk) -> Iterator[Point]:
    t = ATTENTION.in_language(desk.language)
    if not desk.may(Scope.REGISTER_READ):
        return
    if shown.register.content is None:
        yield Point(f"{t['unread']} {desk.t['register']}")
        return
    now = shown.register.now
    for identifier, entry in shown.register.content.items():
        href = desk.address(f"/console/register/{identifier}")
        waiting = entry.waiting
        if waiting is not None:
            mine = waiting.made.by == desk.caller.id or not desk.may(Scope.REGISTER_APPROVE)
            yield Point(f"{t['waits_for_others' if mine else 'to_approve']} {identifier}", href)
        current = entry.record.facts.version_at(now) if now is not None else None
        version = entry.record.version(current.number) if current is not None else None
        if version is not None and (number := len(warnings_of(entry.record.purpose, version.facts, version.texts))):
            yield Point(f"{t['warnings']} {identifier} ({number})", href)
    for proposal in shown.proposals.content or ():
        mine = proposal.by == desk.caller.id or not desk.may(Scope.REGISTER_APPROVE)
        about = f"{desk.t[f'gate_{proposal.kind.value}']} {proposal.target}"
        text = f"{t['waits_for_others' if mine else 'to_approve']} {about}".strip()
        yield Point(text, desk.address(Room.REGISTER.path))


def _of_service(shown: HomeFigures, desk: Desk) -> Iterator[Point]:
    t = ATTENTION.in_language(desk.language)
    yield from _unread(shown, desk, t)
    if desk.services.fence.behind:
        yield Point(t["set_back"])
    if shown.anchors.content is Anchoring.LATE:
        yield Point(t["not_anchored"], desk.address(Room.REPORT.path))
    yield from _of_jobs(shown, desk, t)
    deliveries = shown.deliveries.content
    if deliveries is not None:
        if disabled := sum(each.status is EndpointStatus.DISABLED for each in deliveries.endpoints):
            yield Point(f"{t['disabled']} {desk.number(disabled)}")
        if given_up := _deliveries(shown, "dead"):
            yield Point(f"{t['given_up']} {desk.number(given_up)}")
    if overdue := sum(each.overdue for each in shown.effects.content or ()):
        yield Point(f"{t['overdue']} {desk.number(overdue)}")
    staff = shown.staff.content
    if staff is not None and lacking(staff.notice.texts):
        yield Point(t["staff_notice"], desk.address(Room.STAFF.path))


def _unread(shown: HomeFigures, desk: Desk, t: Mapping[str, str]) -> Iterator[Point]:
    for name in ("consents", "decisions", "deliveries", "effects", "staff", "jobs", "anchors"):
        read: Read[Any] = getattr(shown, name)
        if read.content is None:
            yield Point(f"{t['unread']} {desk.t[f'part_{name}']}")
        elif _is_stale(read):
            yield Point(f"{desk.t[f'part_{name}']} — {t['stale']}")


def _of_jobs(shown: HomeFigures, desk: Desk, t: Mapping[str, str]) -> Iterator[Point]:
    now = shown.jobs.now
    for run in shown.jobs.content or ():
        if run.task == _SWEEP and run.backlog:
            yield Point(f"{t['unreminded']} {desk.number(run.backlog)}", desk.address(Room.RENEWALS.path))
        if run.failures and now is not None and run.last_failed_at is not None and run.day == now.date():
            yield Point(f"{t['failing']} {run.task}")


def _deliveries(shown: HomeFigures, status: str) -> int:
    """How many deliveries to the receivers that the caller may know of are in a state."""
    deliveries = shown.deliveries.content
    if deliveries is None:
        return 0
    return sum(deliveries.counts.unfinished.get((each.id, status), 0) for each in deliveries.endpoints)


def _figures(shown: HomeFigures, desk: Desk) -> list[tuple[str, str]]:
    """Four numbers: what each counts, and how many."""
    t = ATTENTION.in_language(desk.language)
    in_force = lapsing = decided = None
    if shown.consents.content is not None and shown.consents.now is not None:
        valid = [each for each in shown.consents.content if each.state == State.IN_FORCE]
        (last,) = months_about(shown.consents.now, [1])
        in_force = sum(each.number for each in valid)
        lapsing = sum(each.number for each in valid if each.month <= last)
    if shown.decisions.content is not None and shown.decisions.now is not None:
        today = f"{shown.decisions.now.astimezone(PARIS).date()}"
        decided = sum(each.number for each in shown.decisions.content if each.day == today)
    waiting = None if shown.deliveries.content is None else _deliveries(shown, "pending")
    figures = {"in_force": in_force, "lapsing": lapsing, "decided": decided, "waiting": waiting}
    return [(t[name], t["unknown"] if number is None else desk.number(number)) for name, number in figures.items()]


def _is_stale(read: Read[Any]) -> bool:
    return read.now is not None and read.as_of is not None and read.now - read.as_of > _STALE


def part(name: str, read: Read[Any], desk: Desk, **more: object) -> dict[str, Any]:
    """A part of a page that may not have been read or counted yet."""
    return {
        "id": name,
        "title": desk.t[f"part_{name}"],
        "failed": read.content is None,
        "never": read.as_of is None,
        "as_of": moment(read.as_of, desk.language) if read.as_of is not None else "",
        "stale": _is_stale(read),
        "note": "",
        "groups": [],
        "table": None,
        "chart": None,
        "legend": [],
        "empty": "",
        **more,
    }


def _effects(read: Read[Sequence[EffectCount]], desk: Desk) -> dict[str, Any]:
    """What receivers did not acknowledge yet, by processing; what is overdue stands out."""
    t = desk.t
    if not read.content:
        return part("effects", read, desk, empty=t["effects_empty"])
    columns = [(t["processing"], False), *((t[name], True) for name in ("not_stopped", "not_erased", "overdue"))]
    rows = [
        [
            Cell(effect.processing),
            Cell(desk.number(effect.not_stopped)),
            Cell(desk.number(effect.not_erased)),
            Cell(desk.number(effect.overdue), css="bad-text" if effect.overdue else ""),
        ]
        for effect in read.content
    ]
    return part("effects", read, desk, note=t["effects_note"], table=Table(t["effects_caption"], columns, rows))


def _consents(read: Read[Sequence[ConsentCount]], desk: Desk) -> dict[str, Any]:
    content, t, groups = read.content or (), desk.t, []
    names = STATES.in_language(desk.language)
    for processing in sorted({each.processing for each in content}):
        counts: Counter[str] = Counter()
        for count in content:
            if count.processing == processing:
                counts[count.state] += count.number
        rows = [[Cell(names[state]), Cell(desk.number(counts[state]))] for state in names if counts[state]]
        rows.append([Cell(t["total"]), Cell(desk.number(counts.total()))])
        groups.append(Table(processing, [(t["state"], False), (t["number"], True)], rows))
    return part("consents", read, desk, groups=groups, empty="" if content else t["consents_empty"])


def lapses_of(content: Sequence[ConsentCount], now: datetime) -> list[tuple[str, int]]:
    """How many consents in force lapse in each month in Paris (`2027-03`): this one, the next twelve, and others."""
    lapsing: Counter[str] = Counter()
    for count in content:
        if count.state == State.IN_FORCE:
            lapsing[count.month] += count.number
    return [(each, lapsing[each]) for each in sorted({*months_about(now, range(_MONTHS_AHEAD + 1)), *lapsing})]


def lapses_chart(months: Sequence[tuple[str, int]], desk: Desk) -> dict[str, Any]:
    """The chart of how many consents lapse in each month."""
    rows = [(month(each, desk.language, short=True), n, desk.number(n), "one") for each, n in months]
    return bar_chart(desk.t["lapses_chart"], rows)


def _lapses(read: Read[Sequence[ConsentCount]], desk: Desk) -> dict[str, Any]:
    if not read.content or read.now is None:
        return part("lapses", read, desk, empty=desk.t["renewals_empty"])
    months, t = lapses_of(read.content, read.now), desk.t
    rows = [[Cell(month(each, desk.language)), Cell(desk.number(number))] for each, number in months]
    table = Table(t["lapses_chart"], [(t["month"], False), (t["lapsing"], True)], rows)
    return part("lapses", read, desk, groups=[table], chart=lapses_chart(months, desk), note=t["renewals_note"])


def months_about(now: datetime, away: Iterable[int]) -> list[str]:
    """The months in Paris (`2027-03`) that are so many after the present one, or before it."""
    local = now.astimezone(PARIS)
    counted = (local.year * 12 + local.month - 1 + each for each in away)
    return [f"{count // 12:04}-{count % 12 + 1:02}" for count in counted]


def _decisions(read: Read[Sequence[DecisionCount]], desk: Desk) -> dict[str, Any]:
    recorder, t = desk.services.recorder, desk.t
    if recorder is None or not read.content or read.now is None:
        return part("decisions", read, desk, empty=t["decisions_off" if recorder is None else "decisions_empty"])
    today = read.now.astimezone(PARIS).date()
    days = [f"{today - timedelta(days=back)}" for back in range(_DAYS)]
    sums: Counter[tuple[str, str]] = Counter()
    answers: dict[str, bool] = {}
    for count in read.content:
        answers[count.reason] = count.permitted
        sums[count.reason, count.day] += count.number if count.day in days else 0
    names = REASONS.in_language(desk.language)
    order = sorted(answers, key=lambda each: (not answers[each], each))
    totals = {reason: sum(sums[reason, each] for each in days) for reason in order}
    drawn = [
        (names.get(each, each), totals[each], desk.number(totals[each]), "one" if answers[each] else "two")
        for each in order
    ]
    columns = [(t["reason"], False), (t["total"], True), *((f"{each[8:]}/{each[5:7]}", True) for each in days)]
    rows = [
        [
            Cell(names.get(reason, reason), t["permitted"] if answers[reason] else t["denied"]),
            Cell(desk.number(totals[reason])),
            *(Cell(desk.number(sums[reason, each])) for each in days),
        ]
        for reason in order
    ]
    return part(
        "decisions",
        read,
        desk,
        note=f"{t['decisions_note']} {percent(recorder.exempt_share, desk.language)}.",
        chart=bar_chart(t["decisions_chart"], drawn, label=int(max(len(each[0]) for each in drawn) * _LETTER) + 8),
        legend=[("one", t["permitted"]), ("two", t["denied"])],
        table=Table(t["reasons_caption"], columns, rows),
    )
