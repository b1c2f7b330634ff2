"""French spacing, which pages and previews share: where a line may not end."""

import re
from typing import Final

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
