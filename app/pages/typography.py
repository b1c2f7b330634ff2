"""Filters of templates: French spacing, and the one address that the text links to."""

from typing import Final

from markupsafe import Markup, escape

_NO_BREAK: Final = "\N{NO-BREAK SPACE}"
_COMPLAINTS: Final = "www.cnil.fr/fr/plaintes"
_LINK: Final = Markup('<a href="https://{0}" rel="noopener noreferrer">{0}</a>').format(_COMPLAINTS)


def typeset(text: str, language: str) -> str:
    """French text whose high punctuation is not parted from its word; any other text as it is."""
    if language != "fr":
        return text
    for sign in "?!:;»":
        text = text.replace(f" {sign}", f"{_NO_BREAK}{sign}")
    return text.replace("« ", f"«{_NO_BREAK}")


def linked(text: str) -> Markup:
    """Escaped text in which the address of the CNIL's complaints page is a link."""
    return escape(text).replace(_COMPLAINTS, _LINK)
