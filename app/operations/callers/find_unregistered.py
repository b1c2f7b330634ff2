"""Which processings a caller may name that nobody has registered: most often a mistyped id."""

from app.auth.callers import Caller
from app.db.session import ReadSession
from app.register.store import load_processings


async def find_unregistered(session: ReadSession, caller: Caller) -> list[str]:
    """Ids of processings in the list of a caller that the register does not know, in order."""
    named = caller.processings or frozenset()
    known = await load_processings(session, named) if named else {}
    return sorted(named - known.keys())
