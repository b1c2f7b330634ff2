"""Register a processing: its first version, in force at once."""

from app.audit.acts import ActKind, Target, TargetKind
from app.audit.trail import record_act
from app.auth.callers import Caller
from app.core.errors import ProcessingExistsError
from app.db.session import WriteSession
from app.operations.register.version_draft import VersionDraft
from app.register.records import ProcessingRecord
from app.register.store import add_processing
from app.snapshot.changes import ChangeKind, record_change


async def register_processing(
    session: WriteSession, caller: Caller, identifier: str, draft: VersionDraft
) -> ProcessingRecord:
    """Register a processing under an id.

    Raises:
        ProcessingExistsError: the id is taken; a change to it is a new version.

    """
    now = await session.now()
    version = draft.version(1, effective_from=now, material=True, recorded_at=now)
    record = ProcessingRecord(identifier, draft.controller, draft.purpose, now, (version,), ())
    if not await add_processing(session, record, by=caller.id):
        raise ProcessingExistsError
    await record_change(session, ChangeKind.PROCESSING, identifier.encode())
    told = {"version": 1, "purpose": draft.purpose.value}
    await record_act(session, ActKind.PROCESSING_REGISTERED, caller.id, Target(TargetKind.PROCESSING, identifier), told)
    return record
