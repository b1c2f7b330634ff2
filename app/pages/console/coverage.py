"""The staff (L32-3, V): the notice of today, who knows it and who is missing, and one member."""

from functools import partial
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Path, Response

from app.api.http.security import open_to_all
from app.api.staff import NewMember, NewNotice, NoticeLanguage, PaperAcknowledgement
from app.auth.callers import Scope
from app.core.errors import NotFoundError
from app.core.staff import NoticeStanding, lacking
from app.db.session import WriteSession
from app.operations.staff import (
    Coverage,
    Covered,
    change_staff_member,
    erase_staff_member,
    publish_staff_notice,
    read_acknowledgements,
    read_staff_coverage,
    record_paper,
    register_staff_member,
)
from app.pages.console.acts import ActRequest, DoneAct, Fields, act, form_of
from app.pages.console.fields import FilledForm, FormField, Kind, needed
from app.pages.console.frame import Desk, Room, at, id_of, router
from app.pages.console.tables import Cell
from app.pages.dates import moment
from app.pages.staff import blocks_of

StaffDesk = Annotated[Desk, at(Room.STAFF)]
_ORDER: Final = (
    NoticeStanding.MISSING,
    NoticeStanding.OUTDATED,
    NoticeStanding.ACKNOWLEDGED,
    NoticeStanding.LEFT,
)
_MOST_SHOWN: Final = 500


@router.get("/console/staff")
@open_to_all
async def show_staff(desk: StaffDesk) -> Response:
    """Show who knows the notice of today."""
    return await _staff(desk, "", None)


async def _coverage(desk: Desk) -> Coverage:
    async with desk.visit.database.read() as session:
        return await read_staff_coverage(session, desk.services.deployment.vault)


async def _staff(desk: Desk, about: str, failed: FilledForm | None) -> Response:
    Room.STAFF.require(desk.caller)
    coverage, t = await _coverage(desk), desk.t
    notice = coverage.notice
    sent = {
        f"{language}.{part}": getattr(text, part)
        for language, text in notice.texts.items()
        for part in ("title", "body")
    }
    members = sorted(coverage.members, key=lambda each: _ORDER.index(each.standing))
    columns = ("member", "standing_of_member", "acknowledged_at", "access")
    context = {
        "title": t["staff"],
        "figures": [(t[f"staff_{each.value}"], desk.number(coverage.counts[each])) for each in _ORDER],
        "rotated": desk.number(coverage.rotated_by_other) if coverage.rotated_by_other else "",
        "number": notice.number,
        "published": moment(notice.published_at, desk.language),
        "unfinished": bool(lacking(notice.texts)),
        "notice": [
            (language, text.title, blocks_of(text.body))
            for language, text in sorted(notice.texts.items(), reverse=True)
        ],
        "table_of": desk.table("members_caption", columns, [_member_row(each, desk) for each in members[:_MOST_SHOWN]]),
        "cut": max(0, len(members) - _MOST_SHOWN),
        "forms": [await form_of(_publish, desk, about, failed, sent), await form_of(_add, desk, about, failed)],
    }
    return desk.page("console/staff.html", Room.STAFF, context, failed)


def _member_row(each: Covered, desk: Desk) -> list[Cell]:
    t, missing = desk.t, each.standing in {NoticeStanding.MISSING, NoticeStanding.OUTDATED}
    when = moment(each.acknowledged_at, desk.language) if each.acknowledged_at is not None else "—"
    version = f"{t['version']} {each.acknowledged}" if each.acknowledged is not None else ""
    return [
        Cell(each.name or t["no_name"], href=desk.address(f"/console/staff/{each.id}")),
        Cell(
            t[f"staff_{each.standing.value}"],
            t["rotated_mark"] if each.rotated_by_other else "",
            "warn-text" if missing else "",
        ),
        Cell(when, version),
        Cell(t["yes" if each.access else "no"]),
    ]


@router.get("/console/staff/{id}")
@open_to_all
async def show_member(identifier: Annotated[UUID, Path(alias="id")], desk: StaffDesk) -> Response:
    """Show one member."""
    return await _member(desk, str(identifier), None)


async def _member(desk: Desk, about: str, failed: FilledForm | None) -> Response:
    Room.STAFF.require(desk.caller)
    coverage, t = await _coverage(desk), desk.t
    covered = next((each for each in coverage.members if str(each.id) == about), None)
    if covered is None:
        raise NotFoundError
    async with desk.visit.database.read() as session:
        acknowledgements = await read_acknowledgements(session, covered.id)
    rows = [
        [
            Cell(str(marked.acknowledgement.notice), marked.acknowledgement.language),
            Cell(moment(marked.acknowledgement.acknowledged_at, desk.language)),
            Cell(t[f"way_{marked.acknowledgement.way.value}"], t["rotated_mark"] if marked.rotated_by_other else ""),
        ]
        for marked in acknowledgements
    ]
    acts = [*([] if covered.access else [_paper]), *([_return, _erase] if covered.left_at is not None else [_leave])]
    context = {
        "title": covered.name or t["no_name"],
        "row": [
            (t["standing_of_member"], t[f"staff_{covered.standing.value}"]),
            (t["access"], t["yes" if covered.access else "no"]),
            (t["reference"], about),
        ],
        "table_of": desk.table("acknowledgements", ("version", "acknowledged_at", "way"), rows),
        "forms": [await form_of(each, desk, about, failed) for each in acts],
    }
    return desk.page("console/member.html", Room.STAFF, context, failed)


_NOTICE_FIELDS: Final = (
    needed("fr.title", most=200),
    needed("fr.body", Kind.AREA, most=50_000),
    FormField("en.title", most=200),
    FormField("en.body", Kind.AREA, most=50_000),
)


async def _paper_fields(desk: Desk, _about: str) -> Fields:
    languages = {each.value: desk.t[f"language_{each.value}"] for each in NoticeLanguage}
    return (
        needed("notice", Kind.NUMBER, most=6, word="notice_number"),
        needed("language", Kind.CHOICE, languages),
        needed("acknowledged_at", Kind.DATE),
    )


def _at_noon(about: str, body: dict[str, Any]) -> dict[str, Any]:
    """Name the member, and turn a day into its noon: a signature on paper gives no hour."""
    day = body.get("acknowledged_at")
    return {**body, "member": about} | ({"acknowledged_at": f"{day}T12:00:00+01:00"} if day else {})


_writes = partial(act, needs=Scope.STAFF_WRITE, unrestricted=True)


@_writes("publish_notice", back=_staff, model=NewNotice, fields=_NOTICE_FIELDS, grave=True)
async def _publish(session: WriteSession, request: ActRequest) -> DoneAct:
    await publish_staff_notice(session, request.desk.caller.id, request.body.texts())
    return DoneAct(Room.STAFF.path, "publish_notice")


@_writes("add_member", back=_staff, model=NewMember, fields=(needed("name", most=128, word="member_name"),))
async def _add(session: WriteSession, request: ActRequest) -> DoneAct:
    vault = request.desk.services.deployment.vault
    await register_staff_member(session, vault, request.desk.caller, request.body.name, request.body.caller)
    return DoneAct(Room.STAFF.path, "add_member")


@_writes("record_paper", back=_member, model=PaperAcknowledgement, fields=_paper_fields, shape=_at_noon)
async def _paper(session: WriteSession, request: ActRequest) -> DoneAct:
    body = request.body
    await record_paper(session, request.desk.caller, body.member, body.shown(), body.acknowledged_at)
    return DoneAct(f"/console/staff/{request.about}", "record_paper")


async def _come_or_go(name: str, session: WriteSession, request: ActRequest) -> DoneAct:
    await change_staff_member(session, request.desk.caller, id_of(request.about), left=name == "member_left")
    return DoneAct(f"/console/staff/{request.about}", name)


_leave, _return = (_writes(name, back=_member)(partial(_come_or_go, name)) for name in ("member_left", "member_back"))


@_writes("erase_member", back=_member, grave=True)
async def _erase(session: WriteSession, request: ActRequest) -> DoneAct:
    await erase_staff_member(session, request.desk.caller, id_of(request.about))
    return DoneAct(f"/console/staff/{request.about}", "erase_member")
