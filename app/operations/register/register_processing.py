"""Register a processing: its first version, in force at once, or proposed to a second person."""

from app.audit.trail import ActKind, Target, TargetKind, record_act
from app.auth.callers import Caller
from app.core.errors import ProcessingExistsError
from app.core.processing import Status, StatusChange
from app.core.register.approval import RegisterApproval, needs_approval
from app.db.session import WriteSession
from app.operations.register.resolve_controllers import resolve_controllers
from app.operations.register.version_draft import VersionDraft
from app.operations.service.gate import check_proposer, how_many_decide
from app.register.proposals import add_proposal
from app.register.records import ProcessingRecord, Proposal, Registered
from app.register.store import add_processing
from app.snapshot.tables import ChangeKind, record_change


async def register_processing(
    session: WriteSession, caller: Caller, identifier: str, draft: VersionDraft, approval: RegisterApproval
) -> Registered:
    """Register a processing under an id. Where two persons are needed it is denied until the second has approved it.

    Raises:
        ProcessingExistsError: the id is taken; a change to it is a new version.
        InvalidVersionError: a controller is not registered, or a justification is missing.
        PersonsOnlyError, NoSecondPersonError: it has to wait, and nobody could approve it.

    """
    controllers = await resolve_controllers(session, caller, draft)
    now = await session.now()
    version = draft.version(1, effective_from=now, material=True, recorded_at=now, controllers=controllers)
    asked = await how_many_decide(session, approval)
    waits = needs_approval(asked, None, version.facts, words_changed=False, struck=False, ahead=False)
    if waits:
        await check_proposer(session, caller)
    changes = (StatusChange(now, Status.PROPOSED),) if waits else ()
    names = {each.id: each.legal_name for each in controllers}
    record = ProcessingRecord(
        identifier, controllers[0].legal_name, draft.purpose, now, (version,), changes, controller_names=names
    )
    if not await add_processing(session, record, by=caller.id):
        raise ProcessingExistsError
    await record_change(session, ChangeKind.PROCESSING, identifier.encode())
    target = Target(TargetKind.PROCESSING, identifier)
    told = {"version": 1, "purpose": draft.purpose.value}
    await record_act(session, ActKind.PROCESSING_REGISTERED, caller.id, target, told)
    if not waits:
        return Registered(record)
    await add_proposal(session, identifier, version, by=caller.id)
    await record_act(session, ActKind.PROCESSING_PROPOSED, caller.id, target, {"version": 1})
    return Registered(record, (Proposal(version, caller.id),))
