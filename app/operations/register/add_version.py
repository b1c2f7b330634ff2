"""Add a version to a processing, in force now or later, or propose it to a second person."""

from dataclasses import replace
from datetime import datetime, timedelta

from app.audit.trail import ActKind, Detail, Target, TargetKind, record_act
from app.auth.callers import Caller
from app.core.errors import InvalidVersionError, NotFoundError, ProcessingRetiredError
from app.core.processing import Status, check_successor
from app.core.register.approval import RegisterApproval, needs_approval
from app.core.register.errors import ProposalPendingError
from app.db.session import WriteSession
from app.operations.register.read_register import read_names
from app.operations.register.resolve_controllers import resolve_controllers
from app.operations.register.version_draft import VersionDraft
from app.operations.service.gate import check_proposer, how_many_decide
from app.register.proposals import add_proposal, load_proposals
from app.register.records import ProcessingRecord, Proposal, Registered, VersionRecord
from app.register.store import add_version as append_version
from app.register.store import lock_processing
from app.snapshot.tables import ChangeKind, record_change

_CLOCK_ERROR = timedelta(minutes=1)


async def add_version(
    session: WriteSession,
    caller: Caller,
    identifier: str,
    draft: VersionDraft,
    approval: RegisterApproval,
    *,
    material: bool,
    effective_from: datetime | None = None,
) -> Registered:
    """Append a full new version, or propose it: other texts in a version that is not material always wait.

    Raises:
        NotFoundError: no such processing.
        ProcessingRetiredError: it is retired.
        ProposalPendingError: an earlier version of it waits for a second person.
        PersonsOnlyError, NoSecondPersonError: it has to wait, and nobody could approve it.
        InvalidVersionError: the purpose differs; a controller is not registered; `effective_from` is past, or before
            the version it follows; it claims to have started before the first version did; the change is material and
            `material` is false; it says again what was invalidated; or a justification is missing, or the reason why
            texts change.

    """
    record = await lock_processing(session, identifier)
    if record is None:
        raise NotFoundError
    now = await session.now()
    known = Registered(record, (await load_proposals(session, [identifier]))[identifier])
    _check(known, draft, now)
    begins = _begins(effective_from, now)
    controllers = await resolve_controllers(session, caller, draft)
    version = draft.version(
        known.last_number + 1, effective_from=begins, material=material, recorded_at=now, controllers=controllers
    )
    check_successor(record.versions[-1].facts, version.facts)
    refuse_struck(record, version, now)
    if _waits(await how_many_decide(session, approval), record, version):
        await check_proposer(session, caller)
        return await _propose(session, caller, known, version)
    await append_approved(session, caller, record, version)
    await _record(session, caller, identifier, version)
    added = replace(record, versions=(*record.versions, version))
    return await read_names(session, Registered(added, known.proposals))


async def _record(session: WriteSession, caller: Caller, identifier: str, version: VersionRecord) -> None:
    facts = version.facts
    told: dict[str, Detail] = {
        "version": facts.number,
        "material": facts.material,
        "effective_from": (facts.effective_from or version.recorded_at).isoformat(),
    }
    await record_act(session, ActKind.PROCESSING_VERSIONED, caller.id, Target(TargetKind.PROCESSING, identifier), told)


def refuse_struck(record: ProcessingRecord, version: VersionRecord, now: datetime) -> None:
    """Refuse a version that says again what was invalidated.

    Raises:
        InvalidVersionError: it does.

    """
    if record.says_what_was_struck(version, now):
        message = "This says again what was invalidated: change the notice, or what people are told."
        raise InvalidVersionError(message, field="notice")


async def append_approved(
    session: WriteSession, caller: Caller, record: ProcessingRecord, version: VersionRecord
) -> None:
    """Put a version where decisions meet it; it may forbid what was permitted, so every replica must have heard.

    Raises:
        InvalidVersionError: it says again what was invalidated.

    """
    refuse_struck(record, version, await session.now())
    session.narrow()
    await append_version(session, record.id, version, by=caller.id)
    what = {"what": f"version {version.facts.number} was added", "about": f"processing {record.id}"}
    session.note("other", what)
    await record_change(session, ChangeKind.PROCESSING, record.id.encode())


def _begins(effective_from: datetime | None, now: datetime) -> datetime:
    if effective_from is None or now - _CLOCK_ERROR <= effective_from < now:  # the caller's own "now"
        return now
    if effective_from < now:
        raise InvalidVersionError("A version comes into force now or later, never in the past.", field="effective_from")
    return effective_from


def _check(known: Registered, draft: VersionDraft, now: datetime) -> None:
    record = known.record
    if record.facts.status_at(now) is Status.RETIRED:
        raise ProcessingRetiredError
    if known.waiting is not None:
        raise ProposalPendingError
    if record.purpose is not draft.purpose:
        raise InvalidVersionError("The purpose cannot change: that is a new processing.", field="purpose")
    if draft.facts.started_on < record.versions[0].facts.started_on:
        # What ran before 31 March 2017 is told by its first version: a later one cannot make it older (rule 10).
        raise InvalidVersionError("A version cannot have started before the first one did.", field="started_on")


def _waits(asked: RegisterApproval, record: ProcessingRecord, version: VersionRecord) -> bool:
    last, struck = record.versions[-1], bool(record.invalidations)
    ahead = (version.facts.effective_from or version.recorded_at) > version.recorded_at
    words_changed = version.words != last.words
    if words_changed and not version.facts.material and version.reason is None:
        message = (
            "The words change and the version is not material: say why in `reason`; another person approves it. Or set "
            "`material` to true."
        )
        raise InvalidVersionError(message, field="reason")
    return needs_approval(asked, last.facts, version.facts, words_changed=words_changed, struck=struck, ahead=ahead)


async def _propose(session: WriteSession, caller: Caller, known: Registered, version: VersionRecord) -> Registered:
    await add_proposal(session, known.record.id, version, by=caller.id)
    target = Target(TargetKind.PROCESSING, known.record.id)
    await record_act(session, ActKind.PROCESSING_PROPOSED, caller.id, target, {"version": version.facts.number})
    return await read_names(session, replace(known, proposals=(*known.proposals, Proposal(version, caller.id))))
