"""Propose that proof is kept for a shorter time: the owner signs it once another person has approved it."""

from collections.abc import Mapping

from app.auth.callers import Caller
from app.core.register.approval import RegisterApproval
from app.core.register.gate import Gated, GateProposal
from app.db.session import WriteSession
from app.operations.service.gate import pass_gate


async def propose_retention(session: WriteSession, caller: Caller, periods: Mapping[str, str]) -> GateProposal:
    """Keep the periods (ISO 8601, by kind of ledger) as a proposal, also where one person may sign without it.

    Raises:
        PersonsOnlyError, NoSecondPersonError: nobody could approve it.
        ProposalPendingError: other periods wait.

    """
    now = await session.now()
    wanted = GateProposal(session.new_id(now), Gated.RETENTION, "", dict(periods), now, caller.id)
    waits = await pass_gate(session, caller, RegisterApproval.TWO, wanted)
    return wanted if waits is None else waits
