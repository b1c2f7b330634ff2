"""The register: the list, one processing with its versions, and every act on the register except proposing."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Path, Response

from app.api.http.security import open_to_all
from app.api.register.invalidations import NewInvalidation
from app.api.register.models import StatusBody
from app.api.register.proposals import NewRuling
from app.audit.figures import load_figure
from app.auth.callers import Scope
from app.auth.store import load_caller
from app.core.article import SECRECY
from app.core.consent import State
from app.core.consent_text import ConsentText
from app.core.errors import CredentialEndedError, InvalidPeriodError, NotFoundError
from app.core.period import Retention
from app.core.processing import Status
from app.core.register import FieldChange, GateProposal, version_changes, warnings_of
from app.core.wording import PURPOSE_WORDS, STATUS_WORDS, retention_in_words
from app.db.session import ReadSession, WriteSession
from app.operations.consents.projections import CONSENTS
from app.operations.register.add_version import change_status
from app.operations.register.invalidate_processing import invalidate_processing, preview_invalidation
from app.operations.register.proposals import rule_on
from app.operations.register.report import COLUMNS, Activity
from app.pages.console.acts import ActRequest, ConsoleAct, DoneAct, act, add_act, form_of
from app.pages.console.fields import FilledForm, FormField, Kind, needed
from app.pages.console.frame import Desk, Room, at, router
from app.pages.console.tables import Cell, Table
from app.pages.dates import day, moment, until
from app.register.gate import load_waiting, read_register
from app.register.records import (
    ControllerRecord,
    Proposal,
    Registered,
    VersionRecord,
    consent_texts,
    version_shown,
    who_is,
)
from app.register.store import InvalidationRecord, load_controllers, load_invalidations
from app.words import Catalogue, Language, listed

RegisterDesk = Annotated[Desk, at(Room.REGISTER)]
WANTED: Final = Catalogue("console_wanted")
"""Words for what a proposal wants, by the names of the API."""
_REASON: Final = needed("reason", Kind.AREA, most=2_000)
_SIDE_BY_SIDE: Final = 3
"""How many versions stand side by side at most: people no longer read more columns."""


async def in_force_by_processing(session: ReadSession) -> tuple[Counter[str], datetime | None]:
    """How many consents were in force when they were last counted, and when that was."""
    figure = await load_figure(session, CONSENTS)
    counts: Counter[str] = Counter()
    for count in figure.numbers if figure is not None else ():
        if count["state"] == State.IN_FORCE:
            counts[count["processing"]] += count["number"]
    return counts, figure.counted_at if figure is not None else None


@router.get("/console/register")
@open_to_all
async def show_register(desk: RegisterDesk) -> Response:
    """Show the register."""
    return await _list(desk, "", None)


async def _list(desk: Desk, _about: str, failed: FilledForm | None) -> Response:
    async with desk.visit.database.read() as session:
        now = await session.now()
        register = await read_register(session, desk.caller.processings)
        counts, counted = await in_force_by_processing(session)
        unrestricted = desk.caller.processings is None
        waiting = await load_waiting(session) if unrestricted else []
        names = await _names(session, {each.by for each in waiting})
    t = desk.t
    columns = [(t[name], False) for name in ("processing", "purpose", "paragraph", "status", "version")]
    context = {
        "title": t["register"],
        "columns": [*columns, (t["in_force"], True)],
        "rows": [_row(entry, now, desk, counts if counted else None) for entry in register.values()],
        "counted": moment(counted, desk.language) if counted is not None else "",
        "waiting": [await _gate(each, names, desk, failed) for each in waiting],
        "may_propose": desk.may(Scope.REGISTER_WRITE),
    }
    return desk.page("console/register.html", Room.REGISTER, context, failed)


def _row(entry: Registered, now: datetime, desk: Desk, counts: Counter[str] | None) -> list[Cell]:
    record, facts, t = entry.record, entry.record.facts, desk.t
    current = facts.version_at(now) or facts.versions[0]
    version = record.version(current.number)
    status, coming = facts.status_at(now), next((each for each in facts.versions if not each.in_force_at(now)), None)
    warned = _warnings(entry, version, now, desk)
    to_come = ""
    if entry.waiting is not None:
        to_come = f"{t['version_waits']} {entry.waiting.version.facts.number}"
    elif coming is not None and coming.effective_from is not None:
        to_come = f"{t['version_to_come']} {coming.number}, {day(coming.effective_from, desk.language)}"
    return [
        Cell(desk.named(version.name if version else {}) or record.id, record.id, href=address_of(desk, record.id)),
        Cell(PURPOSE_WORDS[record.purpose][desk.language], _controllers(entry, version, desk)),
        _paragraph(entry, desk),
        Cell(
            STATUS_WORDS[status][desk.language],
            desk.joined(warned),
            "" if status is Status.ACTIVE and not warned else "warn-text",
        ),
        Cell(str(current.number), to_come),
        Cell(desk.number(counts[record.id]) if facts.rests_on_consent and counts is not None else "—"),
    ]


def address_of(desk: Desk, identifier: str) -> str:
    """The address of the page that shows one processing."""
    return desk.address(f"/console/register/{identifier}")


def _paragraph(entry: Registered, desk: Desk) -> Cell:
    facts, t = entry.record.facts, desk.t
    if facts.is_exempt:
        return Cell("III", t["exempt"])
    if facts.rests_on_consent:
        return Cell("IV", t["on_consent"])
    return Cell(SECRECY[facts.versions[-1].provider_kind].removeprefix("L32-3 "), t["forbidden"], "bad-text")


def _controllers(entry: Registered, version: VersionRecord | None, desk: Desk) -> str:
    return listed(entry.record.names_of(version), desk.language.value) if version else entry.record.controller


def _warnings(entry: Registered, version: VersionRecord | None, now: datetime, desk: Desk) -> list[str]:
    if version is None:
        return []
    warnings = warnings_of(entry.record.purpose, version.facts, version.texts)
    words = [desk.t[f"warning_{each.value}"] for each in warnings]
    return [*words, desk.t["struck"]] if entry.record.struck(version, now) else words


async def _names(session: ReadSession, ids: set[UUID]) -> dict[UUID, str]:
    callers = {each: await load_caller(session, each) for each in ids}
    return {each: caller.name if caller is not None else str(each) for each, caller in callers.items()}


async def _gate(each: GateProposal, names: Mapping[UUID, str], desk: Desk, failed: FilledForm | None) -> dict[str, Any]:
    """A proposal of the gate: what it is about, who made it, and the forms that answer it."""
    words, colon = WANTED.in_language(desk.language), " :" if desk.language is Language.FR else ":"
    wanted = desk.joined(
        f"{words.get(name, name)}{colon} {_worded(value, desk)}"
        for name, value in each.wanted.items()
        if value not in (None, "", False)
    )
    return {
        "title": f"{desk.t[f'gate_{each.kind.value}']} {each.target}".strip(),
        "wanted": wanted[:1].upper() + wanted[1:],
        "by": names[each.by],
        "at": moment(each.at, desk.language),
        "forms": [await form_of(one, desk, str(each.id), failed) for one in (_approve_proposal, _reject_proposal)],
    }


def _worded(value: object, desk: Desk) -> str:
    """A value of a proposal; a number, an instant or a period (ISO 8601) as people say it."""
    if isinstance(value, int):
        return desk.number(value)
    with suppress(ValueError):
        return moment(datetime.fromisoformat(str(value)), desk.language)
    try:
        return retention_in_words(Retention.parse(str(value)), desk.language) or str(value)
    except InvalidPeriodError:
        return plain(value, desk)


ProcessingPath = Annotated[str, Path(alias="id", max_length=100)]


@router.get("/console/register/{id}")
@open_to_all
async def show_processing(identifier: ProcessingPath, desk: RegisterDesk) -> Response:
    """Show one processing."""
    return await _processing(desk, identifier, None)


async def _processing(desk: Desk, about: str, failed: FilledForm | None) -> Response:
    identifier = about.partition(" ")[0]
    async with desk.visit.database.read() as session:
        entry = await known_to(session, desk, identifier)
        now = await session.now()
        counts, counted = await in_force_by_processing(session)
        struck = await load_invalidations(session, identifier)
        versions = [*entry.record.versions, *(each.version for each in entry.proposals)]
        controllers = await load_controllers(session, sorted({one for each in versions for one in each.controllers}))
        proposals = {each.version.facts.number: each for each in entry.proposals}
        made = [each.made for each in entry.proposals]
        by = {each.by for each in struck} | {each.by for each in made}
        by |= {each.ruling.by for each in made if each.ruling}
        names = await _names(session, by)
    shown = version_shown(entry.record, now)
    waiting = entry.waiting
    affected = affected_in_words(desk, identifier, counts, counted)
    context = {
        "title": desk.named(shown.name) or identifier,
        "identifier": identifier,
        "facts": _facts(entry, shown, now, desk, counts[identifier], counted),
        "warnings": _warnings(entry, shown, now, desk),
        "waiting": await _waiting(waiting, entry, controllers, desk, names, affected, failed) if waiting else None,
        "versions": _versions(entry, proposals, names, desk),
        "invalidations": _invalidations(struck, names, desk) if struck else None,
        "compared": _side_by_side(entry, controllers, desk),
        "texts": _texts(entry, waiting.version if waiting is not None else shown, controllers, now, desk),
        "texts_of": (waiting.version if waiting is not None else shown).facts.number,
        "forms": [await form_of(each, desk, identifier, failed) for each in _acts(entry, now)],
        "propose": desk.address(f"/console/register/{identifier}/new")
        if desk.may(Scope.REGISTER_WRITE) and entry.record.facts.status_at(now) is not Status.RETIRED and not waiting
        else "",
    }
    return desk.page("console/processing.html", Room.REGISTER, context, failed)


async def known_to(session: ReadSession, desk: Desk, identifier: str) -> Registered:
    """A processing that the caller may name.

    Raises:
        NotFoundError: there is no such processing.

    """
    named = desk.caller.may_ask_about(identifier)
    entry = (await read_register(session, [identifier])).get(identifier) if named else None
    if entry is None:
        raise NotFoundError
    return entry


def _acts(entry: Registered, now: datetime) -> list[ConsoleAct]:
    status = entry.record.facts.status_at(now)
    if status is Status.RETIRED:
        return [_invalidate] if entry.record.facts.rests_on_consent else []
    can = {Status.ACTIVE: [_suspend], Status.SUSPENDED: [_resume]}.get(status, [])
    return [*can, *([_invalidate] if entry.record.facts.rests_on_consent else []), _retire]


def _facts(  # noqa: PLR0917 - what the page shows of a processing
    entry: Registered, shown: VersionRecord, now: datetime, desk: Desk, number: int, counted: datetime | None
) -> list[tuple[str, str]]:
    record, t, language = entry.record, desk.t, desk.language
    paragraph = _paragraph(entry, desk)
    rows = [
        (t["reference"], record.id),
        (t["status"], STATUS_WORDS[record.facts.status_at(now)][language]),
        (t["purpose"], PURPOSE_WORDS[record.purpose][language]),
        (t["paragraph"], f"{paragraph.text}, {paragraph.more}"),
        (t["controllers"], _controllers(entry, shown, desk)),
        (t["version"], str(shown.facts.number)),
        (t["registered"], moment(record.registered_at, language)),
    ]
    if record.facts.rests_on_consent and counted is not None:
        rows.append((t["in_force"], f"{desk.number(number)}, {t['as_of'].lower()} {moment(counted, language)}"))
    elif record.facts.rests_on_consent:
        rows.append((t["in_force"], t["not_counted"]))
    return rows


async def _waiting(  # noqa: PLR0917 - a proposal, and all that the page shows of it
    waiting: Proposal,
    entry: Registered,
    controllers: Mapping[str, ControllerRecord],
    desk: Desk,
    names: Mapping[UUID, str],
    affected: str,
    failed: FilledForm | None,
) -> dict[str, Any]:
    version, first = waiting.version, waiting.version.facts.number == 1
    last = entry.record.versions[-1]
    changes = (
        version_changes(last.facts, version.facts, words_before=last.texts, words_after=version.texts)
        if not first
        else ()
    )
    wordings = [in_words(entry, each, controllers, desk) for each in (last, version)]
    about = f"{entry.record.id} {version.facts.number}"
    ends = not first and version.facts.material and entry.record.facts.rests_on_consent
    return {
        "number": version.facts.number,
        "first": first,
        "by": names[waiting.made.by],
        "at": moment(version.recorded_at, desk.language),
        "reason": version.reason or "",
        "mine": waiting.made.by == desk.caller.id,
        "material": version.facts.material,
        "affected": affected if ends else desk.t["affects_nobody"],
        "changes": changes_table(changes, wordings, desk) if changes else None,
        "forms": [await form_of(each, desk, about, failed) for each in (_approve, _reject)],
    }


def affected_in_words(desk: Desk, processing: str, counts: Counter[str], counted: datetime | None) -> str:
    """How many consents a material version ends, by the last count; without one, that they were not counted yet."""
    if counted is None:
        return desk.t["affects_uncounted"]
    return desk.t["affects"].format(number=desk.number(counts[processing]), counted=moment(counted, desk.language))


def in_words(
    entry: Registered, version: VersionRecord, controllers: Mapping[str, ControllerRecord], desk: Desk
) -> Mapping[str, str]:
    """The facts of a version, by their names, in the words of the record of GDPR art. 30."""
    who = [controllers[each] for each in version.controllers if each in controllers]
    return Activity(entry.record, version, Status.ACTIVE, who).row(desk.language)


def changes_table(changes: Sequence[FieldChange], wordings: Sequence[Mapping[str, str]], desk: Desk) -> Table:
    """The table of what differs between two versions, in the words of the record of GDPR art. 30 if it has some."""
    t = desk.t
    rows = [
        [
            Cell(heading(change.field, desk)),
            Cell(wordings[0].get(change.field) or plain(change.before, desk)),
            Cell(wordings[-1].get(change.field) or plain(change.after, desk)),
            Cell(t["yes" if change.material else "no"], css="warn-text" if change.material else ""),
        ]
        for change in changes
    ]
    return desk.table("changes_caption", ("what", "before", "after", "material"), rows)


def heading(name: str, desk: Desk) -> str:
    """The heading of a fact of a version; its name in the API if there is no other."""
    return COLUMNS[name][desk.language] if name in COLUMNS else name


def plain(value: object, desk: Desk) -> str:
    """A value of the register on one line."""
    match value:
        case None | "" | []:
            return "—"
        case bool():
            return desk.t["yes" if value else "no"]
        case dict():
            return " / ".join(plain(each, desk) for each in value.values())
        case list():
            return desk.joined(plain(each, desk) for each in value)
    return str(value)


def _versions(entry: Registered, proposals: Mapping[int, Proposal], names: Mapping[UUID, str], desk: Desk) -> Table:
    t, approved = desk.t, {each.facts.number: each for each in entry.record.versions}
    struck = {each.version: each.at for each in entry.record.invalidations}
    rows = []
    for number in sorted(proposals.keys() | approved.keys(), reverse=True):
        proposal = proposals.get(number)
        version = approved[number] if number in approved else proposals[number].version
        made = proposal.made if proposal is not None else None
        ruling, state = (made.ruling, made.state.value) if made is not None else (None, "approved")
        since = version.facts.effective_from or version.recorded_at
        rows.append(
            [
                Cell(str(number), _kind_of(version, desk)),
                Cell(t[f"proposal_{state}"], f"{t['invalidated']} {moment(struck[number], desk.language)}")
                if number in struck
                else Cell(t[f"proposal_{state}"], css="" if state == "approved" else "warn-text"),
                Cell(moment(since, desk.language) if number in approved else "—"),
                Cell(names.get(made.by, "—") if made is not None else t["one_person"], version.reason or ""),
                Cell(f"{names[ruling.by]}, {moment(ruling.at, desk.language)}", ruling.reason)
                if ruling is not None
                else Cell("—"),
            ]
        )
    columns = ("version", "status", "in_force_since", "proposed_by", "answered_by")
    return desk.table("versions_caption", columns, rows)


def _invalidations(struck: Sequence[InvalidationRecord], names: Mapping[UUID, str], desk: Desk) -> Table:
    """The table of invalidations: what was invalidated, since when, why and by whom."""
    t = desk.t
    rows = [
        [
            Cell(
                f"{t['version']} {each.struck.version}" if each.struck.version else t["a_text"], each.struck.text or ""
            ),
            Cell(moment(each.at, desk.language), names[each.by]),
            Cell(each.reason),
        ]
        for each in struck
    ]
    return desk.table("invalidations", ("what", "since_when", "reason_why"), rows)


def _kind_of(version: VersionRecord, desk: Desk) -> str:
    if version.facts.number == 1:
        return desk.t["first_version"]
    return desk.t["material_version" if version.facts.material else "minor_version"]


def _side_by_side(entry: Registered, controllers: Mapping[str, ControllerRecord], desk: Desk) -> Table:
    """The table of the last versions in the words of the record of GDPR art. 30; what differs stands out."""
    versions = [*entry.record.versions, *([entry.waiting.version] if entry.waiting and entry.last_number > 1 else [])]
    shown = sorted({each.facts.number: each for each in versions}.values(), key=lambda each: each.facts.number)
    wordings = [in_words(entry, each, controllers, desk) for each in shown[-_SIDE_BY_SIDE:]]
    rows = []
    for name in COLUMNS:
        cells = [each[name] for each in wordings]
        if any(cells) and name not in {"reference", "status", "registered_at", "version"}:
            css = "differs" if len(set(cells)) > 1 else ""
            rows.append([Cell(COLUMNS[name][desk.language]), *(Cell(each or "—", css=css) for each in cells)])
    columns = [(desk.t["what"], False), *((f"{desk.t['version']} {each['version']}", False) for each in wordings)]
    return Table(desk.t["compared_caption"], columns, rows)


def _texts(
    entry: Registered, version: VersionRecord, controllers: Mapping[str, ControllerRecord], now: datetime, desk: Desk
) -> list[tuple[ConsentText, str]]:
    """The text of the consent page as a person would see it now, in each language; empty if no consent is asked for."""
    if not entry.record.facts.rests_on_consent:
        return []
    who = [who_is(controllers[each]) for each in version.controllers if each in controllers]
    if not who:
        return []
    policy = desk.services.deployment.policy
    texts = consent_texts(entry.record.purpose, who, version, policy)
    return with_dates(texts, policy.expiry(now, version.facts.consent_validity))


def with_dates(texts: Mapping[str, ConsentText], end: datetime) -> list[tuple[ConsentText, str]]:
    """Each text, with the end of a consent given now in the text's language."""
    return [(text, until(end, Language(language))) for language, text in texts.items()]


# The acts of these pages.


def _ruled(about: str, body: dict[str, Any], *, approved: bool) -> dict[str, Any]:
    """The body of a ruling on what a form is about: a processing and the number of a version, or a proposal's id."""
    processing, _, number = about.partition(" ")
    named = {"processing": processing, "version": int(number)} if number.isdecimal() else {"proposal": about}
    return {**body, **named, "approved": approved}


_APPROVED, _REJECTED = (partial(_ruled, approved=approved) for approved in (True, False))


@act(
    "approve",
    needs=Scope.REGISTER_APPROVE,
    back=_processing,
    model=NewRuling,
    fields=(_REASON,),
    shape=_APPROVED,
)
async def _approve(session: WriteSession, request: ActRequest) -> DoneAct:
    desk, body = request.desk, request.body
    desk.caller.require_processing(body.processing)
    if await desk.services.journal.has_ended(desk.caller.id, desk.who.credential):  # a backup brought its key back
        raise CredentialEndedError
    await rule_on(session, desk.caller, body.about, body.ruling(), known_epoch=desk.services.journal.max_epoch)
    of_a_version = body.processing is not None
    done = "approve" if body.approved else "reject"
    back = f"{Room.REGISTER.path}/{body.processing}" if of_a_version else Room.REGISTER.path
    return DoneAct(back, done if of_a_version else f"{done}_proposal")


_reject = add_act(replace(_approve, name="reject", shape=_REJECTED))
_both = (_REASON, FormField("same_legal_person", Kind.CHECK))
_approve_proposal = add_act(replace(_approve, name="approve_proposal", back=_list, fields=_both, unrestricted=True))
_reject_proposal = add_act(replace(_approve_proposal, name="reject_proposal", fields=(_REASON,), shape=_REJECTED))


def _with_status(status: Status, _about: str, body: dict[str, Any]) -> dict[str, Any]:
    return {**body, "status": status}


async def _change(session: WriteSession, request: ActRequest) -> DoneAct:
    desk, status = request.desk, request.body.status
    desk.caller.require_processing(request.about)
    made = await change_status(session, desk.caller, request.about, status, desk.services.register_approval)
    word = {Status.ACTIVE: "resume", Status.SUSPENDED: "suspend", Status.RETIRED: "retire"}[status]
    waits = isinstance(made, GateProposal)
    return DoneAct(f"/console/register/{request.about}", f"{word}_waits" if waits else word)


_writes = partial(act, needs=Scope.REGISTER_WRITE, back=_processing)
_suspend, _resume, _retire = (
    _writes(name, model=StatusBody, shape=partial(_with_status, status), grave=status is Status.RETIRED)(_change)
    for name, status in (("suspend", Status.SUSPENDED), ("resume", Status.ACTIVE), ("retire", Status.RETIRED))
)


async def _dry_run(request: ActRequest) -> Mapping[str, Any]:
    desk = request.desk
    desk.caller.require_processing(request.about)
    policy, database = desk.services.deployment.policy, desk.visit.database
    counts = await preview_invalidation(database, policy, request.about, request.body.struck())
    first = moment(counts.first_permit_at, desk.language) if counts.first_permit_at is not None else "—"
    rows = [
        (desk.t["dry_people"], desk.number(counts.people)),
        (desk.t["dry_permits"], desk.number(counts.permits)),
        (desk.t["dry_first"], first),
        (desk.t["dry_sealed"], desk.number(counts.sealed_permits)),
    ]
    return {"rows": rows}


@_writes(
    "invalidate",
    model=NewInvalidation,
    fields=(FormField("version", Kind.NUMBER, most=6), FormField("text", most=64), _REASON),
    preview=_dry_run,
    grave=True,
)
async def _invalidate(session: WriteSession, request: ActRequest) -> DoneAct:
    request.desk.caller.require_processing(request.about)
    await invalidate_processing(session, request.desk.caller, request.about, request.body.struck(), request.body.reason)
    return DoneAct(f"/console/register/{request.about}", "invalidate")
