"""Deliver what is due to every receiver: in order for each subject, a few at a time for each endpoint, at least once.

Deliveries go by the database's own clock (`instant`), even where decisions go by another.
Each endpoint has its task: a receiver that is slow, or that never answers, holds up only itself.
"""

import asyncio
import json
import math
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from app.auth.store import load_caller
from app.db.database import Database, DatabaseUnavailableError
from app.db.session import ReadSession, WriteSession
from app.events.deliveries import (
    DISPATCHED,
    Attempt,
    Claim,
    add_deliveries,
    claim_deliveries,
    drop_unwanted,
    endpoints_with_work,
    finish,
    hold_endpoint,
    hold_endpoints,
    log_attempt,
    trim_outbox,
    try_again,
)
from app.events.effects import MEDIA_TYPE, cloud_event, count_attempt, count_lost
from app.events.endpoints import Endpoint, SigningKeys, load_endpoint, signature_headers
from app.events.outbox import Position, keep_progress, load_progress, read_page
from app.events.sender import Sender, SendOutcome
from app.ledger.identifiers import VaultError, names_of
from app.operations.service.deployment import Deployment
from app.operations.webhooks.manage_webhooks import (
    GONE,
    MAKER_ENDED,
    answered_for,
    disable_webhook,
    signing_keys,
)
from app.telemetry import spans

SCHEDULE: Final = tuple(map(float, (0, 5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)))
"""Seconds before each attempt, from the attempt before it; about 75 h 35 min in all (Standard Webhooks 1.0.0)."""
JITTER: Final = 0.2
"""The most that is added to a wait, as a share of it."""
_LONGEST_WAIT: Final = SCHEDULE[-1]
_HTTP_GONE: Final = 410
AT_ONCE: Final = 4
"""The most attempts under way for one endpoint."""
_LEASE: Final = timedelta(seconds=60)
"""How long a killed worker's claims are left alone: longer than any attempt takes."""
log = structlog.get_logger("sceau.webhooks")


@dataclass(frozen=True, slots=True)
class Courier:
    """What deliveries are made with.

    `source` is the public address of this deployment; `chance` returns a number from 0 up to 1.
    `look_again`: the seconds between two looks for what is due.
    """

    database: Database
    deployment: Deployment
    sender: Sender
    source: str
    chance: Callable[[], float]
    look_again: float = 1.0

    async def close(self) -> None:
        """Close the connections that it was given."""
        await self.sender.close()
        await self.database.close()


async def deliver_webhooks(courier: Courier, serving: dict[UUID, asyncio.Task[None]], until: float) -> None:
    """Begin to serve each endpoint that has something due and is not being served; return without waiting.

    Args:
        courier: what to deliver with.
        serving: the tasks under way, by endpoint; tasks that ended are taken out.
        until: the event loop's time from which on nothing more is begun.

    """
    for endpoint in [each for each, task in serving.items() if task.done()]:
        _report(serving.pop(endpoint))
    async with courier.database.read() as session:
        due = await endpoints_with_work(session, now=await session.instant())
    for endpoint in due:
        if endpoint not in serving:
            serving[endpoint] = asyncio.create_task(serve_endpoint(courier, endpoint, until))


async def serve_endpoint(courier: Courier, endpoint: UUID, until: float = math.inf) -> None:
    """Deliver what is due at one endpoint until nothing is due, or nothing more may be begun."""
    under_way: set[asyncio.Task[None]] = set()
    loop = asyncio.get_running_loop()
    try:
        while True:
            free = AT_ONCE - len(under_way) if loop.time() < until else 0
            for message in await _take(courier, endpoint, free):
                under_way.add(asyncio.create_task(_attempt(courier, message)))
            if not under_way:
                return
            wait = courier.look_again  # what comes due meanwhile need not wait for a slow answer
            done, under_way = await asyncio.wait(under_way, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
    finally:
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class _Message:
    """One attempt, ready to be sent; its headers are made when it is sent."""

    claim: Claim
    url: str
    body: bytes
    keys: SigningKeys
    at: datetime


async def _take(courier: Courier, identifier: UUID, limit: int) -> list[_Message]:
    """Claim what is due, and read all that is needed to send it."""
    if limit <= 0:
        return []
    async with courier.database.write() as session:
        now = await session.instant()
        # Read before the claim: the endpoint that wants what is sent is the one, in the same state, that it goes to.
        endpoint = await load_endpoint(session, identifier)
        if endpoint is None:
            return []
        if not answered_for(endpoint, await load_caller(session, endpoint.created_by)):
            await disable_webhook(session, identifier, MAKER_ENDED, now)
            return []
        claims = await claim_deliveries(session, identifier, now=now, lease=_LEASE, limit=limit)
        if not claims:
            return []
        keys = await signing_keys(session, courier.deployment, identifier, now)
        messages = [
            _Message(claim, endpoint.url, await _body(session, courier, endpoint, claim), keys, now)
            for claim in claims
            if endpoint.wants(claim.event.type, claim.event.data.get("processing"))
        ]
    if len(messages) < len(claims):  # it was narrowed, and had more waiting than the change dropped
        async with courier.database.write() as session:
            if await load_endpoint(session, identifier, hold=True) is not None:
                await drop_unwanted(session, identifier, now=await session.instant())
    return messages


async def _body(session: ReadSession, courier: Courier, endpoint: Endpoint, claim: Claim) -> bytes:
    """Return the CloudEvent; the person's names come from the vault each time, and are gone once they are erased."""
    names: list[dict[str, str]] | None = None
    if endpoint.include_subject:
        kept = await names_of(session, claim.event.subject_ref)
        try:
            names = [{"type": each.type, "id": courier.deployment.vault.open(each.sealed)} for each in kept]
        except VaultError:
            log.warning("a subject's id cannot be opened: a master key is missing", endpoint=str(endpoint.id))
            names = []
    body = cloud_event(claim.event, courier.source, names=names, receiver=endpoint.id)
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


async def _attempt(courier: Courier, message: _Message) -> None:
    """Send one message and record what became of it."""
    event = str(message.claim.event.id)
    headers = signature_headers(message.keys, event, int(message.at.timestamp()), message.body)
    headers["Content-Type"] = MEDIA_TYPE
    started = asyncio.get_running_loop().time()
    with spans.webhook(message.claim.traceparent):
        if (traceparent := spans.traceparent()) is not None:
            headers["traceparent"] = traceparent
        outcome = await courier.sender.post(message.url, headers, message.body)
        spans.note(
            {
                "sceau.event.type": message.claim.event.type,
                "sceau.webhook.attempt": message.claim.number,
                "sceau.webhook.outcome": outcome.word,
            }
        )
    took = timedelta(seconds=asyncio.get_running_loop().time() - started)
    attempt = Attempt(message.at, took, outcome.status, outcome.error)
    async with courier.database.write() as session:
        await _record(session, courier, message.claim, attempt, outcome)


async def _record(
    session: WriteSession, courier: Courier, claim: Claim, attempt: Attempt, outcome: SendOutcome
) -> None:
    """Record an attempt. The endpoint's row is held first, as by every writer that then touches its deliveries."""
    now = await session.instant()
    gone = outcome.status == _HTTP_GONE
    if gone and await disable_webhook(session, claim.endpoint, GONE, now):
        log.warning("endpoint disabled: it answered 410", endpoint=str(claim.endpoint))
    if not gone and not await hold_endpoint(session, claim.endpoint):
        return  # it was removed meanwhile, with its deliveries
    if outcome.delivered:
        await finish(session, claim, delivered=True, now=now)
    elif gone:
        await try_again(session, claim, again_at=now)
    elif claim.round >= len(SCHEDULE):
        if await finish(session, claim, delivered=False, now=now):
            log.warning("delivery given up", endpoint=str(claim.endpoint), delivery=str(claim.event.id))
    else:
        wait = wait_after(claim.round, outcome, courier.chance())
        await try_again(session, claim, again_at=now + timedelta(seconds=wait))
    await log_attempt(session, claim, attempt)
    await count_attempt(session, claim.endpoint, outcome.word)


def wait_after(attempts: int, outcome: SendOutcome, chance: float) -> float:
    """Return the seconds until the next attempt after so many: the schedule's, or a Retry-After's if that is longer."""
    retry_after = min(float(outcome.retry_after or 0), _LONGEST_WAIT)
    return max(SCHEDULE[attempts], retry_after) * (1 + JITTER * chance)


def _report(task: asyncio.Task[None]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None and not isinstance(error, DatabaseUnavailableError):
        log.error("an endpoint could not be served", cause=type(error).__name__)  # its words may hold an address


# Dispatch and deliver, again and again, for a while: what a background job does with the outbox.


async def run_events(courier: Courier, *, lasting: timedelta, stopping: asyncio.Event | None = None) -> int:
    """Look for new events and due deliveries until the time is over, then finish the attempts under way.

    An idle look is two statements on indexes. Several processes may run this at once. When it is cancelled, attempts
    under way are given up, and are due again when their claims run out.

    Args:
        courier: what delivers.
        lasting: how long to look.
        stopping: set when this process is to stop. Nothing more is begun then.

    Returns:
        How many events were dispatched.

    Raises:
        asyncio.CancelledError: the process stops. The job is given back, so that another process goes on with it.

    """
    stopping = stopping if stopping is not None else asyncio.Event()
    loop = asyncio.get_running_loop()
    end = loop.time() + lasting.total_seconds()
    serving: dict[UUID, asyncio.Task[None]] = {}
    dispatched, ended = 0, False
    try:
        while loop.time() < end and not stopping.is_set():
            try:
                dispatched += await dispatch_events(courier.database)
                await deliver_webhooks(courier, serving, end)
            except DatabaseUnavailableError:
                log.warning("the outbox cannot be read now")
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), courier.look_again)
        ended = True
    finally:
        for task in serving.values() if not ended else ():  # else the attempts under way end by themselves
            task.cancel()
        await asyncio.gather(*serving.values(), return_exceptions=True)
    if stopping.is_set():
        raise asyncio.CancelledError
    return dispatched


# Turn rows of the outbox into deliveries, and trim what is no longer needed.

_BATCH: Final = 500


async def dispatch_events(database: Database) -> int:
    """Dispatch every event that can be dispatched by now.

    Each batch is one transaction, which also notes how far it came: killed in the middle, it leaves nothing behind, and
    the next one begins at the same place. One process dispatches at a time; the others find nothing to do.

    Returns:
        How many events were dispatched.

    """
    dispatched = 0
    while True:
        async with database.write() as session:
            number = await _dispatch_batch(session)
        dispatched += number
        if number < _BATCH:
            return dispatched


async def _dispatch_batch(session: WriteSession) -> int:
    if not await session.take_turn("dispatch"):
        return 0
    after = await load_progress(session, DISPATCHED)
    page = await read_page(session, after, limit=_BATCH)
    if not page.events:
        return 0
    await hold_endpoints(session)
    last = page.events[-1].position
    await add_deliveries(session, after, last, now=await session.instant())
    await keep_progress(session, DISPATCHED, last)
    return len(page.events)


DROPPED: Final = "dropped"
_TRIMMED_AT_ONCE: Final = 2_000


@dataclass(slots=True)
class Trim:
    """How many events are gone, and how many deliveries were lost with them, by status: `pending` or `dead`."""

    events: int = 0
    lost: Counter[str] = field(default_factory=Counter)


async def trim_events(database: Database, retention: timedelta) -> Trim:
    """Remove events that were written longer ago than the retention and are dispatched; deliveries go with them.

    How far events are gone is kept in the same transaction: the pull feed refuses a cursor that would miss some. What
    was never delivered is counted for the metrics, and reported in a warning.
    """
    trim = Trim()
    gone = _TRIMMED_AT_ONCE
    while gone == _TRIMMED_AT_ONCE:
        async with database.write() as session:
            now = await session.instant()
            dispatched = await load_progress(session, DISPATCHED)
            trimmed = await trim_outbox(
                session, written_before=now - retention, before=dispatched.xid, now=now, limit=_TRIMMED_AT_ONCE
            )
            if trimmed.events:
                dropped = await load_progress(session, DROPPED)
                await keep_progress(session, DROPPED, max(dropped, Position(trimmed.last)))
                await count_lost(session, trimmed.lost)
        gone = trimmed.events
        trim.events += gone
        for (_, status), number in trimmed.lost.items():
            trim.lost[status] += number
    if trim.lost:
        log.warning("deliveries were dropped undelivered: their events were too old", **trim.lost)
    return trim
