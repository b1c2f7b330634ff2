"""The page about everything that is held about a person: what an export of it tells, in words."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from itertools import groupby, islice
from typing import Any, Final

from app.core.page.account import account_hint
from app.core.page.passages import listed
from app.operations.consents.subjects.overview_link import OpenedOverview
from app.pages import dates
from app.pages.consents.overview_words import ACTS, EVENTS, FLAGS, OVERVIEW
from app.pages.languages import Language
from app.pages.rendering import words
from app.pages.service.words import REASONS

_ANSWERS: Final = {True: "permitted", False: "denied"}
_DAYS_SHOWN: Final = 400
"""Rows of a table of decisions: more of them would be a page that no phone opens; the file has all."""


@dataclass(frozen=True, slots=True)
class ToldEvent:
    """One line of what a person said, and the text that they were shown."""

    said: str
    when: str
    processing: str
    more: tuple[str, ...]
    text: tuple[str, ...]
    language: str | None
    lost_text: bool


@dataclass(frozen=True, slots=True)
class ToldDay:
    """How often one answer was given on a day."""

    day: str
    answer: str
    why: str
    number: str


@dataclass(frozen=True, slots=True)
class ToldDecisions:
    """What was decided about one processing."""

    processing: str
    total: str
    days: tuple[ToldDay, ...]
    is_cut: bool


@dataclass(frozen=True, slots=True)
class ToldAct:
    """Who looked, or changed something, and when."""

    when: str
    what: str
    who: str


def overview_page(told: Mapping[str, Any], opened: OpenedOverview, language: Language) -> dict[str, Any]:
    """The context of `overview.html`.

    Args:
        told: what the export tells.
        opened: the link.
        language: of the page.

    """
    say = _Sayer(told, language)
    t = words(OVERVIEW, language)
    return {
        "title": t["title"],
        "account": opened.account,
        "as_of": dates.moment(opened.now, language),
        "until": dates.moment(opened.expires_at, language),
        "events": [say.event(each) for each in reversed(told["events"])],
        "decisions": list(say.decisions()),
        "looked": [say.act(each) for each in reversed(told["looked_at"])],
        "beside": list(say.beside()),
    }


class _Sayer:
    """Puts what an export tells into words."""

    def __init__(self, told: Mapping[str, Any], language: Language) -> None:
        self._told = told
        self._language = language
        self._t = words(OVERVIEW, language)

    def event(self, event: Mapping[str, Any]) -> ToldEvent:
        """One line of the ledger."""
        shown = (event.get("evidence") or {}).get("presented_text_sha256")
        text = self._told["texts_shown"].get(shown)
        more = [f"{self._t['version']} {event['version']}"] if "version" in event else []
        if event["kind"] == "granted" and "expires_at" in event:
            more.append(f"{self._t['holds_until']} {dates.until(_at(event['expires_at']), self._language)}")
        if event["imported"]:
            more.append(self._t["imported"])
        return ToldEvent(
            said=EVENTS[event["kind"]][self._language],
            when=self._moment(event["collected_at"]),
            processing=self._name(event.get("processing")),
            more=tuple(more),
            text=tuple(text.split("\n")) if text is not None else (),
            language=(event.get("evidence") or {}).get("language"),
            lost_text=shown is not None and text is None,
        )

    def decisions(self) -> Iterator[ToldDecisions]:
        """What was decided, by processing, the latest day first."""
        rows = sorted(self._told["decisions_by_day"], key=lambda row: row["processing"])
        for processing, some in groupby(rows, key=lambda row: row["processing"]):
            days = sorted(some, key=lambda row: row["day"], reverse=True)
            yield ToldDecisions(
                processing=self._name(processing),
                total="; ".join(self._totals(days)),
                days=tuple(self._day(row) for row in islice(days, _DAYS_SHOWN)),
                is_cut=len(days) > _DAYS_SHOWN,
            )

    def act(self, act: Mapping[str, Any]) -> ToldAct:
        """One act of the audit trail."""
        said = ACTS[act["act"]][self._language] if act["act"] in ACTS else act["act"]
        return ToldAct(self._moment(act["at"]), said, str(act["by"]))

    def beside(self) -> Iterator[str]:
        """What else is kept, a line each."""
        told, t = self._told, self._t
        for each in told["consent_links"]:
            yield f"{t['link']} {t['on']} {self._moment(each['created_at'])} {t['by']} {each['created_by']}."
        for each in told["asked"]:
            when = listed([f"{t['on']} {self._moment(at)}" for at in each["asked_at"]], self._language.value)
            yield f"{t['asked']} ({self._name(each['processing'])}) {self._times(len(each['asked_at']))}, {when}."
        for each in told["renewal_flags"]:
            which, why = self._name(each["processing"]), FLAGS[each["kind"]][self._language]
            yield f"{t['flag']} ({which}) {why}, {t['flagged']} {self._moment(each['flagged_at'])}."
        for each in told["names"]:
            if "basis" in each:
                hint, since = account_hint(each["id"], each["type"]), self._moment(each["since"])
                yield f"{t['name']} {hint}, {t['since']} {since}."
        if "shared_since" in told:
            yield f"{t['mailbox']}, {t['since']} {self._moment(told['shared_since'])}."

    def _totals(self, days: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        for permitted in (True, False):
            number = sum(row["number"] for row in days if row["permitted"] is permitted)
            if number:
                yield f"{self._t[_ANSWERS[permitted]]} {self._times(number)}"

    def _times(self, number: int) -> str:
        return f"{dates.integer(number, self._language)} {self._t['once' if number == 1 else 'times']}"

    def _day(self, row: Mapping[str, Any]) -> ToldDay:
        at = datetime.combine(date.fromisoformat(row["day"]), time(12), UTC)  # the same day in Paris
        answer, why = self._t[_ANSWERS[row["permitted"]]], REASONS[row["reason"]][self._language]
        return ToldDay(dates.day(at, self._language), answer, why, self._times(row["number"]))

    def _name(self, processing: str | None) -> str:
        if processing is None:
            return self._t["about_all"]
        names = self._told["processings"].get(processing, {})
        return str(names.get(self._language.value) or next(iter(names.values()), processing))

    def _moment(self, text: str) -> str:
        return dates.moment(_at(text), self._language)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)
