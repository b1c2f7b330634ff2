"""How Sceau speaks, in a language and to a reader: decisions, the register's facts, durations, passages of a page.

Words in a passage that came from elsewhere are marked.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from app.core.article import Element, Purpose
from app.core.decision import Reason
from app.core.period import ConsentPeriod, Retention
from app.core.processing import Status
from app.words import Catalogue, Texts, listed

REASON_FOR_USER: Final = Catalogue("reason_user")
"""By reason, and `not_begun` for a processing that is proposed."""

PURPOSE_WORDS: Final = Catalogue("purpose")
ELEMENT_WORDS: Final = Catalogue("element")
STATUS_WORDS: Final = Catalogue("status")


def reason_for_user(reason: Reason, status: Status | None = None) -> Texts:
    """Return the sentence of a reason in each language.

    Args:
        reason: the reason of the decision.
        status: the processing's status at the instant judged, if known: a proposal is neither suspended nor over.

    """
    if reason is Reason.PROCESSING_SUSPENDED and status is Status.PROPOSED:
        return REASON_FOR_USER["not_begun"]
    return REASON_FOR_USER[reason]


# Durations as people say them, in French and English: `P1Y` is "1 an", `P30D` is "30 days".

_YEAR: Final = 12
_UNITS: Final = ("year", "month", "day", "hour", "minute", "second")
_WORDS: Final = Catalogue("duration")


def period_in_words(period: ConsentPeriod, language: str) -> str:
    """Return a consent period in words, in `fr` or `en`."""
    return _in_words((period.months // _YEAR, period.months % _YEAR, period.days), language)


def retention_in_words(retention: Retention, language: str) -> str | None:
    """Return a retention in words, in `fr` or `en`; None when nothing is kept."""
    seconds = retention.seconds
    parts = (
        *(retention.months // _YEAR, retention.months % _YEAR, seconds // 86_400),
        *(seconds // 3_600 % 24, seconds // 60 % 60, seconds % 60),
    )
    return _in_words(parts, language) or None


def _in_words(counts: Sequence[int], language: str) -> str:
    units = zip(counts, _UNITS, strict=False)
    parts = [
        f"{count} {_WORDS[f'{unit}_one' if count == 1 else f'{unit}_many'][language]}" for count, unit in units if count
    ]
    return listed(parts, language)


# A sentence that Sceau wrote may hold a name or an address from the register. Such words are marked, so that the page
# can set them apart (they may run from right to left) and make links of addresses.

_NO_BREAK: Final = "\N{NO-BREAK SPACE}"
_MONTHS: Final = "janvier|février|mars|avril|mai|juin|juillet|août|septembre|octobre|novembre|décembre"
_TOGETHER: Final = re.compile(
    r" (?=[?!:;»])"  # high punctuation
    r"|(?<=«) "
    r"|(?<=\d) (?=\d{3}\b)"  # thousands
    r"|(?<=\d) (?=h \d\d\b)|(?<=\d h) (?=\d\d\b)"  # an hour
    rf"|(?<=\d) (?=(?:{_MONTHS}|ans?|mois|semaines?|jours?|heures?|euros?)\b)|(?<=1er) (?=(?:{_MONTHS})\b)"
)


def typeset(text: str, language: str) -> str:
    """Return French text in which no line breaks within a number, a date or an hour, or before high punctuation.

    Only white space changes, so the hash of a text does not. Text in other languages is returned unchanged.
    """
    return _TOGETHER.sub(_NO_BREAK, text) if language == "fr" else text


_COUNTRIES: Final = Catalogue("country")

COMPLAINTS: Final = "www.cnil.fr/fr/plaintes"
COMPLAINTS_BY_POST: Final = "3 place de Fontenoy, TSA 80715, 75334 Paris Cedex 07"
FILLED: Final = "…"
"""What the hashed text holds where the page shows a date."""

_HTTPS: Final = (
    r"https://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~%!$&()*+,;=:@/-]*)?(?:\?[A-Za-z0-9._~%!$&=+/-]*)?"
)
_MAIL: Final = r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"
_PHONE: Final = r"\+?[0-9](?:[ .-]?[0-9]){7,14}"
_REACHED: Final = re.compile(rf"(?P<https>{_HTTPS})|(?P<mail>{_MAIL})|(?<![\w+])(?P<phone>{_PHONE})(?!\w)")


@dataclass(frozen=True, slots=True)
class Mark:
    """Words in a passage that came from elsewhere, with the address that they link to and their language, if known."""

    text: str
    address: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of the text, and its language.

    `own`: the operator wrote all of it. `marks`: words within it that come from elsewhere, in their order. `dated`: a
    date belongs where `FILLED` stands.
    """

    text: str
    language: str
    marks: tuple[Mark, ...] = ()
    own: bool = False
    dated: bool = False


@dataclass(frozen=True, slots=True)
class Answered:
    """One question that the page answers. `topic` is its word in the part `asking.said`."""

    topic: str
    question: str
    answers: tuple[Passage, ...]


def registered(texts: Texts, language: str) -> Passage:
    """Return a registered text in a language, or in French, which is always there."""
    written_in = language if language in texts else "fr"
    return Passage(texts[written_in], written_in, own=True)


def paragraphs(passage: Passage) -> list[Passage]:
    """Return a registered text as one passage for each line that is not blank."""
    return [Passage(part, passage.language, own=True) for part in passage.text.splitlines() if part.strip()]


def reached(text: str) -> tuple[Mark, ...]:
    """Return the e-mail addresses, telephone numbers and https addresses in a text, as links (RFC 6068, RFC 3966)."""
    return tuple(Mark(match.group(), _address(match)) for match in _REACHED.finditer(text))


def _address(match: re.Match[str]) -> str:
    text = match.group()
    if match.lastgroup == "mail":
        return f"mailto:{text.replace('%', '%25')}"
    if match.lastgroup == "phone":
        return "tel:" + re.sub(r"[ .-]", "", text)
    return text


def country_name(code: str, language: str) -> str:
    """Return the name of a country in `fr` or `en`, or its code if no name is known here."""
    return _COUNTRIES[code][language] if code in _COUNTRIES else code


class Audience(StrEnum):
    """Who reads the page.

    `alone`: an adult, or somebody whose age nobody stated; `teen`: somebody of 15 to 17, who decides alone too;
    `child` and `parent`: the two who decide together under fifteen.
    """

    ALONE = "alone"
    TEEN = "teen"
    CHILD = "child"
    PARENT = "parent"


@dataclass(frozen=True, slots=True)
class Sentences:
    """Sentences by their names, each in every language; `{…}` is filled from the register.

    `said`: questions by their topic, and the sentences that answer them. `frame`: what stands around those answers:
    title, first lines, age, buttons. `changed`: the facts of a version whose change is reported. `purpose` and
    `element`: by the register's words.
    """

    purpose: Catalogue
    element: Catalogue
    said: Catalogue
    frame: Catalogue
    changed: Catalogue

    @classmethod
    def of(cls, *readers: str) -> Self:
        """Return the sentences of parts such as `asking`; a later part overrides an earlier one."""

        def words(name: str) -> Catalogue:
            first, *others = (f"{reader}.{name}" for reader in readers)
            return Catalogue(first, *others)

        return cls(*map(words, ("purpose", "element", "said", "frame", "changed")))


SENTENCES: Final[Mapping[Audience, Sentences]] = {
    Audience.ALONE: Sentences.of("asking"),
    Audience.TEEN: Sentences.of("asking", "asking_teen"),
    Audience.CHILD: Sentences.of("asking", "asking_teen", "asking_child"),
    Audience.PARENT: Sentences.of("asking", "asking_parent"),
}
"""A reader without a sentence of their own gets the one for adults."""


@dataclass(frozen=True, slots=True)
class Voice:
    """Renders Sceau's own sentences in `fr` or `en` for a reader."""

    language: str
    audience: Audience = Audience.ALONE

    def said(self, word: str, **filled: str) -> str:
        """Return a question, or a sentence that answers one."""
        return self._of(self._words.said, word).format(**filled)

    def passage(self, word: str, marks: Sequence[Mark] = (), **filled: str) -> Passage:
        """Return `said(word)` as a passage, in which words from elsewhere are marked."""
        return Passage(self.said(word, **filled), self.language, tuple(marks))

    def frame(self, word: str, **filled: str) -> str:
        """Return a sentence that stands around the answers."""
        return self._of(self._words.frame, word).format(**filled)

    def purpose(self, purpose: Purpose) -> str:
        """Return the purpose in words, such as `à des fins publicitaires`."""
        return self._words.purpose[purpose][self.language]

    def elements(self, elements: frozenset[Element] | Sequence[Element]) -> list[str]:
        """Return the elements in words, in a fixed order; the subject line has other words if the content is absent."""
        words = self._words
        named = [element for element in words.element if element in elements]
        by_element = {element: words.element[element][self.language] for element in named}
        if Element.SUBJECT_LINE in by_element and Element.CONTENT not in by_element:
            by_element[Element.SUBJECT_LINE] = self.said("subject_line_alone")
        return list(by_element.values())

    def changed(self, field: str) -> str | None:
        """Return the name of a fact whose change is reported; None for a fact that only the whole text mentions."""
        texts = self._words.changed.get(field)
        return texts[self.language] if texts is not None else None

    @property
    def _words(self) -> Sentences:
        return SENTENCES[self.audience]

    def _of(self, texts: Mapping[str, Texts], word: str) -> str:
        return texts[word][self.language]
