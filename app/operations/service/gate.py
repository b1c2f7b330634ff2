"""Who may propose what may permit more, and who may approve it: two human beings (`app.core.register`).

Two callers are two human beings if no person who may stand behind the one may stand behind the other. A person who
made a key or registered an account, or made the caller that did, may use it. One human being may have a key and an
account, and an account at each issuer. The key that bootstraps a deployment makes the first persons' callers, and
proposes and approves nothing.
"""

from collections.abc import Mapping
from itertools import product
from typing import Any
from uuid import UUID

from app.auth.callers import Caller, CallerKind, Identity, Scope
from app.auth.store import holders_of, list_persons
from app.core.errors import PersonsOnlyError
from app.core.register import (
    APPROVAL_CHECK,
    MOST_WAITING,
    Gated,
    GateProposal,
    NoSecondPersonError,
    OwnProposalError,
    ProposalPendingError,
    RegisterApproval,
)
from app.db.session import ReadSession, WriteSession, uuid7
from app.ledger.identifiers import load_check
from app.register.gate import add_proposal, load_waiting


def check_person(caller: Caller) -> None:
    """Refuse a program.

    Raises:
        PersonsOnlyError: the caller is a program.

    """
    if caller.kind is not CallerKind.PERSON:
        raise PersonsOnlyError


async def check_second_person(session: ReadSession, caller: Caller, proposed_by: UUID) -> None:
    """Refuse a caller that is not certainly another human being than the proposer.

    Raises:
        PersonsOnlyError: the caller is a program.
        OwnProposalError: the two may be one human being.

    """
    check_person(caller)
    both = await holders_of(session, [caller.id, proposed_by])
    if not _are_two(both[caller.id], both[proposed_by]):
        raise OwnProposalError


async def check_proposer(session: ReadSession, caller: Caller, scope: Scope = Scope.REGISTER_APPROVE) -> None:
    """Refuse a proposal that could never be approved.

    Args:
        session: the database.
        caller: the caller that proposes.
        scope: what the approver must be allowed besides.

    Raises:
        PersonsOnlyError: the caller is a program.
        NoSecondPersonError: no other person could approve it.

    """
    check_person(caller)
    others = [
        person.id
        for person in await list_persons(session)
        if person.revoked_at is None and {Scope.REGISTER_APPROVE, scope} <= person.scopes
    ]
    holders = await holders_of(session, [caller.id, *others])
    if not any(_are_two(holders[caller.id], holders[other]) for other in others):
        raise NoSecondPersonError


def _are_two(one: frozenset[UUID | Identity], other: frozenset[UUID | Identity]) -> bool:
    """Return whether two callers are certainly two human beings: those who may stand behind them differ, each pair."""
    return all(_differ(each, another) for each, another in product(one, other))


def _differ(one: UUID | Identity, other: UUID | Identity) -> bool:
    """Return whether these are certainly two people: two accounts of one issuer, or the holders of two keys.

    A key and an account, or accounts of two issuers, may belong to one human being.
    """
    if isinstance(one, Identity) and isinstance(other, Identity):
        return one.issuer == other.issuer and one.subject != other.subject
    return type(one) is type(other) and one != other


async def how_many_decide(session: ReadSession, setting: RegisterApproval) -> RegisterApproval:
    """Return two if this process's setting or the database says so: every decision asks here, and nowhere else.

    The database keeps that two decide, from the first process that says so. A process that was started with `one`
    before that learns it here, in the transaction in which it would act.
    """
    if setting is RegisterApproval.ONE and await load_check(session, APPROVAL_CHECK) is not None:
        return RegisterApproval.TWO
    return setting


async def pass_gate(  # noqa: PLR0917 - an act, who wants it, and how many decide
    session: WriteSession,
    caller: Caller,
    approval: RegisterApproval,
    kind: Gated,
    target: str,
    wanted: Mapping[str, Any],
) -> GateProposal | None:
    """Let an act pass, or propose it: all that may permit more goes through here.

    Args:
        session: the transaction.
        caller: the caller that wants it.
        approval: how many people this process is set to ask for.
        kind: what kind of act it is.
        target: the thing that it is about.
        wanted: the act.

    Returns:
        None where it may take effect now, else the proposal that waits.

    Raises:
        PersonsOnlyError, NoSecondPersonError: the proposal could never be approved.
        ProposalPendingError: another act on the same thing waits.

    """
    if await how_many_decide(session, approval) is RegisterApproval.ONE:
        return None
    return await propose(session, caller, kind, target, wanted)


async def propose(
    session: WriteSession, caller: Caller, kind: Gated, target: str, wanted: Mapping[str, Any]
) -> GateProposal:
    """Keep an act as a proposal; repeated while it waits, it gets the proposal that stands.

    Raises:
        PersonsOnlyError, NoSecondPersonError: the proposal could never be approved.
        ProposalPendingError: another act on the same thing waits.

    """
    await check_proposer(session, caller, Scope.DEPLOYMENT_RECOVER if kind is Gated.RESTORE else Scope.REGISTER_APPROVE)
    waiting = await load_waiting(session)
    stands = next((each for each in waiting if (each.kind, each.target) == (kind, target)), None)
    if stands is not None:
        if stands.wanted != wanted:
            raise ProposalPendingError
        return stands
    if len(waiting) >= MOST_WAITING:
        raise ProposalPendingError("Too many proposals wait: have some of them answered first.")
    now = await session.now()
    made = GateProposal(uuid7(now), kind, target, wanted, now, caller.id)
    await add_proposal(session, made)
    return made
