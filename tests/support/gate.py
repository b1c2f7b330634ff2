"""Proposals that wait at the gate, on a deployment of any choice."""

from typing import Any

from app.auth.callers import key_digest
from app.auth.store import list_by_key
from app.core.register import Gated, GateProposal
from app.db.session import uuid7
from app.register.gate import add_proposal
from tests.support.api import Api


def propose_at_gate(api: Api, proposer: Api) -> str:
    """Have a person propose a shorter retention, which may wait beside other proposals; its id."""
    client: Any = api.client

    async def run() -> str:
        async with client.app.state.services.database.write() as session:
            caller = (await list_by_key(session))[key_digest(proposer.key or "")].caller
            now = await session.now()
            made = GateProposal(uuid7(now), Gated.RETENTION, "", {"consent": "P4Y"}, now, caller.id)
            await add_proposal(session, made)
        return str(made.id)

    proposed: str = client.portal.call(run)
    return proposed
