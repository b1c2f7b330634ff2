"""Filters of templates: French spacing, words of others set apart, addresses as links, dates in their places."""

import re
from typing import Final

from markupsafe import Markup, escape

from app.core.page.passages import FILLED, Mark, Passage

_NO_BREAK: Final = "\N{NO-BREAK SPACE}"
_ASIDE: Final = Markup("<bdi{}>{}</bdi>")
_LINK: Final = Markup('<a href="{}" rel="noopener noreferrer">{}</a>')
_DATE: Final = Markup("<span data-filled>{}</span>")
_LEADS: Final = ("https://", "mailto:", "tel:")
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


def worded(passage: Passage, when: str = "") -> Markup:
    """A passage as HTML; `when` is the date of one that has a place for it.

    Words that others gave are set apart, since they may run from right to left; addresses among them become links.
    """
    text = typeset(passage.text, passage.language)
    if passage.dated:
        before, _, after = text.partition(FILLED)
        return escape(before) + _DATE.format(typeset(when, passage.language)) + escape(after)
    html, place = Markup(), 0
    for mark in passage.marks:
        found = passage.text.find(mark.text, place)  # spacing changes no length
        if found < 0:
            continue
        end = found + len(mark.text)
        html += escape(text[place:found]) + _marked(mark, text[found:end], passage.language)
        place = end
    return html + escape(text[place:])


def _marked(mark: Mark, text: str, language: str) -> Markup:
    if mark.address is not None and mark.address.startswith(_LEADS):
        return _LINK.format(mark.address, text)
    return _ASIDE.format(_lang(mark.language or language, language), text)


def spoken(passage: Passage, language: str) -> Markup:
    """The attributes of the element that holds a passage: its language where it is not the page's, its direction."""
    return _lang(passage.language, language) + (Markup(' dir="auto"') if passage.own else Markup())


def _lang(spoken_in: str, language: str) -> Markup:
    return Markup(' lang="{}"').format(spoken_in) if spoken_in != language else Markup()
