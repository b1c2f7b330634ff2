"""Add a version to a processing, in force now or later, or propose it to a second person."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from app.audit.trail import ActKind, Detail, Target, TargetKind, record_act
from app.auth.callers import Caller
from app.core.article import CONSENT_PURPOSES, Purpose
from app.core.consent_text import ConsentText
from app.core.errors import (
    InvalidVersionError,
    NotFoundError,
    ProcessingExistsError,
    ProcessingRetiredError,
)
from app.core.period import PeriodPolicy
from app.core.processing import ProcessingVersion, Status, StatusChange, check_successor
from app.core.register import (
    ControllerKind,
    FieldChange,
    Gated,
    GateProposal,
    NotProposedError,
    ProcessingNotApprovedError,
    ProposalPendingError,
    RegisterApproval,
    check_lawful,
    id_of_name,
    needs_approval,
    unusual,
    version_changes,
)
from app.db.session import ChangeKind, ReadSession, WriteSession, uuid7
from app.operations.service.gate import check_proposer, how_many_decide, pass_gate
from app.register.gate import add_proposal, hold_registered, read_names, read_register
from app.register.records import (
    ControllerRecord,
    ControllerVersion,
    Particulars,
    ProcessingRecord,
    Proposal,
    Registered,
    VersionRecord,
    consent_texts,
    who_is,
)
from app.register.store import add_controller, add_processing, add_status_change, load_controllers, version_as_json
from app.register.store import add_version as append_version


@dataclass(frozen=True, slots=True)
class VersionDraft:
    """All that a caller says of one version of a processing.

    `facts`: what rules read, still without number, instant and controllers. Its controllers come as ids of their
    records, or as one legal name in `controller`. `reason`: why the words change in a version that is not material.
    """

    purpose: Purpose
    facts: ProcessingVersion
    name: Mapping[str, str]
    notice: Mapping[str, str]
    contact: str | None = None
    controllers: tuple[str, ...] = ()
    controller: str | None = None
    particulars: Particulars = field(default_factory=Particulars)
    reason: str | None = None

    def version(
        self,
        number: int,
        *,
        effective_from: datetime,
        material: bool,
        recorded_at: datetime,
        controllers: Sequence[ControllerRecord],
    ) -> VersionRecord:
        """Return this draft as a numbered version of these controllers.

        Raises:
            InvalidVersionError: no lawful consent could rest on it (`check_lawful`); or it is of III, and something
                unusual for that is not justified.

        """
        ids = tuple(each.id for each in controllers)
        facts = replace(
            self.facts, number=number, effective_from=effective_from, material=material, controllers=frozenset(ids)
        )
        check_lawful(self.purpose, facts)
        if unusual(self.purpose, facts) and self.particulars.justification is None:
            message = (
                "A purpose of III that has data recipients, or that keeps data for over 30 days, needs a justification."
            )
            raise InvalidVersionError(message, field="justification")
        return VersionRecord(
            facts,
            self.name,
            self.notice,
            recorded_at,
            contact=self.contact,
            controllers=ids,
            particulars=self.particulars,
            reason=self.reason,
        )


async def find_controllers(session: ReadSession, draft: VersionDraft) -> tuple[ControllerRecord | None, ...]:
    """Return the records that a draft names, in its order; None for a legal name that has no record yet.

    A legal name stands for the record of kind `other` that has it today, the first by id if there are several; else
    for the record under the id that is derived from it (`id_of_name`), even if that has another name by now.

    Raises:
        InvalidVersionError: an id is not a controller's.

    """
    if draft.controller is not None:
        known = await load_controllers(session)
        named = (
            each for each in known.values() if each.kind is ControllerKind.OTHER and each.legal_name == draft.controller
        )
        return (next(named, known.get(id_of_name(draft.controller))),)
    controllers = await load_controllers(session, draft.controllers)
    if len(controllers) < len(set(draft.controllers)):
        message = "One of the controllers is not registered: PUT /v1/controllers/{id} first."
        raise InvalidVersionError(message, field="controllers")
    return tuple(controllers[each] for each in draft.controllers)


async def resolve_controllers(
    session: WriteSession, caller: Caller, draft: VersionDraft
) -> tuple[ControllerRecord, ...]:
    """Return the records that a draft names, in its order; make one for a legal name that has none.

    Raises:
        InvalidVersionError: an id is not a controller's.

    """
    controllers = await find_controllers(session, draft)
    return tuple([each or await _new_controller(session, caller, draft) for each in controllers])


async def _new_controller(session: WriteSession, caller: Caller, draft: VersionDraft) -> ControllerRecord:
    record = _unknown(draft, await session.now())
    await add_controller(session, record, by=caller.id)  # on the trail it is part of the act that names it
    return record


async def register_processing(
    session: WriteSession, caller: Caller, identifier: str, draft: VersionDraft, approval: RegisterApproval
) -> Registered:
    """Register a processing under an id. Where two persons are needed it is denied until the second has approved it.

    Raises:
        ProcessingExistsError: the id is taken; a change to it is a new version.
        InvalidVersionError: a controller is not registered, or a justification is missing.
        PersonsOnlyError, NoSecondPersonError: it would wait, and could never be approved.

    """
    controllers = await resolve_controllers(session, caller, draft)
    now = await session.now()
    version = draft.version(1, effective_from=now, material=True, recorded_at=now, controllers=controllers)
    required = await how_many_decide(session, approval)
    waits = needs_approval(required, None, version.facts, words_changed=False, struck=False, ahead=False)
    if waits:
        await check_proposer(session, caller)
    changes = (StatusChange(now, Status.PROPOSED),) if waits else ()
    names = {each.id: each.legal_name for each in controllers}
    record = ProcessingRecord(
        identifier, controllers[0].legal_name, draft.purpose, now, (version,), changes, controller_names=names
    )
    if not await add_processing(session, record, by=caller.id):
        raise ProcessingExistsError
    session.change(ChangeKind.PROCESSING, identifier.encode())
    target = Target(TargetKind.PROCESSING, identifier)
    detail = {"version": 1, "purpose": draft.purpose.value}
    await record_act(session, ActKind.PROCESSING_REGISTERED, caller.id, target, detail)
    if not waits:
        return Registered(record)
    return Registered(record, (await _proposed(session, caller, identifier, version),))


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
        PersonsOnlyError, NoSecondPersonError: it would wait, and could never be approved.
        InvalidVersionError: the purpose differs; a controller is not registered; `effective_from` is past, or before
            the version it follows; it claims to have started before the first version did; the change is material and
            `material` is false; it says again what was invalidated; or a justification is missing, or the reason why
            texts change.

    """
    entry = await hold_registered(session, identifier)
    record, now = entry.record, await session.now()
    _check(entry, draft, now)
    begins = _begins(effective_from, now)
    controllers = await resolve_controllers(session, caller, draft)
    version = draft.version(
        entry.last_number + 1, effective_from=begins, material=material, recorded_at=now, controllers=controllers
    )
    check_successor(record.versions[-1].facts, version.facts)
    refuse_struck(record, version, now)
    if _waits(await how_many_decide(session, approval), record, version):
        await check_proposer(session, caller)
        proposed = await _proposed(session, caller, identifier, version)
        return await read_names(session, replace(entry, proposals=(*entry.proposals, proposed)))
    await append_approved(session, caller, record, version)
    await _record(session, caller, identifier, version)
    added = replace(record, versions=(*record.versions, version))
    return await read_names(session, Registered(added, entry.proposals))


async def _record(session: WriteSession, caller: Caller, identifier: str, version: VersionRecord) -> None:
    facts = version.facts
    extra: dict[str, Detail] = {
        "version": facts.number,
        "material": facts.material,
        "effective_from": (facts.effective_from or version.recorded_at).isoformat(),
    }
    await record_act(session, ActKind.PROCESSING_VERSIONED, caller.id, Target(TargetKind.PROCESSING, identifier), extra)


def refuse_struck(record: ProcessingRecord, version: VersionRecord, now: datetime) -> None:
    """Refuse a version that says again what was invalidated.

    Raises:
        InvalidVersionError: the version does.

    """
    if record.says_what_was_struck(version, now):
        message = "This says again what was invalidated: change the notice, or what people are told."
        raise InvalidVersionError(message, field="notice")


async def append_approved(
    session: WriteSession, caller: Caller, record: ProcessingRecord, version: VersionRecord
) -> None:
    """Put a version where decisions see it; it may forbid what was permitted, so its answer waits for every replica.

    Raises:
        InvalidVersionError: it says again what was invalidated.

    """
    refuse_struck(record, version, await session.now())
    session.narrow()
    await append_version(session, record.id, version, by=caller.id)
    what = {"what": f"version {version.facts.number} was added", "about": f"processing {record.id}"}
    session.note("other", what)
    session.change(ChangeKind.PROCESSING, record.id.encode())


def _begins(effective_from: datetime | None, now: datetime) -> datetime:
    if effective_from is None or now - _CLOCK_ERROR <= effective_from < now:  # the caller's own "now"
        return now
    if effective_from < now:
        raise InvalidVersionError("A version comes into force now or later, never in the past.", field="effective_from")
    return effective_from


def _check(entry: Registered, draft: VersionDraft, now: datetime) -> None:
    record = entry.record
    if record.facts.status_at(now) is Status.RETIRED:
        raise ProcessingRetiredError
    if entry.waiting is not None:
        raise ProposalPendingError
    if record.purpose is not draft.purpose:
        raise InvalidVersionError("The purpose cannot change: that is a new processing.", field="purpose")
    if draft.facts.started_on < record.versions[0].facts.started_on:
        # The first version says whether it ran before 31 March 2017: a later one cannot make it older (rule 10).
        raise InvalidVersionError("A version cannot have started before the first one did.", field="started_on")


def _waits(required: RegisterApproval, record: ProcessingRecord, version: VersionRecord) -> bool:
    last, struck = record.versions[-1], bool(record.invalidations)
    ahead = (version.facts.effective_from or version.recorded_at) > version.recorded_at
    words_changed = version.words != last.words
    if words_changed and not version.facts.material and version.reason is None:
        message = (
            "The words change and the version is not material: say why in `reason`; another person approves it. Or set "
            "`material` to true."
        )
        raise InvalidVersionError(message, field="reason")
    return needs_approval(required, last.facts, version.facts, words_changed=words_changed, struck=struck, ahead=ahead)


async def _proposed(session: WriteSession, caller: Caller, identifier: str, version: VersionRecord) -> Proposal:
    """Record a version as a proposal at the gate."""
    at, wanted = version.recorded_at, version_as_json(version)
    made = GateProposal(uuid7(at), Gated.VERSION, identifier, wanted, at, caller.id)
    await add_proposal(session, made)
    target = Target(TargetKind.PROCESSING, identifier)
    await record_act(session, ActKind.PROCESSING_PROPOSED, caller.id, target, {"version": version.facts.number})
    return Proposal(version, made)


# What a new version would change and whom it would concern; nothing is recorded.


@dataclass(frozen=True, slots=True)
class PreviewedVersion:
    """A version as it would be, what differs from the one before it, and whether a second person has to approve it.

    `ends_consents`: consents given before it would have to be asked for anew.
    """

    version: VersionRecord
    changes: Sequence[FieldChange]
    waits: bool
    ends_consents: bool


async def preview_version(
    session: ReadSession, identifier: str, draft: VersionDraft, approval: RegisterApproval, *, material: bool
) -> PreviewedVersion:
    """Return what `add_version` would do now.

    Raises:
        DomainError: as `add_version` does, except about the caller and the second person.

    """
    entry = (await read_register(session, [identifier])).get(identifier)
    if entry is None:
        raise NotFoundError
    record, now = entry.record, await session.now()
    _check(entry, draft, now)
    controllers = [each or _unknown(draft, now) for each in await find_controllers(session, draft)]
    version = draft.version(
        entry.last_number + 1, effective_from=now, material=material, recorded_at=now, controllers=controllers
    )
    last = record.versions[-1]
    check_successor(last.facts, version.facts)
    refuse_struck(record, version, now)
    waits = _waits(await how_many_decide(session, approval), record, version)
    changes = version_changes(last.facts, version.facts, words_before=last.texts, words_after=version.texts)
    return PreviewedVersion(version, changes, waits, ends_consents=record.facts.rests_on_consent and material)


def _unknown(draft: VersionDraft, now: datetime) -> ControllerRecord:
    """Return the record that would be made for a legal name that has none."""
    name = draft.controller or ""
    return ControllerRecord(id_of_name(name), ControllerKind.OTHER, None, now, (ControllerVersion(1, name, now),))


# Suspend, resume or retire a processing.

_ACTS: Final = {
    Status.ACTIVE: ActKind.PROCESSING_RESUMED,
    Status.SUSPENDED: ActKind.PROCESSING_SUSPENDED,
    Status.RETIRED: ActKind.PROCESSING_RETIRED,
}


async def change_status(
    session: WriteSession, caller: Caller, identifier: str, status: Status, approval: RegisterApproval
) -> Registered | GateProposal:
    """Give a processing a status from now on; to give it the one that it has already changes nothing.

    Where two persons decide, a suspended processing of IV resumes once the second has approved it. One of III resumes
    at once: mail must not wait.

    Raises:
        NotFoundError: no such processing.
        ProcessingRetiredError: it is retired, which is final.
        ProcessingNotApprovedError: it waits for a second person, and can only be retired.
        PersonsOnlyError, NoSecondPersonError: that it resumes could never be approved.

    """
    entry = await hold_registered(session, identifier)
    record = entry.record
    last = record.status_changes[-1] if record.status_changes else None
    before = last.status if last is not None else Status.ACTIVE
    session.change(ChangeKind.PROCESSING, identifier.encode())
    if status is not Status.ACTIVE:
        session.narrow()
    if before is status:
        return await read_names(session, entry)
    if before is Status.RETIRED:
        raise ProcessingRetiredError
    if before is Status.PROPOSED and status is not Status.RETIRED:
        raise ProcessingNotApprovedError
    if status is Status.ACTIVE and record.facts.rests_on_consent:
        waits = await pass_gate(session, caller, approval, Gated.RESUMPTION, identifier, {})
        if waits is not None:
            return waits
        session.widen()
    return await _change(session, caller, entry, status)


async def resume(session: WriteSession, caller: Caller, identifier: str) -> None:
    """Resume a suspended processing of IV, which a second person has approved.

    Raises:
        NotFoundError: no such processing.
        NotProposedError: it is not suspended any more.

    """
    entry = await hold_registered(session, identifier)
    changes = entry.record.status_changes
    if not changes or changes[-1].status is not Status.SUSPENDED:
        raise NotProposedError
    session.widen()
    session.change(ChangeKind.PROCESSING, identifier.encode())
    await _change(session, caller, entry, Status.ACTIVE)


async def _change(session: WriteSession, caller: Caller, entry: Registered, status: Status) -> Registered:
    record = entry.record
    change = StatusChange(record.next_instant(await session.now()), status)
    await add_status_change(session, record.id, change, by=caller.id)
    await record_act(session, _ACTS[status], caller.id, Target(TargetKind.PROCESSING, record.id))
    return await read_names(session, replace(entry, record=replace(record, changes=(*record.changes, change))))


# Show the text that a processing would ask consent with; nothing is recorded.


async def preview_processing(
    session: ReadSession, draft: VersionDraft, policy: PeriodPolicy
) -> Mapping[str, ConsentText]:
    """Return the text of a draft in each language, as it would be shown and hashed if it were registered now.

    Empty for a purpose that does not rest on consent.

    Raises:
        InvalidVersionError: a controller is not registered, or a justification is missing.

    """
    now = await session.now()
    controllers = [each or _unknown(draft, now) for each in await find_controllers(session, draft)]
    version = draft.version(1, effective_from=now, material=True, recorded_at=now, controllers=controllers)
    if draft.purpose not in CONSENT_PURPOSES:
        return {}
    return consent_texts(draft.purpose, [who_is(each) for each in controllers], version, policy)
