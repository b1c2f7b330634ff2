"""Add a version to a processing, in force now or later."""

from dataclasses import replace
from datetime import datetime, timedelta

from app.audit.acts import ActKind, Detail, Target, TargetKind
from app.audit.trail import record_act
from app.auth.callers import Caller
from app.core.errors import InvalidVersionError, NotFoundError, ProcessingRetiredError
from app.core.processing import Status, check_successor
from app.db.session import WriteSession
from app.operations.register.version_draft import VersionDraft
from app.register.records import ProcessingRecord
from app.register.store import add_version as append_version
from app.register.store import lock_processing
from app.snapshot.changes import ChangeKind, record_change

_CLOCK_ERROR = timedelta(minutes=1)


async def add_version(
    session: WriteSession,
    caller: Caller,
    identifier: str,
    draft: VersionDraft,
    *,
    material: bool,
    effective_from: datetime | None = None,
) -> ProcessingRecord:
    """Append a full new version.

    Raises:
        NotFoundError: no such processing.
        ProcessingRetiredError: it is retired.
        InvalidVersionError: purpose or controller differ; `effective_from` is past, or before the version it follows;
            it claims to have started before the first version did; or the change is material and `material` is false.

    """
    record = await lock_processing(session, identifier)
    if record is None:
        raise NotFoundError
    now = await session.now()
    if record.facts.status_at(now) is Status.RETIRED:
        raise ProcessingRetiredError
    _check_identity(record, draft)
    if effective_from is not None and now - _CLOCK_ERROR <= effective_from < now:
        effective_from = now  # the caller's own "now"
    if effective_from is not None and effective_from < now:
        raise InvalidVersionError("A version comes into force now or later, never in the past.", field="effective_from")
    first, last = record.versions[0].facts, record.versions[-1].facts
    if draft.started_on < first.started_on:
        # What ran before 31 March 2017 is told by its first version: a later one cannot make it older (rule 10).
        raise InvalidVersionError("A version cannot have started before the first one did.", field="started_on")
    version = draft.version(last.number + 1, effective_from=effective_from or now, material=material, recorded_at=now)
    check_successor(last, version.facts)
    session.narrow()
    await append_version(session, identifier, version, by=caller.id)
    await record_change(session, ChangeKind.PROCESSING, identifier.encode())
    told: dict[str, Detail] = {
        "version": version.facts.number,
        "material": material,
        "effective_from": (effective_from or now).isoformat(),
    }
    await record_act(session, ActKind.PROCESSING_VERSIONED, caller.id, Target(TargetKind.PROCESSING, identifier), told)
    return replace(record, versions=(*record.versions, version))


def _check_identity(record: ProcessingRecord, draft: VersionDraft) -> None:
    for field, same in (
        ("purpose", record.purpose is draft.purpose),
        ("controller", record.controller == draft.controller),
    ):
        if not same:
            raise InvalidVersionError(f"The {field} cannot change: that is a new processing.", field=field)
