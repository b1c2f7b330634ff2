"""French or English: by `?lang=`, else by Accept-Language (RFC 9110, section 12.5.4), else French. No cookie."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Final

from fastapi import Depends, Request


class Language(StrEnum):
    """A language that pages are written in (BCP 47)."""

    FR = "fr"
    EN = "en"

    @property
    def other(self) -> "Language":
        """The language to switch to."""
        return Language.EN if self is Language.FR else Language.FR


Catalogue = Mapping[str, Mapping[Language, str]]
"""The words of a page by name, each in every language: made with `both`."""

_LONGEST_HEADER: Final = 512


def both(fr: str, en: str) -> Mapping[Language, str]:
    """One text in the two languages; the French with the apostrophe of print."""
    return {Language.FR: fr.replace("'", "’"), Language.EN: en}


def language_of(request: Request) -> Language:
    """The language of a request's page; what is asked for and unknown counts as not asked for."""
    asked = request.query_params.get("lang", "")
    if asked in set(Language):
        return Language(asked)
    return accepted(request.headers.get("accept-language", ""))


def accepted(header: str) -> Language:
    """The language that an Accept-Language header prefers; French when it names neither, or is overlong."""
    best, best_weight = Language.FR, 0.0
    for part in header.split(",") if len(header) <= _LONGEST_HEADER else ():
        name, _, parameter = part.strip().partition(";")
        primary = name.strip().lower().split("-")[0]
        weight = _weight(parameter)
        if primary in set(Language) and weight > best_weight:
            best, best_weight = Language(primary), weight
    return best


def _weight(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if not name:
        return 1.0
    try:
        weight = float(value)
    except ValueError:
        return 0.0
    return weight if name.strip() == "q" and 0 <= weight <= 1 else 0.0


LanguageDep = Annotated[Language, Depends(language_of)]
