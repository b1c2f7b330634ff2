"""Who may answer for what somebody else proposed: another person (facts of others: four eyes)."""

from uuid import UUID

from app.auth.callers import Caller, CallerKind
from app.auth.store import made_each_other
from app.core.errors import PersonsOnlyError
from app.core.register.errors import OwnProposalError
from app.db.session import ReadSession


def check_person(caller: Caller) -> None:
    """Refuse a program.

    Raises:
        PersonsOnlyError: the caller is one.

    """
    if caller.kind is not CallerKind.PERSON:
        raise PersonsOnlyError


async def check_second_person(session: ReadSession, caller: Caller, proposed_by: UUID) -> None:
    """Refuse whoever is no second person beside who proposed something.

    Raises:
        PersonsOnlyError: the caller is a program.
        OwnProposalError: the caller proposed it, made the caller that did, or was made by it.

    """
    check_person(caller)
    if caller.id == proposed_by or await made_each_other(session, caller.id, proposed_by):
        raise OwnProposalError
