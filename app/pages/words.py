"""The words that every page has: its frame, and what went wrong."""

from collections.abc import Mapping
from typing import Annotated, Final

from fastapi import Depends, Request

from app.words import Catalogue, Language

_LONGEST_HEADER: Final = 512


def language_of(request: Request) -> Language:
    """The language of a request's page: the one in its query, if it is known; else the one that the browser prefers."""
    wanted = request.query_params.get("lang", "")
    if wanted in set(Language):
        return Language(wanted)
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


async def _language(request: Request) -> Language:
    return language_of(request)


LanguageDep = Annotated[Language, Depends(_language)]


SHARED: Final = Catalogue("page")

REASONS: Final = Catalogue("reason")
"""A few words for each reason of a decision, for tables; `app.core.wording` has the sentence for its user."""

ERRORS: Final[Mapping[int, Catalogue]] = {
    status: Catalogue(f"error_{status}") for status in (400, 403, 404, 405, 408, 413, 415, 429, 500, 503)
}
"""Title and explanation of an error page, by status; another status of 4xx reads as 400."""

FAILED_AFTER_SENDING: Final[Mapping[int, Catalogue]] = {
    status: Catalogue(f"error_{status}", "error_unknown") for status in (500, 503)
}
"""The same for a failure after a form was sent, perhaps after its transaction was committed."""
