"""State who a controller is: register it, or give it another version."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Final

from app.audit.trail import ActKind, Target, TargetKind, record_act
from app.auth.callers import Caller
from app.core.errors import NotFoundError
from app.core.processing import Status
from app.core.register import (
    ControllerExistsError,
    ControllerKind,
    Gated,
    GateProposal,
    ProposalPendingError,
    RegisterApproval,
)
from app.db.session import WriteSession
from app.operations.register.add_version import append_approved
from app.operations.service.gate import pass_gate
from app.register.gate import hold_registered
from app.register.records import ControllerRecord, ControllerVersion
from app.register.store import add_controller, load_processings, lock_controller
from app.register.store import add_controller_version as append_version


@dataclass(frozen=True, slots=True)
class ControllerKey:
    """The id that a controller has here, and the official identifier by which it is known, with its kind."""

    id: str
    kind: ControllerKind | None = None
    identifier: str | None = None


@dataclass(frozen=True, slots=True)
class ControllerDraft:
    """All that a caller says of a controller; `country` is an ISO 3166-1 alpha-2 code."""

    legal_name: str
    postal_address: str | None = None
    contact: str | None = None
    data_protection_officer: str | None = None
    country: str | None = None

    def version(self, number: int, recorded_at: datetime) -> ControllerVersion:
        """Return this draft as a numbered version."""
        return ControllerVersion(number=number, recorded_at=recorded_at, **asdict(self))


_GATED: Final = ("legal_name", "postal_address", "country")


# Another name may be another company. So a new legal name, address or country waits for a second person, and where no
# register says that it is the same legal person, every processing of the controller is asked anew.
async def state_controller(
    session: WriteSession,
    caller: Caller,
    known_by: ControllerKey,
    draft: ControllerDraft,
    approval: RegisterApproval,
    *,
    same_legal_person: bool = False,
) -> ControllerRecord | GateProposal:
    """Register a controller, append a version to it, or propose that; a draft that says nothing new changes nothing.

    A new contact or officer needs no approval, unless something was invalidated. The edge has checked the identifier.

    Raises:
        NotFoundError: no such controller, and no kind is given to register it by.
        ControllerExistsError: the id is taken by one of another kind or identifier, or the identifier is another's.
        PersonsOnlyError, NoSecondPersonError: it could never be approved.
        ProposalPendingError: another version of it waits, or a version of one of its processings does.

    """
    record, now = await lock_controller(session, known_by.id), await session.now()
    if record is None:
        return await _register(session, caller, known_by, draft, now)
    if known_by.kind is not None and (known_by.kind, known_by.identifier) != (record.kind, record.identifier):
        raise ControllerExistsError
    last = record.versions[-1]
    if draft.version(last.number, last.recorded_at) == last:
        return record
    is_gated = any(getattr(draft, fact) != getattr(last, fact) for fact in _GATED)
    if not is_gated:  # nor may it wait unless something was invalidated in a processing that names the controller
        struck = [each for each in (await load_processings(session)).values() if each.invalidations]
        is_gated = any(known_by.id in version.controllers for each in struck for version in each.versions)
    if is_gated:
        waits = await pass_gate(session, caller, approval, Gated.CONTROLLER_VERSION, known_by.id, asdict(draft))
        if waits is not None:
            return waits
    return await put_controller_version(session, caller, record, draft, same_legal_person=same_legal_person)


async def _register(
    session: WriteSession, caller: Caller, known_by: ControllerKey, draft: ControllerDraft, now: datetime
) -> ControllerRecord:
    if known_by.kind is None:
        raise NotFoundError
    record = ControllerRecord(known_by.id, known_by.kind, known_by.identifier, now, (draft.version(1, now),))
    if not await add_controller(session, record, by=caller.id):
        raise ControllerExistsError
    target = Target(TargetKind.CONTROLLER, known_by.id)
    await record_act(session, ActKind.CONTROLLER_REGISTERED, caller.id, target, {"kind": known_by.kind.value})
    return record


async def approve_controller_version(
    session: WriteSession,
    caller: Caller,
    identifier: str,
    wanted: Mapping[str, Any],
    *,
    same_legal_person: bool,
) -> None:
    """Append the version that was proposed.

    Raises:
        ProposalPendingError: a version of one of its processings waits.
        InvalidVersionError: what one of them says was invalidated: it needs another version first.

    """
    record = await lock_controller(session, identifier)
    if record is None:
        raise NotFoundError
    draft = ControllerDraft(**wanted)
    await put_controller_version(session, caller, record, draft, same_legal_person=same_legal_person)


async def put_controller_version(
    session: WriteSession, caller: Caller, record: ControllerRecord, draft: ControllerDraft, *, same_legal_person: bool
) -> ControllerRecord:
    """Append a version and, if it may be another legal person, a material version of each of its processings."""
    version = draft.version(record.versions[-1].number + 1, await session.now())
    await append_version(session, record.id, version, by=caller.id)
    target = Target(TargetKind.CONTROLLER, record.id)
    detail = {"version": version.number}
    await record_act(session, ActKind.CONTROLLER_VERSIONED, caller.id, target, detail)
    if _may_be_another(record, draft) and not same_legal_person:
        await _ask_anew(session, caller, record)
    return replace(record, versions=(*record.versions, version))


def _may_be_another(record: ControllerRecord, draft: ControllerDraft) -> bool:
    """Return whether no checked fact says that it is the same legal person: no identifier, or another country."""
    last = record.versions[-1]
    renamed = record.kind is ControllerKind.OTHER and draft.legal_name != last.legal_name
    return renamed or draft.country != last.country


async def _ask_anew(session: WriteSession, caller: Caller, controller: ControllerRecord) -> None:
    """Add to each processing of a controller a material version that says what the one in force does.

    This includes a processing that only a version to come ties to the controller, and takes effect now: a version to
    come is overtaken, with the consents that were given ahead to it.
    """
    for identifier in await load_processings(session):
        entry = await hold_registered(session, identifier)
        record, now = entry.record, await session.now()
        if record.facts.status_at(now) is Status.RETIRED:
            continue
        current = record.facts.version_at(now)
        number = current.number if current is not None else 0
        if not any(controller.id in each.controllers for each in record.versions if each.facts.number >= number):
            continue
        if entry.waiting is not None:
            raise ProposalPendingError
        previous = record.version(number) or record.versions[-1]
        begins = now if current is not None else previous.facts.effective_from
        facts = replace(previous.facts, number=entry.last_number + 1, effective_from=begins, material=True)
        reason = f"Controller {controller.id} has another name or country."
        version = replace(previous, facts=facts, recorded_at=now, reason=reason)
        await append_approved(session, caller, record, version)
