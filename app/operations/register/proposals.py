"""Approve or reject what another person proposed; what was approved takes effect with the answer."""

from dataclasses import dataclass, replace
from uuid import UUID

from app.audit.trail import ActKind, Target, TargetKind, record_act
from app.auth.callers import Caller, Scope
from app.core.errors import NotFoundError, ProcessingRetiredError
from app.core.processing import Status, StatusChange
from app.core.register import Gated, GateProposal, NotProposedError, RegisterApproval, Ruling
from app.db.session import ChangeKind, WriteSession
from app.journal.store import NewEpoch
from app.operations.register.add_version import append_approved, resume
from app.operations.register.controllers import approve_controller_version
from app.operations.service.check_deployment import accept_restore
from app.operations.service.gate import check_person, check_second_person, pass_gate
from app.register.gate import add_ruling, hold_proposal, hold_registered, load_proposal, read_names
from app.register.records import Proposal, Registered
from app.register.store import add_status_change


@dataclass(frozen=True, slots=True)
class GateAnswer:
    """What a second person answers, and why.

    `same_legal_person`: for a controller's version, the approver states that it is the same legal person.
    """

    approved: bool
    reason: str
    same_legal_person: bool = False


async def rule_on(
    session: WriteSession, caller: Caller, about: UUID | tuple[str, int], answer: GateAnswer, *, known_epoch: int
) -> Registered | GateProposal:
    """Approve or reject a proposal by its id, or a version by its processing and number; an approval takes effect now.

    A person may reject their own proposal: that takes it back.

    Args:
        session: the transaction.
        caller: the caller that answers.
        about: the proposal or version that is answered.
        answer: the answer.
        known_epoch: for the acceptance of a restore, the latest epoch that this host knows.

    Raises:
        NotFoundError: no such processing, version or proposal.
        NotProposedError: it does not wait; or what it is about has changed.
        ProcessingRetiredError: the processing is retired.
        PersonsOnlyError: the caller is a program.
        OwnProposalError: it is approved, but the caller and the proposer may be one human being.
        InvalidVersionError: what the version says was invalidated since it was proposed.
        ScopeMissingError: it is a restore, and the caller may not recover the deployment.

    """
    if isinstance(about, UUID):
        proposal = await load_proposal(session, about)
        if proposal is None:
            raise NotFoundError("There is no such proposal.")
        if proposal.kind is not Gated.VERSION:
            return await _rule_on_proposal(session, caller, about, answer, known_epoch)
        about = proposal.target, proposal.wanted["number"]
    return await _rule_on_version(session, caller, about, answer)


async def _rule_on_version(
    session: WriteSession, caller: Caller, about: tuple[str, int], answer: GateAnswer
) -> Registered:
    """Rule on a version: an approved one is in force from now on, or from its own instant if that is later.

    A new processing is retired if its first version is rejected.
    """
    entry, proposal = await _find(session, *about)
    record, number = entry.record, proposal.version.facts.number
    if answer.approved:
        await check_second_person(session, caller, proposal.made.by)
    else:
        check_person(caller)
    now = await session.now()
    ruling = Ruling(answer.approved, answer.reason, record.next_instant(now), caller.id)
    if number == 1:
        if not answer.approved:
            session.narrow()
        change = StatusChange(ruling.at, Status.ACTIVE if answer.approved else Status.RETIRED)
        await add_status_change(session, record.id, change, by=caller.id)
        session.change(ChangeKind.PROCESSING, record.id.encode())
        record = replace(record, changes=(*record.changes, change))
    elif answer.approved:
        facts = proposal.version.facts
        begins = max(facts.effective_from or now, now)
        version = replace(proposal.version, facts=replace(facts, effective_from=begins), recorded_at=now)
        await append_approved(session, caller, record, version)
        record = replace(record, versions=(*record.versions, version))
    await add_ruling(session, proposal.made.id, ruling)
    act = ActKind.PROCESSING_APPROVED if answer.approved else ActKind.PROCESSING_REJECTED
    await record_act(session, act, caller.id, Target(TargetKind.PROCESSING, record.id), {"version": number})
    answered = replace(proposal, made=replace(proposal.made, ruling=ruling))
    ruled = tuple(answered if each is proposal else each for each in entry.proposals)
    return await read_names(session, replace(entry, record=record, proposals=ruled))


async def _find(session: WriteSession, identifier: str, number: int) -> tuple[Registered, Proposal]:
    entry = await hold_registered(session, identifier)
    waiting, changes = entry.waiting, entry.record.status_changes
    if waiting is None or waiting.version.facts.number != number:
        if number > entry.last_number:
            raise NotFoundError("There is no such version.", field="version")
        raise NotProposedError(field="version")
    if changes and changes[-1].status is Status.RETIRED:
        raise ProcessingRetiredError
    return entry, waiting


async def accept_or_propose_restore(
    session: WriteSession, caller: Caller, lost: str, approval: RegisterApproval, *, known_epoch: int
) -> GateProposal | int:
    """Accept a restored database as it is, and return the number of the epoch that begins; or the proposal that waits.

    Args:
        session: the transaction.
        caller: the person who answers for it.
        lost: what the database lacks for good, in words; they stay with the epoch.
        approval: how many people this process is set to ask for.
        known_epoch: the latest epoch that this host knows.

    Raises:
        PersonsOnlyError, NoSecondPersonError: it could never be approved.
        ProposalPendingError: another acceptance waits.

    """
    waits = await pass_gate(session, caller, approval, Gated.RESTORE, "", {"lost": lost})
    return waits or await accept_restore(session, NewEpoch(lost, by=caller.id), known=known_epoch)


# Approve or reject what waits at the gate: what was approved takes effect with the answer.

_TARGETS = {
    Gated.RESUMPTION: TargetKind.PROCESSING,
    Gated.CONTROLLER_VERSION: TargetKind.CONTROLLER,
    Gated.IMPORT: TargetKind.IMPORT,
}


async def _rule_on_proposal(
    session: WriteSession, caller: Caller, identifier: UUID, answer: GateAnswer, known_epoch: int
) -> GateProposal:
    """Rule on a proposal; a shorter retention still awaits `sceau consents retention sign`, an import its rows."""
    proposal = await hold_proposal(session, identifier)
    if proposal is None:
        raise NotFoundError("There is no such proposal.")
    if proposal.ruling is not None:
        raise NotProposedError
    if not answer.approved:
        check_person(caller)
        return await _rule(session, caller, proposal, answer)
    if proposal.kind is Gated.RESTORE:
        caller.require(Scope.DEPLOYMENT_RECOVER)
    await check_second_person(session, caller, proposal.by)
    match proposal.kind:
        case Gated.RESUMPTION:
            await resume(session, caller, proposal.target)
        case Gated.CONTROLLER_VERSION:
            await approve_controller_version(
                session, caller, proposal.target, proposal.wanted, same_legal_person=answer.same_legal_person
            )
        case Gated.RESTORE:
            await accept_restore(session, NewEpoch(proposal.wanted["lost"], by=caller.id), known=known_epoch)
        case _:
            pass  # the owner's command, or the importer, finds that it was approved
    return await _rule(session, caller, proposal, answer)


async def _rule(session: WriteSession, caller: Caller, proposal: GateProposal, answer: GateAnswer) -> GateProposal:
    ruling = Ruling(answer.approved, answer.reason, await session.now(), caller.id)
    await add_ruling(session, proposal.id, ruling)
    target = _TARGETS.get(proposal.kind)
    about = Target(target, proposal.target) if target is not None else Target()
    act = ActKind.PROPOSAL_APPROVED if answer.approved else ActKind.PROPOSAL_REJECTED
    await record_act(session, act, caller.id, about, {"kind": proposal.kind.value})
    return replace(proposal, ruling=ruling)
