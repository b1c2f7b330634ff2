"""What the page's text is made of: passages in a language, the words in them that others gave, and where they lead.

A passage of Sceau's own may hold a name or an address from the register. Such words are marked, so that the page can
set them apart (they may run from right to left) and make links of addresses.
"""

import re
from dataclasses import dataclass
from typing import Final

from app.words import Catalogue, Texts

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
    """French text in which no line ends within a number, a date or an hour, or before high punctuation.

    Only white space changes, so that the hash of a text does not. Any other text is left as it is.
    """
    return _TOGETHER.sub(_NO_BREAK, text) if language == "fr" else text


_COUNTRIES: Final = Catalogue("country")

COMPLAINTS: Final = "www.cnil.fr/fr/plaintes"
COMPLAINTS_BY_POST: Final = "3 place de Fontenoy, TSA 80715, 75334 Paris Cedex 07"
FILLED: Final = "…"
"""What stands in the hashed text where the page shows a date."""

_HTTPS: Final = (
    r"https://[A-Za-z0-9.-]+(?::[0-9]{1,5})?(?:/[A-Za-z0-9._~%!$&()*+,;=:@/-]*)?(?:\?[A-Za-z0-9._~%!$&=+/-]*)?"
)
_MAIL: Final = r"[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"
_PHONE: Final = r"\+?[0-9](?:[ .-]?[0-9]){7,14}"
_REACHED: Final = re.compile(rf"(?P<https>{_HTTPS})|(?P<mail>{_MAIL})|(?<![\w+])(?P<phone>{_PHONE})(?!\w)")


@dataclass(frozen=True, slots=True)
class Mark:
    """Catalogue in a passage that somebody else gave; where they lead, and their language, where that is known."""

    text: str
    address: str | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of the text, and the language that it is in.

    `own`: all of it was written by the operator. `marks`: words within it that come from elsewhere, in their order.
    `dated`: a date belongs where `FILLED` stands.
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
    """A registered text in a language, or in French, which is always there."""
    told = language if language in texts else "fr"
    return Passage(texts[told], told, own=True)


def paragraphs(passage: Passage) -> list[Passage]:
    """A registered text as one passage for each line that says something."""
    return [Passage(part, passage.language, own=True) for part in passage.text.splitlines() if part.strip()]


def reached(text: str) -> tuple[Mark, ...]:
    """The e-mail addresses, telephone numbers and https addresses in a text, as links (RFC 6068, RFC 3966)."""
    return tuple(Mark(found.group(), _address(found)) for found in _REACHED.finditer(text))


def _address(found: re.Match[str]) -> str:
    text = found.group()
    if found.lastgroup == "mail":
        return f"mailto:{text.replace('%', '%25')}"
    if found.lastgroup == "phone":
        return "tel:" + re.sub(r"[ .-]", "", text)
    return text


def country_name(code: str, language: str) -> str:
    """The name of a country in `fr` or `en`; its code where no name is known here."""
    return _COUNTRIES[code][language] if code in _COUNTRIES else code
