"""Propose a new processing, or a version of one, by form. A preview shows the text and how many people it affects."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Final

from fastapi import Response

from app.api.http.security import open_to_all
from app.api.register.models import NewProcessing, NewVersion
from app.api.register.views import version_view
from app.auth.callers import Scope
from app.core.article import CONSENT_PURPOSES, Purpose
from app.core.wording import ELEMENT_WORDS, PURPOSE_WORDS
from app.db.session import WriteSession
from app.operations.register.add_version import (
    add_version,
    preview_processing,
    preview_version,
    register_processing,
)
from app.pages.console.acts import ActRequest, DoneAct, Fields, act, form_of
from app.pages.console.fields import FilledForm, FormField, Kind, needed, sent_of
from app.pages.console.frame import Desk, Room, at, router
from app.pages.console.register import (
    ProcessingPath,
    affected_in_words,
    changes_table,
    in_force_by_processing,
    in_words,
    known_to,
    with_dates,
)
from app.register.store import load_controllers
from app.words import Catalogue

PROVIDER_KINDS: Final = Catalogue("provider_kind")
PARTY_MODES: Final = Catalogue("party_mode")
WriterDesk = Annotated[Desk, at(Room.REGISTER, Scope.REGISTER_WRITE)]


@router.get("/console/propose")
@open_to_all
async def show_new_processing(desk: WriterDesk) -> Response:
    """Show the empty form of a new processing."""
    return await _new(desk, "", None)


@router.get("/console/register/{id}/new")
@open_to_all
async def show_new_version(identifier: ProcessingPath, desk: WriterDesk) -> Response:
    """Show the form of a new version, filled in with the last one."""
    return await _version(desk, identifier, None)


async def _new(desk: Desk, about: str, failed: FilledForm | None) -> Response:
    desk.caller.require(Scope.REGISTER_WRITE)
    form = await form_of(_propose, desk, about, failed, {"purpose": Purpose.ADVERTISING.value, "automated": "yes"})
    context = {"title": desk.t["propose_title"], "form": form, "lead": desk.t["propose_lead"]}
    return desk.page("console/propose.html", Room.REGISTER, context, failed)


async def _version(desk: Desk, about: str, failed: FilledForm | None) -> Response:
    desk.caller.require(Scope.REGISTER_WRITE)
    async with desk.visit.database.read() as session:
        entry = await known_to(session, desk, about)
    last = entry.record.versions[-1]
    members = {**version_view(last).model_dump(mode="json"), "purpose": entry.record.purpose.value, "material": True}
    del members["data_recipients"], members["effective_from"]
    sent = sent_of(await _propose_version.fields_for(desk, about), members)
    form = await form_of(_propose_version, desk, about, failed, sent)
    title = f"{desk.t['propose_version_title']} {desk.named(last.name) or about}"
    context = {"title": title, "form": form, "lead": desk.t["propose_version_lead"]}
    return desk.page("console/propose.html", Room.REGISTER, context, failed)


async def _version_fields(desk: Desk, purposes: Sequence[Purpose]) -> Fields:
    """The fields that every version has, with the names of the API."""
    async with desk.visit.database.read() as session:
        records = await load_controllers(session)
    controllers = {each.id: f"{each.legal_name} ({each.id})" for each in records.values()}
    text, area, lines, rows = Kind.TEXT, Kind.AREA, Kind.LINES, Kind.ROWS
    heading = Kind.HEADING
    return (
        FormField("of_processing", heading),
        needed("name.fr"),
        FormField("name.en"),
        needed("purpose", Kind.CHOICE, {each.value: PURPOSE_WORDS[each] for each in purposes}),
        *([FormField("controllers", Kind.BOXES, controllers)] if controllers else []),
        FormField("controller", most=300),
        needed("provider_kind", Kind.CHOICE, PROVIDER_KINDS),
        needed("service", most=128),
        needed("elements", Kind.BOXES, ELEMENT_WORDS),
        needed("automated", Kind.BOOLEAN),
        needed("party_mode", Kind.CHOICE, PARTY_MODES),
        FormField("of_page", heading),
        needed("notice.fr", area),
        FormField("notice.en", area),
        FormField("of_data", heading),
        FormField("recipients", rows, members=("name", "role", "country")),
        FormField("transfers", rows, members=("country", "safeguards")),
        needed("retention", text, most=44),
        needed("consent_validity", text, most=6),
        FormField("derived_data_erased_within", most=44),
        FormField("data_protection_contact", most=300),
        FormField("consequences.fr", area),
        FormField("consequences.en", area),
        FormField("conditional", Kind.BOOLEAN),
        FormField("age_statement_required", Kind.CHECK),
        FormField("of_record", heading),
        needed("started_on", Kind.DATE),
        FormField("categories_of_persons", lines),
        FormField("storage_location", area, most=5_000),
        FormField("security_measures", area, most=5_000),
        FormField("automated_decisions", area, most=5_000),
        FormField("dpia_reference", most=128),
        FormField("privacy_policy", most=2_000),
        FormField("legal_notice", most=2_000),
        FormField("accessibility_statement", most=2_000),
        FormField("logo", most=2_000),
        FormField("justification", area, most=5_000),
    )


async def _fields_of_processing(desk: Desk, _about: str) -> Fields:
    heading, *more = await _version_fields(desk, list(Purpose))
    return (heading, needed("id", most=100), *more)


async def _fields_of_version(desk: Desk, about: str) -> Fields:
    async with desk.visit.database.read() as session:
        entry = await known_to(session, desk, about)
    return (
        *await _version_fields(desk, [entry.record.purpose]),
        FormField("of_version", Kind.HEADING),
        FormField("material", Kind.CHECK),
        FormField("reason", Kind.AREA, word="reason_of_version", most=2_000),
        FormField("effective_from", most=40),
    )


def _as_sent(_about: str, body: dict[str, Any]) -> dict[str, Any]:
    """State in the body that there are no recipients of data, if the form names none."""
    if "recipients" not in body:
        body["data_recipients"] = []
    return body


async def _preview(request: ActRequest) -> Mapping[str, Any]:
    """The preview of a new processing: the texts that would ask. No consent is affected, as there is none yet."""
    desk, body = request.desk, request.body
    desk.caller.require_processing(body.id)
    texts, note = await _texts(desk, body)
    return {"texts": texts, "note": note, "affected": desk.t["affects_nobody"], "changes": None, "waits": ""}


async def _preview_version(request: ActRequest) -> Mapping[str, Any]:
    desk, body = request.desk, request.body
    desk.caller.require_processing(request.about)
    async with desk.visit.database.read() as session:
        entry, controllers = await known_to(session, desk, request.about), await load_controllers(session)
        counts, counted = await in_force_by_processing(session)
        draft, approval = body.draft(body.reason), desk.services.register_approval
        previewed = await preview_version(session, request.about, draft, approval, material=body.material)
    texts, note = await _texts(desk, body)
    wordings = [in_words(entry, each, controllers, desk) for each in (entry.record.versions[-1], previewed.version)]
    return {
        "texts": texts,
        "note": note,
        "affected": affected_in_words(desk, request.about, counts, counted)
        if previewed.ends_consents
        else desk.t["affects_nobody"],
        "changes": changes_table(previewed.changes, wordings, desk),
        "waits": desk.t["would_wait" if previewed.waits else "would_not_wait"],
    }


async def _texts(desk: Desk, body: NewProcessing | NewVersion) -> tuple[list[Any], str]:
    """The text of the consent page in each language, and a note that says why there is none."""
    if body.purpose not in CONSENT_PURPOSES:
        return [], desk.t["nobody_asked"]
    policy, draft = desk.services.deployment.policy, body.draft()
    async with desk.visit.database.read() as session:
        texts, now = await preview_processing(session, draft, policy), await session.now()
    return with_dates(texts, policy.expiry(now, draft.facts.consent_validity)), ""


_writes = partial(act, needs=Scope.REGISTER_WRITE, shape=_as_sent)


@_writes("propose", back=_new, model=NewProcessing, fields=_fields_of_processing, preview=_preview)
async def _propose(session: WriteSession, request: ActRequest) -> DoneAct:
    body, desk = request.body, request.desk
    desk.caller.require_processing(body.id)
    approval = desk.services.register_approval
    entry = await register_processing(session, desk.caller, body.id, body.draft(), approval)
    return DoneAct(f"/console/register/{body.id}", "propose_waits" if entry.waiting is not None else "propose")


@_writes("propose_version", back=_version, model=NewVersion, fields=_fields_of_version, preview=_preview_version)
async def _propose_version(session: WriteSession, request: ActRequest) -> DoneAct:
    body, desk = request.body, request.desk
    desk.caller.require_processing(request.about)
    entry = await add_version(
        *(session, desk.caller, request.about, body.draft(body.reason), desk.services.register_approval),
        material=body.material,
        effective_from=body.effective_from,
    )
    waits = entry.waiting is not None
    return DoneAct(f"/console/register/{request.about}", "propose_waits" if waits else "propose_version")
