"""State in the log which decisions were logged, some minutes after each minute: a root over their rows, and counts.

A row of the decision log that is changed, taken out or put in afterwards differs from its batch
(`app.operations.proof.replay_decisions`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from app.audit.rows import COLUMNS
from app.audit.store import LogRow, count_dropped, first_logged, read_log
from app.db.session import INSTANT, ReadSession, WriteSession
from app.proof import store
from app.proof.entries import canonical
from app.proof.tree import root_of
from app.proof.verifier.trees import leaf_hash

KIND: Final = "decision_batch"
_SETTLED: Final = timedelta(minutes=2)
"""What is logged is written a fifth of a second later, or once the database is back: this task waits for that too."""
_LONGEST: Final = timedelta(minutes=1)
_PAGE: Final = 5_000
_AT_ONCE: Final = 60


@dataclass(slots=True)
class LoggedRows:
    """The rows between two instants, as a batch tells them: how many, and the root of a tree (RFC 9162) over them."""

    leaves: list[bytes] = field(default_factory=list)

    def add(self, row: LogRow) -> None:
        """Take the next one, in the order of their ids."""
        self.leaves.append(leaf_hash(canonical({name: _as_json(getattr(row, name)) for name in COLUMNS})))

    def told(self) -> Mapping[str, Any]:
        """The members of a batch."""
        return {"count": len(self.leaves), "root": root_of(self.leaves).hex()}


async def batch_decisions(session: WriteSession) -> int:
    """State the batches of the minutes that are over and settled, an hour of them at most; how many there are more."""
    if not await store.take_turn(session):
        return 0
    # The database's own clock, as the log has it, whatever a test's says.
    settled = (await session.find(INSTANT) - _SETTLED).replace(second=0, microsecond=0)
    last = await store.latest_statement(session, KIND)
    begun = datetime.fromisoformat(last["until"]) if last is not None else await first_logged(session)
    if begun is None:
        return 0
    made, since = 0, begun if last is not None else begun.replace(second=0, microsecond=0)
    while since < settled and made < _AT_ONCE:
        made += 1
        until = since + _LONGEST
        rows, dropped = await rows_between(session, since, until), await count_dropped(session, since, until)
        if rows.leaves or dropped or until == settled:
            now = await session.now()
            told = {"since": _text(since), "until": _text(until), **rows.told(), "dropped": dropped}
            await store.add_statement(session, session.new_id(now), KIND, now, told)
        since = until
    return made


async def rows_between(session: ReadSession, since: datetime, until: datetime) -> LoggedRows:
    """The rows of the log between two instants."""
    rows, after = LoggedRows(), None
    while page := await read_log(session, since, until, after=after, limit=_PAGE):
        for each in page:
            rows.add(each)
        after = page[-1].id
        if len(page) < _PAGE:
            break
    return rows


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def _as_json(value: Any) -> Any:  # noqa: ANN401 - a column
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    if isinstance(value, datetime):
        return _text(value)
    return str(value) if isinstance(value, UUID) else value
