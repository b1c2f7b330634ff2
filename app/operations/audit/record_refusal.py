"""Record that a caller was refused an administrative act: once an hour for each caller and route, whatever it tries.

Only callers with a key in force come this far, so no stranger writes here; and one that tries again and again
does not fill an append-only table. The metrics count every refusal.
"""

from uuid import UUID

from app.audit.trail import ActKind, record_act
from app.db.session import WriteSession


async def record_refusal(session: WriteSession, caller: UUID, method: str, route: str, problem: str) -> None:
    """Record a refusal.

    Args:
        session: a transaction of its own: what was refused left none.
        caller: who was refused.
        method: the HTTP method.
        route: the template of the route, never the path that was sent.
        problem: the word of the problem document.

    """
    told = {"route": route, "method": method, "problem": problem}
    now = await session.now()
    once = f"{now:%Y-%m-%dT%H} {method} {route} {problem}"
    await record_act(session, ActKind.REQUEST_REFUSED, caller, detail=told, once=once)
