"""The page at `/`, for people: what this is, how to withdraw, where to write. It does not know who opens it.

Software that asks for anything else than a page finds nothing at this address, as at any other without a route.
"""

from typing import Any, Final

from fastapi import Request, Response

from app.api.http.security import open_to_all
from app.api.http.services import DatabaseDep, services_of
from app.core.consent_text import rights
from app.core.wording import Mark, Passage, Voice, reached
from app.operations.service.contacts import Reachable, whom_to_reach
from app.pages.rendering import ForPeopleAlone, page_router, render
from app.pages.words import LanguageDep
from app.words import Catalogue, Language

HOME: Final = Catalogue("home")


router = page_router(ForPeopleAlone)


@router.api_route("/", methods=["GET", "HEAD"])
@open_to_all
async def home(request: Request, language: LanguageDep, database: DatabaseDep) -> Response:
    """Tell what this is; the answer is the same for everybody."""
    services = services_of(request)
    now, kept = services.instant(), services.reachable
    reachable = kept.at(now)
    if reachable is None:
        async with database.read() as session:
            reachable = await whom_to_reach(session)
        kept.keep(reachable, now)
    t = HOME.in_language(language)
    context: dict[str, Any] = {
        "title": t["title"],
        "reachable": [_lines(each, language, t["officer"]) for each in reachable],
        "rights": rights(Voice(language.value)),
    }
    return render(request, "home.html", language, HOME, context)


def _lines(reachable: Reachable, language: Language, officer: str) -> tuple[Passage, list[Passage]]:
    """The name and address of one who can be reached, then each way to reach them once."""
    who = reachable.who
    named = f"{who.name}, {who.address}" if who.address else who.name
    contacts = [*reachable.contacts, *([who.contact] if who.contact else [])]
    ways = [_passage(each, each, language) for each in dict.fromkeys(contacts)]
    if who.officer is not None:
        ways.append(_passage(officer.format(officer=who.officer), who.officer, language))
    return Passage(named, language.value, (Mark(named),)), ways


def _passage(text: str, words: str, language: Language) -> Passage:
    """A line that contains a text of the register: addresses in that text are links; without any, it is set apart."""
    return Passage(text, language.value, reached(words) or (Mark(words),))
