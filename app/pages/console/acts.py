"""The acts, by which alone the console changes anything. Each has a scope, fields, and the API route's operation.

Every button sends its form to `/console/acts/{act}`, with what it is about in a hidden field. The caller is looked up
again in the transaction that performs the act, as for the API. Then the browser is sent to a page that says what was
done (303). If the act was refused, the same page is shown with the form as it was, and the reason.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from fastapi import Response
from pydantic import BaseModel

from app.api.http.problems import note_refusal, status_of
from app.api.http.security import open_to_all
from app.auth.callers import Scope
from app.core.errors import CredentialEndedError, DomainError, NotFoundError
from app.db.session import WriteSession
from app.operations.service.page_sessions import still_signed_in
from app.pages.console.fields import FilledForm, FormField, UnfitError, body_of, fitted, shown_fields
from app.pages.console.frame import Desk, DeskDep, problem_in_words, router

_LONGEST_FORM: Final = 200_000
_MOST_ABOUT: Final = 4_000
PREVIEW: Final = "preview"
"""The value of the button that only shows what an act would do."""


@dataclass(frozen=True, slots=True)
class ActRequest:
    """A requested act: what it is about, and the body that the API's route would take."""

    desk: Desk
    about: str
    body: Any


@dataclass(frozen=True, slots=True)
class DoneAct:
    """The result of an act: the page to go to, and the word of the message there (`<word>_done`).

    `show` makes the answer itself, for what is shown this once; it is called when all is committed. `cookie`: one that
    the page needs.
    """

    path: str = ""
    word: str = ""
    show: Callable[[], Response] | None = None
    cookie: tuple[str, str] | None = None


Fields = Sequence[FormField]


@dataclass(frozen=True, slots=True)
class ConsoleAct:
    """One kind of act.

    `fields` may depend on the caller and on what the act is about; `shape` adds to the body what is no field. `back`:
    shows the page again, with the form of a refused act. `unrestricted`: the act is about no processing, or all.
    `counted`: whether a quota counts it; one by a caller who may not send it is always counted. `grave`: it cannot be
    taken back, or ends consents.
    """

    name: str
    needs: Scope
    run: Callable[[WriteSession, ActRequest], Awaitable[DoneAct]]
    back: Callable[[Desk, str, FilledForm], Awaitable[Response]]
    model: type[BaseModel] | None = None
    fields: Fields | Callable[[Desk, str], Awaitable[Fields]] = ()
    shape: Callable[[str, dict[str, Any]], dict[str, Any]] = lambda _, body: body
    preview: Callable[[ActRequest], Awaitable[Mapping[str, Any]]] | None = None
    unrestricted: bool = False
    counted: bool = True
    grave: bool = False

    def is_for(self, desk: Desk) -> bool:
        """Whether the signed-in caller may send its form."""
        return desk.may(self.needs) and not (self.unrestricted and desk.caller.processings is not None)

    async def fields_for(self, desk: Desk, about: str) -> Fields:
        """The fields of its form."""
        return await self.fields(desk, about) if callable(self.fields) else self.fields


ACTS: Final[dict[str, ConsoleAct]] = {}


def add_act(act: ConsoleAct) -> ConsoleAct:
    """Register an act by its name."""
    ACTS[act.name] = act
    return act


def act(
    name: str,
    *,
    needs: Scope,
    back: Callable[[Desk, str, FilledForm], Awaitable[Response]],
    **more: Any,  # noqa: ANN401 - of several types
) -> Callable[[Callable[[WriteSession, ActRequest], Awaitable[DoneAct]]], ConsoleAct]:
    """Register the function below as the `run` of an act; the arguments are the other members of `ConsoleAct`."""
    return lambda run: add_act(ConsoleAct(name, needs, run, back, **more))


@asynccontextmanager
async def writing(desk: Desk, *, looks: bool = False) -> AsyncIterator[WriteSession]:
    """A transaction in which the signed-in caller is unchanged; `looks`: it records only who looked (`Writer.write`).

    Raises:
        CredentialEndedError: the session is over, or its caller was changed since.

    """
    async with desk.services.writer.write(looks=looks) as session:
        await still_signed_in(session, desk.visit.token, desk.who)
        yield session


@router.post("/console/acts/{name}")
@open_to_all
async def post_act(name: str, desk: DeskDep) -> Response:
    """Do what a button says, if the caller who pressed it may."""
    act = ACTS.get(name)
    if act is None:
        raise NotFoundError
    if act.counted or not act.is_for(desk):  # before anything is read
        desk.count()
    sent = await desk.visit.own_form({"about"}, longest=_LONGEST_FORM, others=True)
    about = sent.pop("about")[:_MOST_ABOUT]
    fields = await act.fields_for(desk, about)
    try:
        return await _carried_out(desk, act, about, fields, sent)
    except CredentialEndedError:
        return desk.visit.to_the_form()
    except UnfitError as error:
        failed = FilledForm(name, about, sent, error.errors)
    except DomainError as error:
        at_fault = error.field if error.field in {each.name for each in fields} else ""
        failed = FilledForm(
            name, about, sent, {at_fault or "": problem_in_words(error, desk.language)}, status_of(error)
        )
        if failed.status == 403:  # noqa: PLR2004 - refused, as the API records it
            await note_refusal(desk.visit.request, error.slug)
    return await act.back(desk, about, failed)


async def _carried_out(desk: Desk, act: ConsoleAct, about: str, fields: Fields, sent: Mapping[str, str]) -> Response:
    desk.caller.require(act.needs)
    if act.unrestricted:
        desk.caller.require_processing(None)
    members = act.shape(about, body_of(fields, sent))
    body = fitted(act.model, fields, members, desk.language) if act.model is not None else members
    request = ActRequest(desk, about, body)
    if act.preview is not None and sent.get("press") == PREVIEW:
        preview = await act.preview(request)
        return await act.back(desk, about, FilledForm(act.name, about, sent, status=200, preview=preview))
    async with writing(desk) as session:
        done = await act.run(session, request)
    if done.show is not None:
        return done.show()
    answer = desk.visit.to(done.path, done=done.word) if done.word else desk.visit.to(done.path)
    if done.cookie is not None:
        desk.visit.cookies.put(answer, *done.cookie)
    return answer


async def form_of(
    act: ConsoleAct, desk: Desk, about: str, failed: FilledForm | None, sent: Mapping[str, str] | None = None
) -> dict[str, Any] | None:
    """A form as the template draws it; None if the caller may not send it. `sent`: its first contents."""
    if not act.is_for(desk):
        return None
    mine = failed if failed is not None and (failed.act, failed.about) == (act.name, about) else None
    fields = await act.fields_for(desk, about)
    values, errors = (mine.sent, mine.errors) if mine is not None else (sent or {}, {})
    return {
        "act": act.name,
        "action": desk.address(f"/console/acts/{act.name}"),
        "about": about,
        "title": desk.t[act.name],
        "note": desk.t.get(f"{act.name}_note", ""),
        "fields": shown_fields(
            f"{act.name}-{sha256(about.encode()).hexdigest()[:8]}", fields, values, errors, desk.language
        ),
        "preview": mine.preview if mine is not None else None,
        "previews": act.preview is not None,
        "grave": act.grave,
        "open": mine is not None,
    }
