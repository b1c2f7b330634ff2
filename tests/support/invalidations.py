"""Invalidations as a test makes them."""

from typing import Any
from uuid import UUID

from app.auth.store import load_caller
from app.core.register.approval import RegisterApproval
from app.core.register.invalidation import Struck
from app.operations.register.invalidate_processing import invalidate_processing
from tests.support.api import Api

WHY = "The notice did not say who receives the data."


def invalidate(api: Api, identifier: str, **more: Any) -> Any:
    """Invalidate version 1 of a processing, unless something else is said."""
    struck = {} if "text" in more else {"version": 1}
    return api.call("POST", f"/v1/processings/{identifier}/invalidations", {**struck, "reason": WHY, **more})


def answer(api: Api, identifier: str, number: int = 1, how: str = "approvals") -> Any:
    """Approve an invalidation, or reject it."""
    return api.call("POST", f"/v1/processings/{identifier}/invalidations/{number}/{how}", {"reason": "Read too."})


def propose(api: Api, identifier: str) -> int:
    """Have a program propose to invalidate version 1, as where the register takes two persons; its number."""
    program = UUID(api.ok("POST", "/v1/keys", {"name": "proposer", "scopes": ["register:write"]})["id"])
    client: Any = api.client

    async def run() -> int:
        async with client.app.state.services.database.write() as session:
            caller = await load_caller(session, program)
            assert caller is not None
            made = await invalidate_processing(session, caller, identifier, Struck(1), WHY, RegisterApproval.TWO)
        return made.number

    number: int = client.portal.call(run)
    return number
