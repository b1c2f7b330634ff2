"""Who may propose what may permit more, and who may approve it: two human beings (`app.core.register`).

Two callers are two human beings where nobody who may stand behind the one may stand behind the other. Whoever made a
key or registered an account, or made the caller that did, may use it. One human being may have a key and an account,
and an account at each issuer. The key that bootstraps a deployment makes the first persons' callers, and proposes and
approves nothing.
"""

from dataclasses import replace
from itertools import product
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
from app.db.session import ReadSession, WriteSession
from app.ledger.vault import load_check
from app.register.gate import add_proposal, load_waiting


def check_person(caller: Caller) -> None:
    """Refuse a program.

    Raises:
        PersonsOnlyError: the caller is one.

    """
    if caller.kind is not CallerKind.PERSON:
        raise PersonsOnlyError


async def check_second_person(session: ReadSession, caller: Caller, proposed_by: UUID) -> None:
    """Refuse whoever is no second human being beside who proposed something.

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
        caller: who proposes.
        scope: what whoever approves must be allowed besides.

    Raises:
        PersonsOnlyError: the caller is a program.
        NoSecondPersonError: nobody else could approve it.

    """
    check_person(caller)
    others = [
        each.id
        for each in await list_persons(session)
        if each.revoked_at is None and {Scope.REGISTER_APPROVE, scope} <= each.scopes
    ]
    known = await holders_of(session, [caller.id, *others])
    if not any(_are_two(known[caller.id], known[other]) for other in others):
        raise NoSecondPersonError


def _are_two(one: frozenset[UUID | Identity], other: frozenset[UUID | Identity]) -> bool:
    """Whether two callers are certainly two human beings, by who may stand behind each: every pair of these is."""
    return all(_differ(each, another) for each, another in product(one, other))


def _differ(one: UUID | Identity, other: UUID | Identity) -> bool:
    """Whether these are certainly two: two accounts of one issuer, or the holders of two keys.

    A key and an account, or accounts of two issuers, may be one human being's.
    """
    if isinstance(one, Identity) and isinstance(other, Identity):
        return one.issuer == other.issuer and one.subject != other.subject
    return type(one) is type(other) and one != other


async def how_many_decide(session: ReadSession, setting: RegisterApproval) -> RegisterApproval:
    """Two if this process's setting or the database says so: the one place that tells, asked by whatever decides.

    The database keeps that two decide from the first process that says so. A process that said `one` and was started
    before that learns it here, in the transaction in which it would act.
    """
    if setting is RegisterApproval.ONE and await load_check(session, APPROVAL_CHECK) is not None:
        return RegisterApproval.TWO
    return setting


async def pass_gate(
    session: WriteSession, caller: Caller, approval: RegisterApproval, wanted: GateProposal
) -> GateProposal | None:
    """Let an act pass, or keep it as a proposal: the one place that what may permit more goes through.

    Args:
        session: the transaction.
        caller: who wants it.
        approval: how many human beings this process is set to ask for.
        wanted: the act; saying it again while it waits answers what stands.

    Returns:
        None where it may take effect now, else the proposal that waits.

    Raises:
        PersonsOnlyError, NoSecondPersonError: the proposal could never be approved.
        ProposalPendingError: another act on the same thing waits.

    """
    if await how_many_decide(session, approval) is RegisterApproval.ONE:
        return None
    scope = Scope.DEPLOYMENT_RECOVER if wanted.kind is Gated.RESTORE else Scope.REGISTER_APPROVE
    await check_proposer(session, caller, scope)
    waiting = await load_waiting(session)
    stands = next((each for each in waiting if (each.kind, each.target) == (wanted.kind, wanted.target)), None)
    if stands is not None:
        if stands.wanted != wanted.wanted:
            raise ProposalPendingError
        return stands
    if len(waiting) >= MOST_WAITING:
        raise ProposalPendingError("Too many proposals wait: have some of them answered first.")
    made = replace(wanted, by=caller.id)
    await add_proposal(session, made)
    return made
