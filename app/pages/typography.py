"""Filters of templates: French spacing, words of others set apart, addresses as links, dates in their places."""

import re
from typing import Final

from markupsafe import Markup, escape

from app.core.page.passages import FILLED, Mark, Passage
from app.core.page.typesetting import typeset

_ASIDE: Final = Markup("<bdi{}>{}</bdi>")
_LINK: Final = Markup('<a href="{}" rel="noopener noreferrer">{}</a>')
_DATE: Final = Markup("<span data-filled>{}</span>")
_FOREIGN: Final = Markup('<span lang="fr">{}</span>')
_FRENCH: Final = re.compile(r"code des postes et des communications électroniques|code pénal")
_LEADS: Final = ("https://", "mailto:", "tel:")


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


def in_french(text: str, language: str) -> Markup:
    """A text, typeset; in an English one, the French names of codes of law are said to be French."""
    if language == "fr":
        return escape(typeset(text, language))
    html, place = Markup(), 0
    for found in _FRENCH.finditer(text):
        html += escape(text[place : found.start()]) + _FOREIGN.format(found.group())
        place = found.end()
    return html + escape(text[place:])


def spoken(passage: Passage, language: str) -> Markup:
    """The attributes of the element that holds a passage: its language where it is not the page's, its direction."""
    return _lang(passage.language, language) + (Markup(' dir="auto"') if passage.own else Markup())


def _lang(spoken_in: str, language: str) -> Markup:
    return Markup(' lang="{}"').format(spoken_in) if spoken_in != language else Markup()
