"""What every page of the console has: the signed-in caller, the menu of what it may do, and answers.

A caller can open a page with the scopes that the API requires for the same thing. The menu leaves out other pages, and
their addresses answer 403.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Depends, Request, Response

from app.api.http.problems import status_of
from app.api.http.security import charge
from app.api.http.services import Services, ServicesDep
from app.auth.callers import Authenticated, Caller, Counted, Scope
from app.core.errors import DomainError, NotFoundError
from app.operations.service.page_sessions import SignInForm
from app.pages import dates
from app.pages.console.fields import FilledForm
from app.pages.console.tables import Cell, Table
from app.pages.rendering import ElsewhereError, PageRoute, error_page, page_router, render
from app.pages.sign_in import Entrance, Visit, add_sign_in
from app.pages.words import language_of
from app.words import Catalogue, Language

CONSOLE: Final = Catalogue("console")
PROBLEMS: Final = Catalogue("console_problem")
"""Words for why an act was refused, by the slug of the API's problem and, if a field is at fault, by that field."""


class Room(StrEnum):
    """The pages of the menu, in its order."""

    HOME = "home"
    REGISTER = "register"
    PEOPLE = "people"
    RENEWALS = "renewals"
    REPORT = "report"
    STAFF = "staff"
    CALLERS = "callers"

    @property
    def path(self) -> str:
        """The path of the page."""
        return "/console" if self is Room.HOME else f"/console/{self.value}"

    def require(self, caller: Caller) -> None:
        """Refuse a caller who may not use the API's routes for what the page does.

        Raises:
            ScopeMissingError: the caller lacks a scope.
            ProcessingNotAllowedError: the page is about everything, and the caller is limited to some processings.

        """
        for scopes in _NEEDS[self]:
            caller.require(*scopes)
        if self in _WHOLE:
            caller.require_processing(None)


_NEEDS: Final[Mapping[Room, tuple[tuple[Scope, ...], ...]]] = {
    Room.HOME: (),
    Room.REGISTER: ((Scope.REGISTER_READ,),),
    Room.PEOPLE: ((Scope.SUBJECTS_READ,), (Scope.CONSENTS_READ,)),
    Room.RENEWALS: ((Scope.AUDIT_READ,),),
    Room.REPORT: ((Scope.AUDIT_READ,), (Scope.REGISTER_READ,)),
    Room.STAFF: ((Scope.AUDIT_READ, Scope.STAFF_WRITE),),
    Room.CALLERS: ((Scope.KEYS_MANAGE,),),
}
"""The scopes that a page needs: one of each inner tuple is enough."""
_WHOLE: Final = frozenset({Room.PEOPLE, Room.REPORT, Room.STAFF})


@dataclass(frozen=True, slots=True)
class Desk:
    """One request of a signed-in caller."""

    visit: Visit
    who: Authenticated
    services: Services

    @property
    def caller(self) -> Caller:
        """The signed-in caller, with the scopes of the session."""
        return self.who.caller

    @property
    def language(self) -> Language:
        """The language of the page."""
        return self.visit.language

    @property
    def t(self) -> Mapping[str, str]:
        """The words of the console."""
        return CONSOLE.in_language(self.language)

    def count(self) -> None:
        """Count the request for its caller, as the API counts those of administration.

        Raises:
            OverQuotaError: the caller's quota is used up.

        """
        charge(self.visit.request, self.services.limits, Counted.ADMINISTRATION, self.caller)

    def may(self, scope: Scope) -> bool:
        """Whether the session has a scope."""
        return scope in self.caller.scopes

    def address(self, path: str, **query: str) -> str:
        """A path of this service in the language of the page."""
        return self.visit.address(path, **query)

    def number(self, number: int) -> str:
        """A number with its thousands apart."""
        return dates.integer(number, self.language)

    def joined(self, parts: Iterable[str]) -> str:
        """Join several texts on one line."""
        return (" ; " if self.language is Language.FR else "; ").join(parts)

    def named(self, texts: Mapping[str, str]) -> str:
        """The text in the language of the page, else the first text that there is."""
        return texts.get(self.language.value) or next(iter(texts.values()), "")

    def table(self, caption: str, columns: Iterable[str], rows: Sequence[Sequence[Cell]]) -> Table:
        """A table without numbers; `caption` and `columns` name words of the console."""
        return Table(self.t[caption], [(self.t[name], False) for name in columns], rows)

    def page(
        self, template: str, room: Room, context: Mapping[str, Any], failed: FilledForm | None = None, status: int = 200
    ) -> Response:
        """A page with the menu; `title` must be in `context`. `failed`: a form that is shown again, and why.

        Raises:
            ScopeMissingError, ProcessingNotAllowedError: the caller may not open this page, however they reached it.

        """
        room.require(self.caller)
        shared = {
            "room": room.value,
            "menu": [(each.value, self.address(each.path), self.t[each.value]) for each in rooms_of(self.caller)],
            "to": self.address,
            "signed_in_as": self.caller.name,
            "restricted": None if self.caller.processings is None else ", ".join(sorted(self.caller.processings)),
            "proof": self.visit.proof,
            "done": self.t.get(f"{self.visit.request.query_params.get('done', '')}_done"),  # what the act before did
        }
        status = failed.status if failed is not None else status
        full_context = {**shared, "problem": failed.problem if failed is not None else "", **context}
        return render(self.visit.request, template, self.language, CONSOLE, full_context, status)


def problem_in_words(error: DomainError, language: Language) -> str:
    """The words for a refusal; the API's own detail if there are none."""
    words, at_fault = PROBLEMS.in_language(language), f"{error.slug}:{error.field}"
    other = f"{error.slug}:fact" if error.field is not None else error.slug
    return words.get(at_fault) or words.get(other) or words.get(error.slug) or error.detail


def id_of(text: str) -> UUID:
    """The id that a form is about.

    Raises:
        NotFoundError: the text is no id.

    """
    try:
        return UUID(text)
    except ValueError:
        raise NotFoundError from None


def rooms_of(caller: Caller) -> list[Room]:
    """The pages that a caller may open."""
    rooms = []
    for room in Room:
        with suppress(DomainError):
            room.require(caller)
            rooms.append(room)
    return rooms


class ConsoleRoute(PageRoute):
    """A route of the console, whose page of a refusal says in words why."""

    def refused(self, request: Request, error: DomainError) -> Response:
        """The page that says why."""
        return error_page(request, status_of(error), detail=problem_in_words(error, language_of(request)))


router = page_router(ConsoleRoute)
_ENTRANCE: Final = Entrance(SignInForm.CONSOLE, Room.HOME.path, CONSOLE, accounts=True)
_visit: Final = add_sign_in(router, _ENTRANCE)


VisitDep = Annotated[Visit, Depends(_visit)]


async def desk(visit: VisitDep, services: ServicesDep) -> Desk:
    """The desk of the signed-in caller.

    Raises:
        ElsewhereError: no caller is signed in; the browser is sent to the sign-in.

    """
    who = await visit.signed_in()
    if who is None:
        raise ElsewhereError(visit.to_the_form())
    return Desk(visit, who, services)


DeskDep = Annotated[Desk, Depends(desk)]


def at(room: Room, *needed: Scope) -> Any:  # noqa: ANN401 - what FastAPI takes
    """A dependency that gives the desk of a caller who may open a page of the menu, and has these scopes."""

    async def admitted(here: DeskDep) -> Desk:
        room.require(here.caller)
        for scope in needed:
            here.caller.require(scope)
        here.count()
        return here

    return Depends(admitted)
