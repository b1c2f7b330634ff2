"""The context of the consent page: its first lines, sections, where the person stands, and the sealed forms."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from app.core.consent import GivenBy
from app.core.consent_link import ASKING, Act, Situation
from app.core.consent_text import questions
from app.core.errors import (
    DomainError,
    FormAlreadySentError,
    FormOutdatedError,
    QualityNotStatedError,
    TextChangedError,
)
from app.core.wording import FILLED, Audience, Passage, Voice
from app.operations.consents.answer_consent_form import ConsentForm, Press
from app.operations.consents.open_consent_link import OpenedLink, ShownProcessing, shown_digest
from app.operations.service.deployment import Deployment
from app.pages import dates
from app.words import Catalogue, Language, listed

CONSENT: Final = Catalogue("consent")
CONSENT_FOR: Final[Mapping[Audience, Catalogue]] = {
    Audience.ALONE: CONSENT,
    Audience.TEEN: Catalogue("consent", "consent_young"),
    Audience.CHILD: Catalogue("consent", "consent_young", "consent_child"),
    Audience.PARENT: Catalogue("consent", "consent_parent"),
}
"""What the page says around the hashed text (`app.core.consent_text`): frame, buttons, state."""


@dataclass(frozen=True, slots=True)
class Times:
    """Writes dates in a language; `blank` writes a placeholder for each date."""

    language: Language
    blank: bool = False

    def day(self, instant: datetime) -> str:
        """A day in Paris."""
        return FILLED if self.blank else dates.day(instant, self.language)

    def moment(self, instant: datetime) -> str:
        """A day and the minute, in Paris."""
        return FILLED if self.blank else dates.moment(instant, self.language)

    def until(self, end: datetime) -> str:
        """The last day or minute of something that is over at `end`."""
        return FILLED if self.blank else dates.until(end, self.language)


@dataclass(frozen=True, slots=True)
class Seals:
    """Makes the forms of one page. `blank`: without what ties them to a person, for the page that is kept."""

    deployment: Deployment
    opened: OpenedLink
    language: Language
    words: Mapping[str, str]
    blank: bool = False

    def form(self, items: Sequence[ShownProcessing], processing: str, presses: Sequence[Press]) -> dict[str, Any]:
        """The hidden fields of a form about these processings, and its `buttons` (value, label) in reading order.

        `processing` is "" for a form about all of them.
        """
        labels = {**self.words, **(items[0].text(self.language.value).labels if processing else {})}
        buttons = tuple((press.value, labels[press.value]) for press in presses)
        if self.blank:
            return {"form": "", "seal": "", "processing": processing, "shown": "", "buttons": buttons}
        form = ConsentForm(
            token_sha256=self.opened.link.token_sha256,
            nonce=secrets.token_bytes(16),
            processing=processing,
            language=self.language.value,
            shown=shown_digest(items, self.language.value),
        )
        hidden = {"form": form.nonce.hex(), "seal": form.seal(self.deployment), "processing": processing}
        return {**hidden, "shown": form.shown, "buttons": buttons}


_BANNERS: Final = (
    (FormAlreadySentError, "already_sent"),
    (TextChangedError, "text_changed"),
    (FormOutdatedError, "outdated"),
    (QualityNotStatedError, "quality_not_stated"),
)


def consent_page(
    deployment: Deployment, opened: OpenedLink, language: Language, banner: str | None, *, blank: bool = False
) -> dict[str, Any]:
    """The context of `consent.html`. `blank`: without anything of the person, for the page that is kept as evidence."""
    t = CONSENT_FOR[opened.audience].in_language(language)
    times = Times(language, blank=blank)
    seals = Seals(deployment, opened, language, t, blank=blank)
    refusable, holding = opened.offering(Act.REFUSE), opened.offering(Act.WITHDRAW)
    sections = [_section(item, seals, times, t) for item in opened.items]
    frame = opened.items[0].text(language.value).frame
    return {
        **_standing(opened, language, t),
        "banner": banner,
        "sender": listed(
            [*dict.fromkeys(who.name for item in opened.items for who in item.facts.controllers)], language.value
        ),
        "frame": frame,
        "until": times.until(max(item.would_end_at for item in opened.items)),
        "account_of": t["account"],
        "account": "…" if blank else opened.account,
        "asks_until": times.day(opened.link.expires_at) if any(each.asked for each in opened.items) else None,
        "shown_until": (
            t["shown_until"].format(until=times.moment(opened.shown_until)) if opened.shown_until else None
        ),
        "common": opened.items[0].text(language.value).common,
        "sections": sections,
        "refuse_all": seals.form(refusable, "", [Press.REFUSE_ALL]) if refusable[1:] else None,
        "withdraw_all": seals.form(holding, "", [Press.WITHDRAW_ALL]) if holding[1:] else None,
        "receipts": not blank and any(section["receipt"] is not None for section in sections),
        "links": _links(opened, language.value),
        "only": language.other.value not in opened.languages,
        "of": Voice(language.value).frame("of"),
        "return_to": None,
    }


def shown_language(opened: OpenedLink, language: Language) -> Language:
    """The language asked for, if everything on the page is there in it; else French, which is always whole."""
    return language if language.value in opened.languages else Language.FR


def banner_of(refusal: DomainError | None, audience: Audience, language: Language) -> str | None:
    """The banner that says why nothing was recorded; None for a page that was just opened."""
    word = next((word for kind, word in _BANNERS if isinstance(refusal, kind)), None)
    return CONSENT_FOR[audience].in_language(language)[word] if word is not None else None


def _standing(opened: OpenedLink, language: Language, t: Mapping[str, str]) -> dict[str, Any]:
    """The title, and the sentences about the link as a whole."""
    deciding = opened.link.kind.asks
    under_15 = opened.under_15 and deciding
    holding = bool(opened.offering(Act.WITHDRAW))
    awaited = opened.title in ASKING
    decided = any(item.decision is not None for item in opened.items)
    frame = opened.items[0].text(language.value).frame
    return {
        "title": t["under_15_title"] if under_15 or frame is None else frame.title,
        "under_15": t["under_15_withdraws" if holding else "under_15_nothing"] if under_15 else None,
        "withdrawing": holding and not (deciding and opened.asks),
        "over": deciding and not opened.asks,
        "answered": decided and not awaited and not under_15 and (deciding or not holding),
        "undecided": all(item.decision is None for item in opened.items),
    }


def _links(opened: OpenedLink, language: str) -> list[Passage]:
    """The operator's privacy policy, legal notice and accessibility statement, each address once."""
    rows = [row for item in opened.items for row in (*item.text(language).common, *item.text(language).rows)]
    return list(dict.fromkeys(passage for row in rows if row.topic == "more" for passage in row.answers))


def _section(item: ShownProcessing, seals: Seals, times: Times, t: Mapping[str, str]) -> dict[str, Any]:
    """One processing on the page. `open`: an answer is awaited, and the buttons come last; else they come first.

    `read` unfolds the details. `until`: up to when a consent given now would last. `answered`: the person has decided,
    and so there is something to prove. `receipt`: what the person can quote: the id of the answer, its version, and the
    hash of the text that was shown.
    """
    text = item.text(times.language.value)
    presses = [Press(act) for act in text.labels]
    tone, state = state_in_words(item, seals.opened.link.given_by, times, t)
    decision = item.decision
    about = decision.event.version if decision is not None else None
    shown_then = ((decision.evidence if decision is not None else None) or {}).get("presented_text_sha256")
    same = set(text.body) <= set((item.presented or "").split("\n"))
    receipt = None
    if decision is not None and not times.blank:
        receipt = {"id": decision.event.id, "version": about, "text_sha256": shown_then}
    return {
        "id": item.id,
        "text": text,
        "version": item.version,
        "open": item.face.open,
        "accepts": item.face.accepts,
        "read": t["all_details"] if item.face.open else t["read_again" if same else "read_today"],
        "tone": tone,
        "state": state,
        "until": times.until(item.would_end_at),
        "older_version": about if about is not None and about != item.version else None,
        "answered": decision is not None,
        "receipt": receipt,
        "form": seals.form([item], item.id, presses) if presses else None,
    }


def what_is_analysed(item: ShownProcessing, language: str) -> tuple[Passage, ...]:
    """The purpose, the analysed elements and the recipients: what is visible before unfolding, without dates."""
    rows = questions(item.facts, Voice(language), item.face)
    purpose = next(row.answers[:1] for row in rows if row.topic == "what_for")
    return (*purpose, *(each for each in item.text(language).first if not each.dated))


def state_in_words(
    item: ShownProcessing, side: GivenBy | None, times: Times, t: Mapping[str, str]
) -> tuple[str, tuple[str, ...]]:
    """The tone of the note that says where the person stands, and its sentences, the shortest first.

    `side`: of a joint consent, whose page it is: each of the two reads which half is missing.
    """
    stopped = () if item.active and not item.struck else (t["inactive" if not item.active else "struck"],)
    if item.decision is None:
        return "", stopped or (() if item.face.open else (t["undecided"],))
    when = f"{t['on']} {times.moment(item.decision.event.collected_at)}."
    if item.situation is Situation.HOLDS and item.ends_at is not None:
        holds = f"{t['holds_until']} {times.until(item.ends_at)}."
        declined = (t["declined"],) if item.face.declined else ()
        return "good", (holds, *declined, f"{t['holds']} {when}", *stopped)
    if item.situation is Situation.AWAITING:
        theirs = item.decision.event.collection.given_by is (side or GivenBy.SELF)
        missing = t["awaiting_theirs" if theirs else "awaiting_mine"]
        return "warn", (missing, f"{t['awaiting_since']} {when}", *stopped)
    if item.situation in {Situation.INVALID, Situation.INVALIDATED}:
        return "warn", (t[item.situation.value], *stopped)
    if item.situation is Situation.LAPSED:
        return "warn", (t["lapsed"], f"{t['lapsed_was']} {when}", *stopped)
    word = "refused" if item.situation is Situation.REFUSED else "withdrawn"
    return "plain", (f"{t[word]} {when}", t[f"{word}_effect"], *stopped)
