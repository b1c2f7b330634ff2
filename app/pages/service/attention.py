"""The head of the dashboard: what needs attention, each with the section that tells more, and four numbers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from app.core.article import PARIS
from app.core.consent import State
from app.core.staff import lacking
from app.events.endpoints import EndpointStatus
from app.operations.service.show_dashboard import Dashboard
from app.pages.dates import integer
from app.pages.words import Language
from app.proof.anchors import Anchoring
from app.words import Catalogue

ATTENTION: Final = Catalogue("attention")


class _SectionState(Protocol):
    """A section as far as its standing goes."""

    id: str
    title: str
    failed: bool
    stale: bool


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that needs attention, and the section where it is."""

    section: str
    text: str


@dataclass(frozen=True, slots=True)
class HeadlineFigure:
    """A number, and what it counts."""

    number: str
    label: str


def attention(shown: Dashboard, sections: Sequence[_SectionState], language: Language) -> dict[str, Any]:
    """What the template says first."""
    t = ATTENTION.in_language(language)
    points = [Point(each.id, f"{t['unread']} {each.title}") for each in sections if each.failed]
    points += [Point(each.id, f"{each.title} — {t['stale']}") for each in sections if each.stale]
    points += [*_of_register(shown, t), *_of_deliveries(shown, t, language), *_of_service(shown, t, language)]
    return {"attention": t, "points": points, "figures": _figures(shown, t, language)}


def _of_register(shown: Dashboard, t: Mapping[str, str]) -> Iterator[Point]:
    for identifier, known in (shown.register.content or {}).items():
        if known.waiting is not None:
            yield Point("register", f"{t['to_approve']} {identifier}")


def _of_deliveries(shown: Dashboard, t: Mapping[str, str], language: Language) -> Iterator[Point]:
    deliveries = shown.deliveries.content
    if deliveries is None:
        return
    disabled = sum(each.status is EndpointStatus.DISABLED for each in deliveries.endpoints)
    if disabled:
        yield Point("deliveries", f"{t['disabled']} {integer(disabled, language)}")
    if given_up := _deliveries(shown, "dead"):
        yield Point("deliveries", f"{t['given_up']} {integer(given_up, language)}")


def _of_service(shown: Dashboard, t: Mapping[str, str], language: Language) -> Iterator[Point]:
    if overdue := sum(each.overdue for each in shown.effects.content or ()):
        yield Point("effects", f"{t['overdue']} {integer(overdue, language)}")
    now = shown.jobs.now
    for run in shown.jobs.content or ():
        if run.failures and now is not None and run.last_failed_at is not None and run.day == now.date():
            yield Point("jobs", f"{t['failing']} {run.task}")
    if shown.anchors.content is not None and shown.anchors.content.anchoring is Anchoring.LATE:
        yield Point("anchors", t["not_anchored"])
    if shown.staff.content is not None and lacking(shown.staff.content.notice.texts):
        yield Point("staff", t["staff_notice"])


def _deliveries(shown: Dashboard, status: str) -> int:
    """How many deliveries to the receivers that the caller may know of are in a state."""
    deliveries = shown.deliveries.content
    if deliveries is None:
        return 0
    seen = {each.id for each in deliveries.endpoints}
    return sum(
        number
        for (endpoint, each), number in deliveries.counts.unfinished.items()
        if each == status and endpoint in seen
    )


def _figures(shown: Dashboard, t: Mapping[str, str], language: Language) -> list[HeadlineFigure]:
    in_force = lapsing = decided = None
    if shown.consents.content is not None and shown.consents.now is not None:
        valid = [each for each in shown.consents.content if each.state == State.IN_FORCE]
        local = shown.consents.now.astimezone(PARIS)
        count = local.year * 12 + local.month  # of next month, from 0
        last = f"{count // 12:04}-{count % 12 + 1:02}"
        in_force = sum(each.number for each in valid)
        lapsing = sum(each.number for each in valid if each.month <= last)
    if shown.decisions.content is not None and shown.decisions.now is not None:
        today = f"{shown.decisions.now.astimezone(PARIS).date()}"
        decided = sum(each.number for each in shown.decisions.content if each.day == today)
    waiting = None if shown.deliveries.content is None else _deliveries(shown, "pending")
    found = {"in_force": in_force, "lapsing": lapsing, "decided": decided, "waiting": waiting}
    return [
        HeadlineFigure(t["unknown"] if number is None else integer(number, language), t[name])
        for name, number in found.items()
    ]
