"""One person: found by id, where they stand, their history in words, and what can be done for them.

No id stands in an address or a log. It is sent in a form, and then kept sealed: in a cookie for the page, and in each
form for the act, so that a form in one window never acts on the person who is shown in another.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import replace
from functools import partial
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Path, Response

from app.api.consents.links import NewConsentLink
from app.api.consents.routes import NewWithdrawal
from app.api.consents.subjects import Mailbox, NewAge, NewName, SubjectOnly
from app.api.http.security import open_to_all
from app.api.http.wire import SubjectBody
from app.auth.callers import Scope
from app.auth.sessions import session_digest
from app.core.consent_link import Act, LinkKind, Situation
from app.core.errors import NotFoundError
from app.db.session import WriteSession
from app.ledger.identifiers import VaultError
from app.operations.consents.close_subject import close_subject, erase_subject
from app.operations.consents.ledgers import open_ledgers
from app.operations.consents.make_links import create_consent_link, create_overview_link
from app.operations.consents.names import link_names, share_mailbox, unlink_names, unshare_mailbox
from app.operations.consents.open_consent_link import ShownProcessing, show_person
from app.operations.consents.recorder import record
from app.operations.consents.statements import state_age
from app.operations.proof.export_subject import export_subject, log_about, look_at_subject
from app.operations.proof.receipts import make_receipt
from app.operations.service.deployment import SubjectName
from app.pages.consents.overview import AGES, CHECKED, Sayer, SayerWords
from app.pages.consents.receipt import receipt_document
from app.pages.consents.view import Times, state_in_words
from app.pages.console.acts import ActRequest, DoneAct, Fields, act, add_act, form_of, writing
from app.pages.console.fields import FilledForm, FormField, Kind, needed
from app.pages.console.frame import Desk, Room, at, router
from app.pages.dates import moment
from app.pages.rendering import saved_as
from app.proof.notes import log_name
from app.register.gate import read_register
from app.words import Catalogue

PeopleDesk = Annotated[Desk, at(Room.PEOPLE)]
_COOKIE: Final = "sceau_person"
_PURPOSE: Final = "person in the console"
_LONGEST: Final = 4_000
_PERSON: Final = "/console/person"
_ABOUT_THEM: Final = SayerWords(
    Catalogue("consent", "overview", "console_history"),
    Catalogue("overview_stated_by", "console_stated_by"),
    Catalogue("overview_acts", "console_acts"),
)
"""The words of a page about a person, not for them."""
STANDING: Final = Catalogue("consent", "console_person")
METHODS: Final = Catalogue("console_method")
AUTHENTICATIONS: Final = Catalogue("console_authentication")
LINK_KINDS: Final = Catalogue("console_link_kind")
STATED_BY: Final = Catalogue("console_who_stated")
BASES: Final = Catalogue("console_basis")


def sealed(desk: Desk, name: SubjectName) -> str:
    """The sealed handle by which the pages of this session pass a person on."""
    content = json.dumps([name.type, name.id, session_digest(desk.visit.token).hex()])
    return urlsafe_b64encode(desk.services.deployment.vault.seal_apart(_PURPOSE, content.encode())).decode()


def opened(desk: Desk, handle: str) -> SubjectName:
    """The name of the person for whom a sealed handle of this session stands.

    Raises:
        NotFoundError: the handle is not one of this session.

    """
    try:
        content = desk.services.deployment.vault.open_apart(_PURPOSE, urlsafe_b64decode(handle.encode()))
        kind, identifier, session = json.loads(content)
    except (VaultError, ValueError, IndexError):
        raise NotFoundError from None
    if session != session_digest(desk.visit.token).hex():
        raise NotFoundError
    return SubjectName(kind, identifier)


@router.get("/console/people")
@open_to_all
async def show_search(desk: PeopleDesk) -> Response:
    """Show the form that finds a person."""
    return await _search(desk, "", None)


async def _search(desk: Desk, about: str, failed: FilledForm | None) -> Response:
    Room.PEOPLE.require(desk.caller)
    form = await form_of(_find, desk, about, failed, {"type": "user"})
    return desk.page("console/people.html", Room.PEOPLE, {"title": desk.t["people"], "form": form}, failed)


@router.get(_PERSON)
@open_to_all
async def show_one(desk: PeopleDesk) -> Response:
    """Show the person whom this session found; to the search where there is none."""
    handle = desk.visit.cookies.read(_COOKIE, longest=_LONGEST)
    try:
        return await _person(desk, handle, None)
    except NotFoundError:
        return desk.visit.to(Room.PEOPLE.path)


async def _person(desk: Desk, about: str, failed: FilledForm | None) -> Response:
    Room.PEOPLE.require(desk.caller)
    handle = about.partition(" ")[0]
    name, deployment, source = opened(desk, handle), desk.services.deployment, desk.services.source
    async with writing(desk, looks=True) as session:
        exported = await look_at_subject(session, deployment, desk.caller, name, service=source)
        items = await show_person(session, deployment, name)
        now = await session.now()
    say = Sayer(exported, desk.language, desk.t["the_operator"], _ABOUT_THEM)
    events = [say.event(each) for each in reversed(exported["events"])]
    acts = (_make_link, _age, _link_name, _unlink_name, _mailbox, _withdraw_all, _close, _erase)
    context = {
        "title": desk.t["person_title"],
        "name": name,
        "as_of": moment(now, desk.language),
        "known": bool(exported["events"]),
        "standings": [await _standing(desk, handle, item, failed) for item in items],
        "age": say.age(),
        "events": events,
        "looked": list(dict.fromkeys((*say.act(each), each["by"]) for each in reversed(exported["looked_at"]))),
        "beside": list(say.beside()),
        "export": desk.address(f"{_PERSON}/export"),
        "forms": [await form_of(each, desk, handle, failed, {"from.type": name.type}) for each in acts],
    }
    answer = desk.page("console/person.html", Room.PEOPLE, context, failed)
    if failed is not None:
        desk.visit.cookies.put(answer, _COOKIE, handle)
    return answer


async def _standing(desk: Desk, handle: str, item: ShownProcessing, failed: FilledForm | None) -> dict[str, Any]:
    words = STANDING.in_language(desk.language)
    tone, state = state_in_words(item, None, Times(desk.language), words)
    holds = item.situation in {Situation.HOLDS, Situation.AWAITING} and Act.WITHDRAW in item.acts
    decision = item.decision.event.id if item.decision is not None else None
    return {
        "id": item.id,
        "name": item.text(desk.language.value).name.text,
        "register": desk.address(f"/console/register/{item.id}") if desk.may(Scope.REGISTER_READ) else "",
        "tone": tone or "plain",
        "state": state,
        "withdraw": await form_of(_withdraw, desk, f"{handle} {item.id}", failed) if holds else None,
        "receipt": desk.address(f"{_PERSON}/receipts/{decision}") if decision is not None else "",
    }


@router.get(f"{_PERSON}/export")
@open_to_all
async def export(desk: PeopleDesk) -> Response:
    """The file of GDPR 15 and 20, as `POST /v1/subjects/exports` answers it."""
    name = opened(desk, desk.visit.cookies.read(_COOKIE, longest=_LONGEST))
    services = desk.services
    logged = await log_about(desk.visit.database, services.deployment, name)
    async with writing(desk, looks=True) as session:
        answer = await export_subject(session, services.deployment, desk.caller, name, logged, service=services.source)
    content = json.dumps(answer, ensure_ascii=False, indent=2)
    return saved(content, "application/ld+json", f"{desk.t['file_of_person']}.jsonld")


@router.get(f"{_PERSON}/receipts/{{id}}")
@open_to_all
async def receipt(identifier: Annotated[UUID, Path(alias="id")], desk: PeopleDesk) -> Response:
    """The receipt of an answer as a document, as `GET /v1/consents/{id}/receipt` answers it."""
    services = desk.services
    async with writing(desk, looks=True) as session:
        jws, json_ld = await make_receipt(
            *(session, services.deployment, desk.caller, identifier),
            service=services.source,
            origin=log_name(services.source),
        )
    document = receipt_document(json_ld, jws, desk.language.value)
    return saved(document, "text/html", f"{desk.t['file_of_receipt']}.html")


def saved(content: str | bytes, media_type: str, name: str) -> Response:
    """A file for the browser to save."""
    return Response(content, media_type=media_type, headers=saved_as(name))


# The acts. Each but the search is about a person by a sealed handle.


@act(
    "find",
    needs=Scope.SUBJECTS_READ,
    back=_search,
    model=SubjectBody,
    fields=(needed("id", most=512, word="person_id"), needed("type", most=128)),
    unrestricted=True,
)
async def _find(_: WriteSession, request: ActRequest) -> DoneAct:
    desk, body = request.desk, request.body
    desk.caller.require(Scope.CONSENTS_READ)
    # An id that no account can have is refused here.
    desk.services.deployment.pseudonyms.locator(body.type, body.id)
    return DoneAct(_PERSON, cookie=(_COOKIE, sealed(desk, body.name())))


def _of_person(_about: str, body: dict[str, Any]) -> dict[str, Any]:
    """Put a placeholder for the person, whose name stays sealed until the act knows that the form is this service's."""
    return {**body, "subject": {"type": "user", "id": "sealed"}}


def _whom(request: ActRequest) -> SubjectName:
    return opened(request.desk, request.about.partition(" ")[0])


def _done(request: ActRequest, word: str) -> DoneAct:
    return DoneAct(_PERSON, word, cookie=(_COOKIE, request.about.partition(" ")[0]))


@act(
    "withdraw",
    needs=Scope.CONSENTS_WRITE,
    back=_person,
    model=NewWithdrawal,
    fields=(FormField("method", Kind.CHOICE, METHODS),),
    shape=_of_person,
    counted=False,
)
async def _withdraw(session: WriteSession, request: ActRequest) -> DoneAct:
    desk, deployment = request.desk, request.desk.services.deployment
    processing = request.about.partition(" ")[2] or None
    desk.caller.require_processing(processing)
    name = _whom(request)
    decision = replace(request.body.said(), subject=name, processing=processing)
    ledgers = await open_ledgers(session, deployment, [name], [processing] if processing is not None else [])
    await record(desk.caller, decision, ledgers)
    return _done(request, "withdraw")


_withdraw_all = add_act(replace(_withdraw, name="withdraw_all", grave=True, unrestricted=True))
_writes = partial(act, needs=Scope.CONSENTS_WRITE, back=_person, unrestricted=True, counted=False)


@_writes("close", model=SubjectOnly, shape=_of_person, grave=True)
async def _close(session: WriteSession, request: ActRequest) -> DoneAct:
    await close_subject(session, request.desk.services.deployment, request.desk.caller, _whom(request))
    return _done(request, "close")


@act(
    "erase",
    needs=Scope.SUBJECTS_ERASE,
    back=_person,
    model=SubjectOnly,
    shape=_of_person,
    unrestricted=True,
    grave=True,
)
async def _erase(session: WriteSession, request: ActRequest) -> DoneAct:
    await erase_subject(session, request.desk.services.deployment, request.desk.caller, _whom(request))
    return _done(request, "erase")


_AGE_FIELDS: Final = (
    needed("age_band", Kind.CHOICE, AGES),
    needed("stated_by", Kind.CHOICE, STATED_BY),
    needed("checked_how", Kind.CHOICE, CHECKED),
    FormField("under_15_until", Kind.DATE),
)


@_writes("state_age", model=NewAge, fields=_AGE_FIELDS, shape=_of_person)
async def _age(session: WriteSession, request: ActRequest) -> DoneAct:
    await state_age(session, request.desk.services.deployment, request.desk.caller, request.body.stated(_whom(request)))
    return _done(request, "state_age")


@_writes("share_mailbox", model=Mailbox, fields=(needed("shared", Kind.BOOLEAN),), shape=_of_person)
async def _mailbox(session: WriteSession, request: ActRequest) -> DoneAct:
    change = share_mailbox if request.body.shared else unshare_mailbox
    await change(session, request.desk.services.deployment, request.desk.caller, _whom(request))
    return _done(request, "share_mailbox")


_NAME_FIELDS: Final = (needed("from.id", most=512), needed("from.type", most=128, word="type"))


def _another_name(about: str, body: dict[str, Any]) -> dict[str, Any]:
    """Make the person the one to whom the typed name is added."""
    return {**body, "to": _of_person(about, {})["subject"]}


@_writes("link_name", model=NewName, fields=(*_NAME_FIELDS, needed("basis", Kind.CHOICE, BASES)), shape=_another_name)
async def _link_name(session: WriteSession, request: ActRequest) -> DoneAct:
    body, caller = request.body, request.desk.caller
    whose, one, other = request.desk.services.deployment, body.one.name(), _whom(request)
    if not body.linked:
        await unlink_names(session, whose, caller, one, other)
        return _done(request, "unlink_name")
    await link_names(session, whose, caller, one, other, body.basis)
    return _done(request, "link_name")


def _no_name(about: str, body: dict[str, Any]) -> dict[str, Any]:
    return {**_another_name(about, body), "linked": False}


_unlink_name = add_act(replace(_link_name, name="unlink_name", fields=_NAME_FIELDS, shape=_no_name))


def _link_body(about: str, body: dict[str, Any]) -> dict[str, Any]:
    members = _of_person(about, body)
    if members.get("kind") == LinkKind.OVERVIEW.value:
        members.pop("processings", None)
    return {**members, "by_person": "request_reference" in members}


async def _link_fields(desk: Desk, _about: str) -> Fields:
    async with desk.visit.database.read() as session:
        register = await read_register(session, desk.caller.processings)
    asking = [entry for entry in register.values() if entry.record.facts.rests_on_consent]
    processings = {each.record.id: desk.named(each.record.versions[-1].name) for each in asking}
    return (
        needed("kind", Kind.CHOICE, LINK_KINDS, word="link_kind"),
        FormField("processings", Kind.BOXES, processings, word="link_processings"),
        needed("authentication", Kind.CHOICE, AUTHENTICATIONS),
        FormField("request_reference", most=200),
    )


@act(
    "make_link",
    needs=Scope.CONSENTS_WRITE,
    back=_person,
    model=NewConsentLink,
    fields=_link_fields,
    shape=_link_body,
)
async def _make_link(session: WriteSession, request: ActRequest) -> DoneAct:
    desk, body = request.desk, request.body
    for processing in body.processings or ():
        desk.caller.require_processing(processing)
    wanted = body.wanted(_whom(request), tuple(body.processings or ()), desk.who.credential)
    make = create_overview_link if body.kind is LinkKind.OVERVIEW else create_consent_link
    made = await make(session, desk.services.deployment, desk.caller, wanted)
    context = {
        "title": desk.t["link_title"],
        "secret": f"{desk.services.source}/consent/{made.token}",
        "lead": desk.t["link_lead"],
        "until": moment(made.expires_at, desk.language),
        "back": desk.address(_PERSON),
    }
    return DoneAct(show=lambda: desk.page("console/secret.html", Room.PEOPLE, context, status=201))
