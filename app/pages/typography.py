"""Filters of templates: French spacing, and the one address that the text links to."""

import re
from typing import Final

from markupsafe import Markup, escape

_NO_BREAK: Final = "\N{NO-BREAK SPACE}"
_COMPLAINTS: Final = "www.cnil.fr/fr/plaintes"
_LINK: Final = Markup('<a href="https://{0}" rel="noopener noreferrer">{0}</a>').format(_COMPLAINTS)
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


def linked(text: str) -> Markup:
    """Escaped text in which the address of the CNIL's complaints page is a link."""
    return escape(text).replace(_COMPLAINTS, _LINK)
