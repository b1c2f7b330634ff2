"""Callers: their keys and accounts, what they may do in words, when they were last used, and the acts on them."""

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Path, Query, Response

from app.api.callers import CallerChangeBody, NewKey, NewRotation
from app.api.http.security import open_to_all
from app.auth.callers import KEY_OVERLAP, Scope
from app.db.session import WriteSession
from app.operations.callers import (
    CallerChange,
    CallerView,
    change_caller,
    create_key,
    find_caller,
    list_callers,
    register_identity,
    revoke_caller,
    rotate_key,
)
from app.pages.console.acts import ActRequest, DoneAct, Fields, act, form_of
from app.pages.console.fields import FilledForm, FormField, Kind, needed, sent_of
from app.pages.console.frame import Desk, Room, at, id_of, router
from app.pages.console.tables import Cell
from app.pages.dates import moment
from app.words import Catalogue

CallersDesk = Annotated[Desk, at(Room.CALLERS)]
SCOPES: Final = Catalogue("console_scope")
KINDS: Final = Catalogue("console_caller_kind")
_PAGE: Final = 100
_SCOPES_SHOWN: Final = 4


@router.get("/console/callers")
@open_to_all
async def show_callers(desk: CallersDesk, after: Annotated[UUID | None, Query()] = None) -> Response:
    """Show callers, oldest first, revoked ones too."""
    return await _list(desk, "", None, after)


async def _list(desk: Desk, about: str, failed: FilledForm | None, after: UUID | None = None) -> Response:
    Room.CALLERS.require(desk.caller)
    async with desk.visit.database.read() as session:
        views = await list_callers(session, desk.caller, after=after, limit=_PAGE + 1)
    t = desk.t
    columns = ("caller", "may_do", "about_what", "last_used", "status")
    more = views[_PAGE - 1].caller.id if len(views) > _PAGE else None
    acts = [_make, *([_add_identity] if desk.services.token_check is not None else [])]
    context = {
        "title": t["callers"],
        "table_of": desk.table("callers_caption", columns, [_row(each, desk) for each in views[:_PAGE]]),
        "more": desk.address(Room.CALLERS.path, after=str(more)) if more is not None else "",
        "forms": [await form_of(each, desk, about, failed) for each in acts],
    }
    return desk.page("console/callers.html", Room.CALLERS, context, failed)


def _row(view: CallerView, desk: Desk) -> list[Cell]:
    caller, t = view.caller, desk.t
    used = moment(view.last_used_at, desk.language) if view.last_used_at is not None else t["never_used"]
    known_by = t["by_account"] if caller.identity is not None else t["by_key"]
    return [
        Cell(caller.name, KINDS[caller.kind][desk.language], href=desk.address(f"/console/callers/{caller.id}")),
        _scopes(sorted(caller.scopes), desk),
        Cell(", ".join(sorted(caller.processings)) if caller.processings is not None else t["every_processing"]),
        Cell(used, known_by),
        Cell(t["revoked"], moment(caller.revoked_at, desk.language), "warn-text")
        if caller.revoked_at is not None
        else Cell(t["valid"]),
    ]


@router.get("/console/callers/{id}")
@open_to_all
async def show_caller(identifier: Annotated[UUID, Path(alias="id")], desk: CallersDesk) -> Response:
    """Show one caller."""
    return await _caller(desk, str(identifier), None)


def _scopes(scopes: Sequence[Scope], desk: Desk) -> Cell:
    """The first few scopes of a caller, in words; the caller's page shows all of them."""
    more = len(scopes) - _SCOPES_SHOWN
    words = desk.joined(SCOPES[each][desk.language] for each in scopes[:_SCOPES_SHOWN])
    return Cell(words, desk.t["and_more"].format(number=more) if more > 0 else "")


async def _caller(desk: Desk, about: str, failed: FilledForm | None) -> Response:
    Room.CALLERS.require(desk.caller)
    identifier = about.partition(" ")[0]
    async with desk.visit.database.read() as session:
        view, now = await find_caller(session, desk.caller, id_of(identifier)), await session.now()
    caller, t = view.caller, desk.t
    in_force = [each for each in view.keys if each.in_force(now)]
    keys = [
        [
            Cell(moment(key.created_at, desk.language), str(key.id)),
            Cell(moment(key.expires_at, desk.language) if key.expires_at is not None else t["without_end"]),
            Cell(moment(view.uses[key.id], desk.language) if key.id in view.uses else t["never_used"]),
            Cell(t["valid"]) if key in in_force else Cell(t["over"], css="warn-text"),
        ]
        for key in view.keys
    ]
    body = {
        "name": caller.name,
        "scopes": sorted(caller.scopes),
        "processings": sorted(caller.processings) if caller.processings is not None else [],
    }
    sent = sent_of(await _change.fields_for(desk, identifier), body)
    alive = caller.revoked_at is None
    acts = [(_change, identifier)] if alive else []
    if alive and caller.identity is None:
        acts += [(_rotate, identifier), *((_revoke_key, f"{identifier} {each.id}") for each in in_force[:-1])]
    acts += [(_revoke, identifier)] if alive else []
    context = {
        "title": caller.name,
        "facts": _facts(view, desk),
        "scopes": [(each.value, SCOPES[each][desk.language]) for each in sorted(caller.scopes)],
        "keys": desk.table("keys_caption", ("made_at", "good_until", "last_used", "status"), keys) if keys else None,
        "forms": [await form_of(each, desk, what, failed, sent) for each, what in acts],
    }
    return desk.page("console/caller.html", Room.CALLERS, context, failed)


def _facts(view: CallerView, desk: Desk) -> list[tuple[str, str]]:
    caller, t = view.caller, desk.t
    rows = [
        (t["kind"], KINDS[caller.kind][desk.language]),
        (t["about_what"], ", ".join(sorted(caller.processings)) if caller.processings else t["every_processing"]),
        (t["made_at"], moment(caller.created_at, desk.language)),
        (t["reference"], str(caller.id)),
    ]
    if caller.identity is not None:
        rows.append((t["account"], f"{caller.identity.issuer} — {caller.identity.subject}"))
    if caller.revoked_at is not None:
        rows.append((t["revoked"], moment(caller.revoked_at, desk.language)))
    return rows


def _secret(request: ActRequest, key: str, caller: UUID) -> DoneAct:
    """The page that shows a new key this once."""
    desk = request.desk
    context = {
        "title": desk.t["key_title"],
        "lead": desk.t["key_lead"],
        "secret": key,
        "until": "",
        "back": desk.address(f"/console/callers/{caller}"),
    }
    return DoneAct(show=lambda: desk.page("console/secret.html", Room.CALLERS, context, status=201))


_KIND: Final = needed("kind", Kind.CHOICE, KINDS, word="caller_kind")


async def _said_of_a_caller(desk: Desk, _about: str) -> Fields:
    scopes = {each.value: f"{SCOPES[each][desk.language]} ({each.value})" for each in sorted(desk.caller.scopes)}
    return [
        needed("name", most=128, word="caller_name"),
        needed("scopes", Kind.BOXES, scopes),
        FormField("processings", Kind.LINES),
    ]


async def _key_fields(desk: Desk, about: str) -> Fields:
    return (*await _said_of_a_caller(desk, about), _KIND, FormField("expires_at", Kind.DATE, word="expires_at"))


async def _identity_fields(desk: Desk, about: str) -> Fields:
    check = desk.services.token_check
    issuers = {each: each for each in (check.issuers if check is not None else ())}
    return (
        *await _said_of_a_caller(desk, about),
        _KIND,
        needed("identity.issuer", Kind.CHOICE, issuers),
        needed("identity.subject", most=255),
        FormField("identity.client", most=255),
    )


def _key_body(_about: str, body: dict[str, Any]) -> dict[str, Any]:
    """Turn the day on which a key ends into the first instant of that day in UTC."""
    day = body.get("expires_at")
    return {**body, "expires_at": f"{day}T00:00:00Z"} if day else body


_manages = partial(act, needs=Scope.KEYS_MANAGE)


@_manages("make_key", back=_list, model=NewKey, fields=_key_fields, shape=_key_body)
async def _make(session: WriteSession, request: ActRequest) -> DoneAct:
    made = await create_key(session, request.desk.who, request.body.wanted())
    return _secret(request, made.secret, made.caller.id)


@_manages(
    "add_identity", back=_list, model=NewKey, fields=_identity_fields, shape=lambda _, body: {"identity": {}, **body}
)
async def _add_identity(session: WriteSession, request: ActRequest) -> DoneAct:
    body, desk = request.body, request.desk
    identity = body.identity.identity()
    made = await register_identity(session, desk.who, body.wanted(), identity, desk.services.token_check)
    return DoneAct(f"/console/callers/{made.id}", "add_identity")


# If the form lists no processings, the caller may name every one.
@_manages(
    "change_caller",
    back=_caller,
    model=CallerChangeBody,
    fields=_said_of_a_caller,
    shape=lambda _, body: {"processings": None, **body},
)
async def _change(session: WriteSession, request: ActRequest) -> DoneAct:
    await change_caller(session, request.desk.who, id_of(request.about), request.body.change())
    return DoneAct(f"/console/callers/{request.about}", "change_caller")


@_manages("rotate_key", back=_caller, model=NewRotation, fields=(FormField("compromised", Kind.CHECK),))
async def _rotate(session: WriteSession, request: ActRequest) -> DoneAct:
    overlap = timedelta(0) if request.body.compromised else KEY_OVERLAP
    rotated = await rotate_key(session, request.desk.who, id_of(request.about), overlap)
    return _secret(request, rotated.made.secret, rotated.made.caller.id)


@_manages("revoke_caller", back=_caller, grave=True)
async def _revoke(session: WriteSession, request: ActRequest) -> DoneAct:
    await revoke_caller(session, request.desk.who, id_of(request.about))
    return DoneAct(f"/console/callers/{request.about}", "revoke_caller")


@_manages("revoke_key", back=_caller, grave=True)
async def _revoke_key(session: WriteSession, request: ActRequest) -> DoneAct:
    caller, _, key = request.about.partition(" ")
    change = CallerChange(revoked_keys=frozenset({id_of(key)}))
    await change_caller(session, request.desk.who, id_of(caller), change)
    return DoneAct(f"/console/callers/{caller}", "revoke_key")
