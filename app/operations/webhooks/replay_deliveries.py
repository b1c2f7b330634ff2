"""Send events to an endpoint again: one, or all of a span of time."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from uuid import UUID

from app.audit.trail import ActKind, Detail, Target, TargetKind, record_act
from app.auth.callers import Caller, Scope
from app.core.errors import NotFoundError
from app.db.session import WriteSession
from app.events.deliveries import Replay, queue_again
from app.events.feed import load_progress
from app.operations.webhooks.dispatch_events import DISPATCHED
from app.operations.webhooks.manage_webhooks import find_webhook

MOST_AT_ONCE: Final = 10_000


async def replay_delivery(session: WriteSession, caller: Caller, endpoint: UUID, event: UUID) -> None:
    """Queue one delivery anew, whatever became of it.

    Raises:
        ScopeMissingError: the caller may not read consents.
        NotFoundError: there is no such delivery, or the endpoint is not the caller's to see.

    """
    replay = Replay(("pending", "delivered", "dead"), event=event)
    if await _replay(session, caller, endpoint, replay, {"event": str(event)}) == 0:
        raise NotFoundError


async def replay_span(
    session: WriteSession, caller: Caller, endpoint: UUID, since: datetime, until: datetime, *, all_of_them: bool
) -> int:
    """Queue the deliveries of events that were written in a span of time, in order, at most 10,000 at once.

    Args:
        session: the transaction.
        caller: who asks.
        endpoint: where to.
        since: where the span begins.
        until: where it ends, not included.
        all_of_them: those that were delivered too, and those of events that came before the endpoint wanted them;
            otherwise only dead letters, and pending ones before their time.

    Returns:
        How many were queued; as many as there may be at once means that there may be more.

    Raises:
        ScopeMissingError: the caller may not read consents.
        NotFoundError: there is no such endpoint, or it is not the caller's to see.

    """
    statuses = ("pending", "delivered", "dead") if all_of_them else ("pending", "dead")
    replay = Replay(statuses, since=since, until=until, missing=all_of_them, limit=MOST_AT_ONCE)
    told = {"since": since.isoformat(), "until": until.isoformat()}
    return await _replay(session, caller, endpoint, replay, told)


async def _replay(
    session: WriteSession, caller: Caller, identifier: UUID, replay: Replay, told: Mapping[str, Detail]
) -> int:
    caller.require(Scope.CONSENTS_READ)  # what is sent again tells the past of many users at once
    endpoint = await find_webhook(session, caller, identifier, hold=True)
    now = await session.instant()
    queued = await queue_again(session, endpoint.id, replay, await load_progress(session, DISPATCHED), now=now)
    target = Target(TargetKind.WEBHOOK, str(identifier))
    await record_act(session, ActKind.WEBHOOK_REPLAYED, caller.id, target, {**told, "queued": queued})
    return queued
