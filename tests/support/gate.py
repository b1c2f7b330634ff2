"""A proposal that waits at the gate, as where the register takes two persons, on a deployment of any choice."""

from typing import Any

from app.auth.callers import key_digest
from app.auth.store import list_by_key
from app.core.register.approval import RegisterApproval
from app.operations.register.propose_retention import propose_retention
from tests.support.api import Api


def propose_at_gate(api: Api, proposer: Api) -> str:
    """Have a person propose a shorter retention; the proposal's id. Another person must be there already."""
    client: Any = api.client

    async def run() -> str:
        async with client.app.state.services.database.write() as session:
            caller = (await list_by_key(session))[key_digest(proposer.key or "")].caller
            made = await propose_retention(session, caller, {"consent": "P4Y"}, RegisterApproval.TWO)
        return str(made.id)

    proposed: str = client.portal.call(run)
    return proposed
