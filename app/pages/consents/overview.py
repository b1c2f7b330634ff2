"""The page about everything held about a person: where they stand, then the contents of an export in words."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from typing import Any, Final

from app.core.consent import CheckedHow, EventKind
from app.core.consent_link import Act, account_hint
from app.core.consent_text import questions, rights
from app.core.period import Retention
from app.core.wording import Mark, Passage, Voice, registered, retention_in_words
from app.operations.consents.answer_consent_form import Press
from app.operations.consents.open_consent_link import ShownProcessing
from app.pages import dates
from app.pages.consents.view import Seals, Times, state_in_words, what_is_analysed
from app.pages.words import REASONS
from app.words import Catalogue, Language, listed

OVERVIEW: Final = Catalogue("consent", "overview")

STANDING: Final = Catalogue("consent", "overview_state")
"""Words for where a person stands, after an act that may be theirs, a parent's, or one of each."""

AGES: Final = Catalogue("overview_ages")

STATED_BY: Final = Catalogue("overview_stated_by")

CHECKED: Final = Catalogue("overview_checked")

GIVEN_BY: Final = Catalogue("overview_given_by")
"""Words for the capacity in which an answer was given, if it was not the person's alone."""

EVENTS: Final = Catalogue("overview_events")

FLAGS: Final = Catalogue("overview_flags")

ACTS: Final = Catalogue("overview_acts")
"""Words for acts, by the code of the act; an act without words is shown by its code."""


_ANSWERS: Final = {True: "permitted", False: "denied"}
_DAYS_SHOWN: Final = 400
"""The most rows of a table of decisions: no phone would open a page with more. The file has all of them."""


def overview_page(
    export: Mapping[str, Any], seals: Seals, *, operator: str | None, decisions_kept: timedelta, banner: str | None
) -> dict[str, Any]:
    """The context of `overview.html`.

    Args:
        export: what is held about the person, as `export_subject` returns it.
        seals: makes the forms; it has the link, and the language of the page.
        operator: the name by which people know the service; None where the operator has set none.
        decisions_kept: for how long each decision is kept.
        banner: the message at the top of the page that says why nothing was recorded.

    """
    opened, language = seals.opened, seals.language
    t = OVERVIEW.in_language(language)
    say = Sayer(export, language, operator or t["operator"])
    holding = opened.offering(Act.WITHDRAW)
    kept = retention_in_words(Retention(0, int(decisions_kept.total_seconds()), ""), language.value) or ""
    return {
        "title": t["title"],
        "banner": banner,
        "account": opened.account,
        "operator": say.operator,
        "as_of": dates.moment(opened.now, language),
        "until": dates.moment(opened.link.expires_at, language),
        "standings": [_standing(item, seals) for item in opened.items],
        "withdraw_all": seals.form(holding, "", [Press.WITHDRAW_ALL]) if holding[1:] else None,
        "age": say.age(),
        "of": Voice(language.value).frame("of"),
        "events": [say.event(each) for each in reversed(export["events"])],
        "decisions": list(say.decisions()),
        "decisions_part": t["decisions_part"].format(period=kept),
        "looked": [say.act(each) for each in reversed(export["looked_at"])],
        "beside": list(say.beside()),
        "rights": rights(Voice(language.value)),
    }


_NOT_TOLD: Final = frozenset({"changed", "what_for", "refuse", "withdraw", "rights"})
"""Topics of the consent page that answer nothing here, or stand elsewhere on this page."""


def _standing(item: ShownProcessing, seals: Seals) -> dict[str, Any]:
    """Where a person stands on one processing: the note and its tone, and what the page says of the processing.

    `first`: purpose, what is analysed, who else receives it. `rows`: the other information that GDPR art. 15(1)
    requires, by question. `form`: the form with the button that withdraws; `after`: what happens to derived data.
    `decided`: whether there is an answer, of which a receipt can be made.
    """
    language = seals.language.value
    rows = {row.topic: row for row in questions(item.facts, Voice(language), item.face)}
    tone, state = state_in_words(item, None, Times(seals.language), seals.words)
    withdraws = Act.WITHDRAW in item.acts
    return {
        "id": item.id,
        "name": item.text(language).name,
        "tone": tone or "plain",
        "state": state,
        "first": what_is_analysed(item, language),
        "rows": [row for topic, row in rows.items() if topic not in _NOT_TOLD],
        "after": rows["withdraw"].answers[1:] if withdraws else (),
        "form": seals.form([item], item.id, [Press.WITHDRAW]) if withdraws else None,
        "decided": item.decision is not None,
    }


@dataclass(frozen=True, slots=True)
class SayerWords:
    """The catalogues of words that differ between the page for a person and a page about them."""

    page: Catalogue
    stated_by: Catalogue
    acts: Catalogue


OWN_WORDS: Final = SayerWords(OVERVIEW, STATED_BY, ACTS)


class Sayer:
    """Puts the contents of an export into words, for the person's own page or for a page about them."""

    def __init__(
        self, export: Mapping[str, Any], language: Language, operator: str, words: SayerWords = OWN_WORDS
    ) -> None:
        """Take the contents of an export, and the language."""
        self._export = export
        self._language = language
        self.operator = operator
        self._words = words
        self._t = words.page.in_language(language)

    def event(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """The line of the history for an event of the ledger, and the text that was shown.

        `about`: the name of a processing, or the age that was stated.
        """
        shown = (event.get("evidence") or {}).get("presented_text_sha256")
        text = self._export["texts_shown"].get(shown)
        more = [f"{self._t['version']} {event['version']}"] if "version" in event else []
        if event["kind"] == "granted" and "expires_at" in event:
            more.append(f"{self._t['holds_until']} {dates.until(_at(event['expires_at']), self._language)}")
        more += self._who_said(event)
        if event["imported"]:
            more.append(self._t["imported"])
        band = str((event.get("capacity") or {}).get("age_band"))
        of_age = event["kind"] == EventKind.AGE_STATED and band in AGES
        return {
            "said": EVENTS[event["kind"]][self._language],
            "when": self._moment(event["collected_at"]),
            "about": self._passage(AGES[band][self._language]) if of_age else self._name(event.get("processing")),
            "more": more,
            "text": text.split("\n") if text is not None else (),
            "language": (event.get("evidence") or {}).get("language"),
            "lost_text": shown is not None and text is None,
        }

    def age(self) -> str | None:
        """The age that was stated last, when, by whom, and how it was checked; None if no age was stated."""
        stated = [each for each in self._export["events"] if each["kind"] == EventKind.AGE_STATED]
        for event in stated[-1:]:
            band = AGES[event["capacity"]["age_band"]][self._language]
            parts = [f"{band}", *self._who_said(event), f"{self._t['on']} {self._moment(event['collected_at'])}"]
            return f"{self._t['age_now']} {', '.join(parts)}."
        return None

    def _who_said(self, event: Mapping[str, Any]) -> Iterator[str]:
        """Yield who gave an answer and in which capacity; then its age, or who stated one and how it was checked."""
        evidence, capacity = event.get("evidence") or {}, event.get("capacity") or {}
        by = evidence.get("answering_as") or capacity.get("given_by")
        if isinstance(by, str) and by in GIVEN_BY:
            yield GIVEN_BY[by][self._language]
        if "stated_by" in evidence:
            yield self._words.stated_by[evidence["stated_by"]][self._language]
            yield CHECKED[evidence.get("checked_how", CheckedHow.NOT_CHECKED)][self._language]
        elif "age_band" in capacity and event["kind"] != EventKind.AGE_STATED:
            yield f"{self._t['age']} {AGES[capacity['age_band']][self._language]}"

    def decisions(self) -> Iterator[dict[str, Any]]:
        """Yield what was decided about each processing: how often each answer was given, the latest day first."""
        rows = sorted(self._export["decisions_by_day"], key=lambda row: row["processing"])
        for processing, some in groupby(rows, key=lambda row: row["processing"]):
            days = sorted(some, key=lambda row: row["day"], reverse=True)
            numbers = {is_yes: sum(row["number"] for row in days if row["permitted"] is is_yes) for is_yes in _ANSWERS}
            totals = [f"{self._t[_ANSWERS[each]]} {self._times(number)}" for each, number in numbers.items() if number]
            yield {
                "processing": self._name(processing),
                "total": ("\u00a0; " if self._language is Language.FR else "; ").join(totals),
                "days": [self._day(row) for row in days[:_DAYS_SHOWN]],
                "is_cut": len(days) > _DAYS_SHOWN,
            }

    def act(self, act: Mapping[str, Any]) -> tuple[str, str]:
        """When the operator looked or changed something, and what. Names of keys mean nothing to a person."""
        acts = self._words.acts
        return self._moment(act["at"]), acts[act["act"]][self._language] if act["act"] in acts else act["act"]

    def beside(self) -> Iterator[Passage]:
        """Yield a line for each other thing that is kept about the person."""
        export, t = self._export, self._t
        for link in export["consent_links"]:
            by = f"{self.operator[:1].upper()}{self.operator[1:]}"
            yield self._passage(f"{by} {t['link']} {t['on']} {self._moment(link['created_at'])}.", Mark(by))
        for solicited in export["asked"]:
            which, often = self._name(solicited["processing"]), self._times(len(solicited["asked_at"]))
            when = listed([f"{t['on']} {self._moment(at)}" for at in solicited["asked_at"]], self._language.value)
            sentence = f"{t['asked']} ({which.text}) {often}, {when}."
            yield self._passage(sentence, Mark(which.text, language=which.language))
        for flag in export["renewal_flags"]:
            which, why = self._name(flag["processing"]), FLAGS[flag["kind"]][self._language]
            sentence = f"{t['flag']} ({which.text}) {why}, {t['flagged']} {self._moment(flag['flagged_at'])}."
            yield self._passage(sentence, Mark(which.text, language=which.language))
        for name in export["names"]:
            if "basis" in name:
                hint, since = account_hint(name["id"], name["type"]), self._moment(name["since"])
                yield self._passage(f"{t['name']} {hint}, {t['since']} {since}.", Mark(hint))
        if "shared_since" in export:
            yield self._passage(f"{t['mailbox']}, {t['since']} {self._moment(export['shared_since'])}.")

    def _times(self, number: int) -> str:
        return f"{dates.integer(number, self._language)} {self._t['once' if number == 1 else 'times']}"

    def _day(self, row: Mapping[str, Any]) -> dict[str, str]:
        at = datetime.combine(date.fromisoformat(row["day"]), time(12), UTC)  # the same day in Paris
        answer, why = self._t[_ANSWERS[row["permitted"]]], REASONS[row["reason"]][self._language]
        return {
            "day": dates.day(at, self._language),
            "answer": answer,
            "why": why,
            "number": self._times(row["number"]),
        }

    def _passage(self, text: str, *marks: Mark) -> Passage:
        return Passage(text, self._language.value, marks)

    def _name(self, processing: str | None) -> Passage:
        """The name of a processing, in French if no other exists; its id if the register no longer holds it."""
        if processing is None:
            return self._passage(self._t["about_all"])
        names = self._export["processings"].get(processing)
        return registered(names, self._language.value) if names else self._passage(processing)

    def _moment(self, text: str) -> str:
        return dates.moment(_at(text), self._language)


def _at(text: str) -> datetime:
    return datetime.fromisoformat(text)
