"""State in the log which decisions were logged, some minutes after each minute: a root over their rows, and counts.

Batches follow one another without a gap, from the first run on: a stretch in which nothing was logged is one batch of
none. So a row that is changed, taken out or put in afterwards differs from some batch
(`app.operations.proof.compare_batches`).
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from app.audit.decision_log import COLUMNS
from app.audit.store import count_dropped, leaves_between, next_logged
from app.db.session import INSTANT, ReadSession, WriteSession
from app.proof import store
from app.proof.tree import root_of

KIND: Final = "decision_batch"
_SETTLED: Final = timedelta(minutes=2)
"""What is logged is written a fifth of a second later, or once the database is back: this task waits for that too."""
_MINUTE: Final = timedelta(minutes=1)


async def batch_next(session: WriteSession) -> bool:
    """State the next batch: of a minute, or of a stretch in which nothing was logged. Whether there was one."""
    if not await store.take_turn(session, store.BATCHING):
        return False
    # The database's own clock, as the log has it, whatever a test's says.
    settled = (await session.find(INSTANT) - _SETTLED).replace(second=0, microsecond=0)
    last = await store.latest_statement(session, KIND)
    since = datetime.fromisoformat(last["until"]) if last is not None else settled - _MINUTE
    if since >= settled:
        return False
    first = await next_logged(session, since, settled)
    until = settled if first is None else max(since, first.replace(second=0, microsecond=0))
    if until == since:
        until = since + _MINUTE
    now = await session.now()
    told = {"since": _text(since), "until": _text(until), **await rows_between(session, since, until)}
    dropped = await count_dropped(session, since, until)
    await store.add_statement(session, session.new_id(now), KIND, now, {**told, "dropped": dropped})
    return True


async def rows_between(session: ReadSession, since: datetime, until: datetime) -> Mapping[str, Any]:
    """How many rows of the log there are between two instants, and the root of the tree over them."""
    leaves = await leaves_between(session, since, until, COLUMNS)
    return {"count": len(leaves), "root": root_of(leaves).hex()}


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()
