"""A filter of templates: the one address that the text links to."""

from typing import Final

from markupsafe import Markup, escape

_COMPLAINTS: Final = "www.cnil.fr/fr/plaintes"
_LINK: Final = Markup('<a href="https://{0}" rel="noopener noreferrer">{0}</a>').format(_COMPLAINTS)


def linked(text: str) -> Markup:
    """Escaped text in which the address of the CNIL's complaints page is a link."""
    return escape(text).replace(_COMPLAINTS, _LINK)
