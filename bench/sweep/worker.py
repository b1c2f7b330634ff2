"""A worker of the race: it sweeps until nothing is flagged, may hang inside a batch, and may be broken on purpose.

`python -m bench.sweep.worker '{"url": …, "batch": …, "hang_at": …, "mutant": …}'`. One that is to hang says `inside`
once its batch has written that far, and then waits to be killed: the transaction is open and nothing is committed.
"""

# ruff: noqa: ANN401 - what stands in the place of other functions takes what they take

import asyncio
import json
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from app.core.period import PeriodPolicy
from app.core.renewal import Renewal
from app.db.database import Database, PoolLimits
from app.db.session import WriteSession
from app.events.outbox import DomainEvent
from app.ledger import sweep as store
from app.ledger.sweep import Held
from app.ledger.tables import consent, subject
from app.operations.consents import sweep_renewals as operation

STEPS: Final = ("put_flags", "append_said", "put_in_outbox", "advance")
"""Where a batch can be killed: after the flags, the ledger, the outbox, and just before its end."""

_IDLE_ROUNDS: Final = 3
_GAP_SECONDS: Final = 1.0
"""How long one that is broken takes between reading and holding; a busy machine may take as long."""


def hang_after(step: str) -> None:
    """Let the first batch that writes something go as far as this step, and no further."""
    original = getattr(operation, step)

    async def hanging(session: WriteSession, *given: Any) -> Any:
        done = await original(session, *given)
        if any(isinstance(each, list | DomainEvent) and each for each in given):
            print("inside", flush=True)
            await asyncio.sleep(3600)
        return done

    _replace(step, hanging)


def _replace(name: str, function: Callable[..., Any]) -> None:
    setattr(operation, name, function)


async def _hold_nothing(session: WriteSession, group: store.StageGroup, before: Any, **how: Any) -> list[Held]:
    table = consent.c
    found = await session.execute(
        select(table.subject_ref, table.id, table.collected_at)
        .where(table.decision == "granted", table.ended_by.is_(None), table.renewal_stage == group.stage)
        .where(table.processing == group.processing, table.collected_at < before)
        .order_by(table.collected_at, table.id)
        .limit(how["limit"])
    )
    await asyncio.sleep(_GAP_SECONDS)
    return [Held(row.subject_ref, row.id, row.collected_at, group.version) for row in found]


async def _hold_late(session: WriteSession, group: store.StageGroup, before: Any, **how: Any) -> list[Held]:
    held = await _hold_nothing(session, group, before, **how)
    refs = sorted({each.subject_ref for each in held})
    statement = select(subject.c.subject_ref).where(subject.c.subject_ref.in_(refs)).order_by(subject.c.subject_ref)
    await session.execute(statement.with_for_update())
    return held


def without_lock() -> None:
    """Broken: subjects are not held. With the key of the flags gone too, two workers say the same."""
    _replace("hold_due", _hold_nothing)


def without_second_look() -> None:
    """Broken: subjects are held, but what was read before is believed: whoever withdrew meanwhile is flagged."""
    load = getattr(operation, "load_events_about")  # noqa: B009 - it is not the operation's to hand out

    async def believed(session: WriteSession, refs: Any, processing: str) -> Any:
        found = await load(session, refs, processing)
        return {ref: [event for event in events if event.order == 1] for ref, events in found.items()}

    _replace("load_events_about", believed)
    _replace("hold_due", _hold_late)


MUTANTS: Final[dict[str, Callable[[], None]]] = {
    "without_lock": without_lock,
    "without_second_look": without_second_look,
}


def wait_between_batches() -> None:
    """After each batch wait for a line of standard input, or its end: those to be killed then find work for sure."""
    advance = getattr(operation, "advance")  # noqa: B009 - it is not the operation's to hand out

    async def in_step(session: WriteSession, moved: Any) -> None:
        await advance(session, moved)
        await session.connection.commit()
        sys.stdin.readline()

    _replace("advance", in_step)


async def _sweep(url: str, batch: int) -> None:
    database = Database(url, limits=PoolLimits(2, 4, timedelta(seconds=60)))
    idle = 0
    while idle < _IDLE_ROUNDS:
        try:
            done = await operation.sweep_renewals(database, Renewal(PeriodPolicy()), batch=batch)
            idle = 0 if done.flagged.total() else idle + 1
        except IntegrityError:  # a worker that is broken on purpose ran into the ledger's own key
            await asyncio.sleep(0.1)
        await asyncio.sleep(0.2)
    await database.close()


def main() -> None:
    """Do what the argument says."""
    asked = json.loads(sys.argv[1])
    if asked.get("mutant"):
        MUTANTS[asked["mutant"]]()
    if asked.get("hang_at"):
        hang_after(asked["hang_at"])
    if asked.get("in_step"):
        wait_between_batches()
    print("started", flush=True)
    asyncio.run(_sweep(asked["url"], asked["batch"]))


if __name__ == "__main__":
    main()
