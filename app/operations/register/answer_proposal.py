"""Approve or reject what waits at the gate: what was approved takes effect with the answer."""

from dataclasses import replace
from uuid import UUID

from app.audit.trail import ActKind, Target, TargetKind, record_act
from app.auth.callers import Caller, Scope
from app.core.errors import NotFoundError
from app.core.register import Gated, GateProposal, NotProposedError, Ruling
from app.db.session import WriteSession
from app.journal.store import NewEpoch
from app.operations.register.add_version import resume
from app.operations.register.controllers import approve_controller_version
from app.operations.service.check_deployment import accept_restore
from app.operations.service.gate import check_person, check_second_person
from app.register.gate import add_ruling, hold_proposal

_TARGETS = {Gated.RESUMPTION: TargetKind.PROCESSING, Gated.CONTROLLER_VERSION: TargetKind.CONTROLLER}


async def approve_proposal(
    session: WriteSession,
    caller: Caller,
    identifier: UUID,
    reason: str,
    *,
    known_epoch: int,
    same_legal_person: bool = False,
) -> GateProposal:
    """Approve a proposal, which takes effect. A shorter retention is then signed by the owner (`sceau retention sign`).

    Args:
        session: the transaction.
        caller: who approves.
        identifier: the proposal's id.
        reason: why; it is kept.
        known_epoch: of the acceptance of a restore: the latest epoch that this host knows.
        same_legal_person: of a controller's version: whether the approver states that it is the same legal person.

    Raises:
        NotFoundError: no such proposal.
        NotProposedError: it does not wait; or what it is about has changed.
        PersonsOnlyError: the caller is a program.
        OwnProposalError: the caller and who proposed it may be one human being.
        ScopeMissingError: a restore is accepted by who may recover the deployment.

    """
    held = await _held(session, identifier)
    if held.kind is Gated.RESTORE:
        caller.require(Scope.DEPLOYMENT_RECOVER)
    await check_second_person(session, caller, held.by)
    match held.kind:
        case Gated.RESUMPTION:
            await resume(session, caller, held.target)
        case Gated.CONTROLLER_VERSION:
            await approve_controller_version(
                session, caller, held.target, held.wanted, same_legal_person=same_legal_person
            )
        case Gated.RESTORE:
            await accept_restore(session, NewEpoch(held.wanted["lost"], by=caller.id), known=known_epoch)
        case _:
            pass  # the owner's command finds that it was approved
    return await _rule(session, caller, held, approved=True, reason=reason)


async def reject_proposal(session: WriteSession, caller: Caller, identifier: UUID, reason: str) -> GateProposal:
    """Reject a proposal: it never takes effect. A person may reject what they proposed themselves: that takes it back.

    Raises:
        NotFoundError: no such proposal.
        NotProposedError: it does not wait.
        PersonsOnlyError: the caller is a program.

    """
    held = await _held(session, identifier)
    check_person(caller)
    return await _rule(session, caller, held, approved=False, reason=reason)


async def _held(session: WriteSession, identifier: UUID) -> GateProposal:
    held = await hold_proposal(session, identifier)
    if held is None:
        raise NotFoundError("There is no such proposal.")
    if held.ruling is not None:
        raise NotProposedError
    return held


async def _rule(
    session: WriteSession, caller: Caller, held: GateProposal, *, approved: bool, reason: str
) -> GateProposal:
    ruling = Ruling(approved, reason, await session.now(), caller.id)
    await add_ruling(session, held.id, ruling)
    target = _TARGETS.get(held.kind)
    about = Target(target, held.target) if target is not None else Target()
    act = ActKind.PROPOSAL_APPROVED if approved else ActKind.PROPOSAL_REJECTED
    await record_act(session, act, caller.id, about, {"kind": held.kind.value})
    return replace(held, ruling=ruling)
