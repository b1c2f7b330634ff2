"""The words that every page has: its frame, and what went wrong."""

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


SHARED: Final[Catalogue] = {
    "skip": both("Aller au contenu", "Skip to content"),
    "switch": both("In English", "En français"),
    "switch_label": both("Langue", "Language"),
    "about": both(
        "Cette page ne dépose aucun cookie et ne charge rien d’un autre site.",
        "This page sets no cookie and loads nothing from any other site.",
    ),
    "again": both("Recharger la page", "Load the page again"),
}

_FAILED: Final = both(
    "Une panne nous empêche d’afficher cette page. Réessayez dans quelques instants.",
    "Something failed here, and this page cannot be shown. Please try again in a moment.",
)
_UNKNOWN: Final = both(
    "Une panne nous empêche de savoir si ce que vous avez envoyé a été enregistré. Rechargez la page pour le voir.",
    "Something failed here, and we do not know whether what you sent was recorded. Load the page again to see.",
)

ERRORS: Final[Mapping[int, Catalogue]] = {
    400: {
        "title": both("Demande non valide", "Request not understood"),
        "detail": both(
            "Ce qui a été envoyé n’est pas ce que cette page attend. Rien n’a été enregistré.",
            "What was sent is not what this page expects. Nothing was recorded.",
        ),
    },
    403: {
        "title": both("Accès refusé", "Not allowed"),
        "detail": both(
            "Cette demande n’est pas permise. Rien n’a été enregistré.", "This is not allowed. Nothing was recorded."
        ),
    },
    404: {
        "title": both("Page introuvable", "Page not found"),
        "detail": both("Il n’y a rien à cette adresse.", "There is nothing at this address."),
    },
    405: {
        "title": both("Rien à faire ici de cette façon", "That cannot be done here"),
        "detail": both(
            "Cette adresse ne répond pas à ce type de demande. Ouvrez-la dans un navigateur. Rien n’a été enregistré.",
            "This address does not answer that kind of request. Open it in a browser. Nothing was recorded.",
        ),
    },
    408: {
        "title": both("Envoi trop lent", "What was sent took too long"),
        "detail": both(
            "Ce qui a été envoyé n’est pas arrivé à temps. Rien n’a été enregistré. Réessayez.",
            "What was sent did not arrive in time. Nothing was recorded. Please try again.",
        ),
    },
    413: {
        "title": both("Envoi trop long", "Too much was sent"),
        "detail": both(
            "Ce qui a été envoyé est trop long. Rien n’a été enregistré.",
            "What was sent is too long. Nothing was recorded.",
        ),
    },
    415: {
        "title": both("Envoi d’une forme inconnue", "Sent in an unknown form"),
        "detail": both(
            "Ce qui a été envoyé n’a pas la forme que cette page attend. Rien n’a été enregistré.",
            "What was sent does not have the form that this page expects. Nothing was recorded.",
        ),
    },
    429: {
        "title": both("Trop d’envois", "Too many requests"),
        "detail": both(
            "Trop d’envois en peu de temps. Rien de plus n’a été enregistré. Réessayez plus tard.",
            "Too many requests in a short time. Nothing more was recorded. Please try again later.",
        ),
    },
    500: {"title": both("Une panne de notre côté", "A failure on our side"), "detail": _FAILED},
    503: {"title": both("Service momentanément indisponible", "Unavailable for the moment"), "detail": _FAILED},
}
"""Title and explanation of an error page, by status; another status of 4xx reads as 400."""

FAILED_AFTER_SENDING: Final[Mapping[int, Catalogue]] = {
    status: {**ERRORS[status], "detail": _UNKNOWN} for status in (500, 503)
}
"""The same for what failed after a form was sent: perhaps after its transaction was committed."""
