"""Webhooks as callers manage them: receivers, deliveries and their repetition, and events read by page."""

import asyncio
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from app.audit.trail import ActKind, Detail, Target, TargetKind, record_act
from app.auth.callers import Authenticated, Caller, Scope
from app.core.errors import (
    CursorTooOldError,
    InvalidCursorError,
    InvalidUrlError,
    NotFoundError,
    ProcessingNotAllowedError,
    TooManyEndpointsError,
)
from app.db.database import Database
from app.db.session import ReadSession, WriteSession, uuid7
from app.events.addresses import AddressPolicy, ForbiddenUrlError, check_url
from app.events.deliveries import DISPATCHED, Replay, drop_unwanted, queue_again
from app.events.effects import DeliveryCounts, load_counts
from app.events.endpoints import (
    Endpoint,
    EndpointStatus,
    SigningKeys,
    add_endpoint,
    add_secret,
    count_endpoints,
    list_endpoints,
    load_endpoint,
    remove_endpoint,
    save_endpoint,
    secret_text,
    secrets_in_force,
)
from app.events.outbox import EventPage, EventType, FeedPlace, Position, load_progress, read_page
from app.keyring import WEBHOOK_KEYS, WrappedKey, keys_in_force
from app.operations.callers import confirm_caller
from app.operations.service.deployment import Deployment
from app.operations.service.signing_keys import ensure_key, opened

GONE: Final = "gone"
BY_REQUEST: Final = "by_request"
MAKER_ENDED: Final = "maker_ended"
"""The caller that answers for it was revoked, or may no longer do what the endpoint does."""


def answered_for(endpoint: Endpoint, maker: Caller | None) -> bool:
    """Return whether the caller that made or last changed an endpoint may still have it receive what it receives."""
    if maker is None or maker.revoked_at is not None or not maker.covers((), endpoint.processings):
        return False
    needed = {Scope.WEBHOOKS_MANAGE, Scope.CONSENTS_READ} if endpoint.include_subject else {Scope.WEBHOOKS_MANAGE}
    return needed <= maker.scopes


async def disable_webhook(session: WriteSession, identifier: UUID, reason: str, now: datetime) -> bool:
    """Disable an endpoint and keep the reason; return False if it is disabled already, or gone."""
    endpoint = await load_endpoint(session, identifier, hold=True)
    if endpoint is None or endpoint.status is EndpointStatus.DISABLED:
        return False
    disabled = replace(endpoint, status=EndpointStatus.DISABLED, status_reason=reason, status_at=now)
    await save_endpoint(session, disabled)
    return True


_SECRET: Final = "webhook secret"  # noqa: S105 - what it is for, not one
_SECRET_BYTES: Final = 32


async def new_secret(
    session: WriteSession, deployment: Deployment, caller: Caller, endpoint: UUID, overlap: timedelta
) -> tuple[WrappedKey, str]:
    """Make a symmetric secret for one endpoint, shown once as `whsec_…`; the earlier one signs for the overlap."""
    now = await session.instant()
    raw, identifier = secrets.token_bytes(_SECRET_BYTES), uuid7(now)
    master, wrapped = deployment.vault.wrap(f"{_SECRET} {identifier}", raw)
    made = WrappedKey(identifier, master, wrapped, now)
    await add_secret(session, endpoint, made, retire=now + overlap)
    target = Target(TargetKind.WEBHOOK, str(endpoint))
    await record_act(session, ActKind.WEBHOOK_SECRET_MADE, caller.id, target, {"secret": str(identifier)})
    return made, secret_text(raw)


async def signing_keys(session: ReadSession, deployment: Deployment, endpoint: UUID, now: datetime) -> SigningKeys:
    """Return all that signs for an endpoint at an instant.

    Raises:
        VaultError: the master key that wraps one of them is not held.

    """
    private = [opened(deployment, WEBHOOK_KEYS, key) for key in await keys_in_force(session, WEBHOOK_KEYS, now)]
    symmetric = [
        deployment.vault.unwrap(f"{_SECRET} {each.id}", each.master_key_id, each.wrapped)
        for each in await secrets_in_force(session, [endpoint], now)
    ]
    return SigningKeys(private, symmetric)


MOST_ENDPOINTS: Final = 100
"""The most endpoints of one deployment: each may have a few requests under way."""
_TOLD: Final = ("url", "types", "processings", "include_subject", "status")
"""The properties of which the trail says, by name alone, that they changed: a URL may hold a secret."""


@dataclass(frozen=True, slots=True)
class EndpointDraft:
    """What an endpoint is to be: `types` None is every type, `processings` None every processing."""

    url: str
    types: frozenset[EventType] | None = None
    processings: frozenset[str] | None = None
    include_subject: bool = False
    status: EndpointStatus = EndpointStatus.ACTIVE


async def register_webhook(
    session: WriteSession, deployment: Deployment, caller: Caller, draft: EndpointDraft, policy: AddressPolicy
) -> Endpoint:
    """Make an endpoint: it gets the events that are dispatched from now on.

    Raises:
        ScopeMissingError: it would receive who users are, and the caller may not read consents.
        InvalidUrlError: its address cannot be sent to.
        ProcessingNotAllowedError: it would hear of a processing that the caller may not name.
        TooManyEndpointsError: there are `MOST_ENDPOINTS` already.

    """
    _check(caller, draft, policy)
    if await count_endpoints(session) >= MOST_ENDPOINTS:
        raise TooManyEndpointsError
    await ensure_key(session, deployment, WEBHOOK_KEYS)
    now = await session.instant()
    endpoint = _drafted(draft, uuid7(now), caller.id, now)
    await add_endpoint(session, endpoint)
    told = {
        "include_subject": draft.include_subject,
        "processings": sorted(draft.processings) if draft.processings is not None else None,
    }
    await record_act(session, ActKind.WEBHOOK_MADE, caller.id, _target(endpoint.id), told)
    return endpoint


async def change_webhook(
    session: WriteSession, caller: Caller, identifier: UUID, draft: EndpointDraft, policy: AddressPolicy
) -> Endpoint:
    """Give an endpoint other properties; made active again, it gets what waited for it.

    What waited and is no longer wanted is dropped, and counted in the trail; the rest of a great many is dropped when
    it comes due. The caller that changes an endpoint answers for it from then on: it ends with what that caller loses.

    Raises:
        ScopeMissingError, InvalidUrlError, ProcessingNotAllowedError: as for `register_webhook`.
        NotFoundError: there is no such endpoint, or it reports more than the caller may name.

    """
    before = await find_webhook(session, caller, identifier, hold=True)
    _check(caller, draft, policy)
    now = await session.instant()
    drafted = _drafted(draft, identifier, caller.id, now)
    unchanged = drafted.status is before.status
    changed = replace(
        drafted,
        created_at=before.created_at,
        status_reason=before.status_reason if unchanged else drafted.status_reason,
        status_at=before.status_at if unchanged else now,
    )
    differing = [name for name in _TOLD if getattr(before, name) != getattr(changed, name)]
    if not differing:
        return before
    await save_endpoint(session, changed)
    dropped = await drop_unwanted(session, identifier, now=now)
    told: dict[str, Detail] = {"changed": differing, "status": changed.status.value, "dropped": dropped or None}
    await record_act(session, ActKind.WEBHOOK_CHANGED, caller.id, _target(identifier), told)
    return changed


async def remove_webhook(session: WriteSession, caller: Caller, identifier: UUID) -> Endpoint:
    """Remove an endpoint with its deliveries and their log, and return what it was.

    Raises:
        NotFoundError: as for `change_webhook`.

    """
    removed = await find_webhook(session, caller, identifier, hold=True)
    await remove_endpoint(session, identifier)
    await record_act(session, ActKind.WEBHOOK_REMOVED, caller.id, _target(identifier))
    return removed


async def find_webhook(session: ReadSession, caller: Caller, identifier: UUID, *, hold: bool = False) -> Endpoint:
    """Return one endpoint.

    Raises:
        NotFoundError: there is none, or it reports more than the caller may name.

    """
    found = await load_endpoint(session, identifier, hold=hold)
    if found is None or not caller.covers((), found.processings):
        raise NotFoundError
    return found


async def list_webhooks(session: ReadSession, caller: Caller) -> list[Endpoint]:
    """Return every endpoint that reports no more than the caller may name, oldest first."""
    return [each for each in await list_endpoints(session) if caller.covers((), each.processings)]


def _target(identifier: UUID) -> Target:
    return Target(TargetKind.WEBHOOK, str(identifier))


def _check(caller: Caller, draft: EndpointDraft, policy: AddressPolicy) -> None:
    if draft.include_subject:
        caller.require(Scope.CONSENTS_READ)
    if not caller.covers((), draft.processings):
        raise ProcessingNotAllowedError(field="processings")
    try:
        check_url(draft.url, policy)
    except ForbiddenUrlError as error:
        raise InvalidUrlError(f"The URL {error}.", field="url") from None


def _drafted(draft: EndpointDraft, identifier: UUID, created_by: UUID, now: datetime) -> Endpoint:
    return Endpoint(
        id=identifier,
        url=draft.url,
        types=draft.types,
        processings=draft.processings,
        include_subject=draft.include_subject,
        status=draft.status,
        status_reason=BY_REQUEST if draft.status is EndpointStatus.DISABLED else None,
        status_at=now,
        created_at=now,
        created_by=created_by,
    )


async def count_deliveries(database: Database) -> DeliveryCounts:
    """Return attempts by endpoint and outcome, what is pending or dead, and what is not dispatched yet."""
    async with database.read() as session:
        return await load_counts(session)


# Send events to an endpoint again: one, or all of a span of time.

MOST_AT_ONCE: Final = 10_000


async def replay_delivery(session: WriteSession, caller: Caller, endpoint: UUID, event: UUID) -> None:
    """Queue one delivery anew, whether it is pending, delivered or dead.

    Raises:
        ScopeMissingError: the caller may not read consents.
        NotFoundError: there is no such delivery, or the endpoint is not the caller's to see.

    """
    replay = Replay(("pending", "delivered", "dead"), event=event)
    if await _replay(session, caller, endpoint, replay, {"event": str(event)}) == 0:
        raise NotFoundError("The receiver has no delivery of this event.", field="event")


async def replay_span(
    session: WriteSession, caller: Caller, endpoint: UUID, since: datetime, until: datetime, *, all_of_them: bool
) -> int:
    """Queue the deliveries of events that were written in a span of time, in order, at most 10,000 at once.

    Args:
        session: the transaction.
        caller: the caller that asks.
        endpoint: the receiver.
        since: where the span begins.
        until: where it ends, not included.
        all_of_them: also those that were delivered, and those of events from before the endpoint wanted them; otherwise
            only dead letters, and pending ones before their time.

    Returns:
        How many were queued; if that is the most at once, there may be more.

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
    caller.require(Scope.CONSENTS_READ)  # sending again shows the past of many users at once
    endpoint = await find_webhook(session, caller, identifier, hold=True)
    now = await session.instant()
    queued = await queue_again(session, endpoint.id, replay, await load_progress(session, DISPATCHED), now=now)
    target = Target(TargetKind.WEBHOOK, str(identifier))
    await record_act(session, ActKind.WEBHOOK_REPLAYED, caller.id, target, {**told, "queued": queued})
    return queued


# Read domain events in order, page by page: for receivers that would rather poll.

_LOOK_AGAIN_SECONDS = 0.5


async def read_events(
    database: Database,
    by: Authenticated,
    after: FeedPlace | None,
    *,
    limit: int,
    wait: float = 0.0,
    stopping: asyncio.Event | None = None,
) -> EventPage:
    """Return the events after a place that a caller may read, in order; without a place, from the oldest that is kept.

    A caller that waited is checked again before it gets anything: what it lost meanwhile, it has lost.

    Args:
        database: where to read.
        by: the caller that reads; one that is limited to some processings reads only the events of those.
        after: the `next` of the page before.
        limit: how many at most.
        wait: seconds to wait for the first event when there is none yet.
        stopping: once it is set, the wait ends.

    Raises:
        CursorTooOldError: events after that place were dropped, or another database gave it, such as the one that this
            was restored from: some would be missed.
        CredentialEndedError, ScopeMissingError: the caller waited, and may no longer read anything.
        InvalidCursorError: the place is ahead of this database, which has lost transactions.

    """
    stopping = stopping or asyncio.Event()
    deadline = asyncio.get_running_loop().time() + wait
    place, caller, waited = after.position if after is not None else Position(), by.caller, False
    while True:
        async with database.read() as session:
            page = await read_page(session, place, limit=limit, processings=caller.processings)
            ends = stopping.is_set() or asyncio.get_running_loop().time() >= deadline
            last = bool(page.events) or ends
            if last and waited:
                confirmed = await confirm_caller(session, by, Scope.CONSENTS_READ)
                if confirmed.processings != caller.processings:
                    caller = confirmed
                    continue
        if after is not None and (after.origin != page.origin or after.position.xid <= page.dropped):
            raise CursorTooOldError(field="after")
        if place.xid > page.newest:
            raise InvalidCursorError("The cursor is ahead of this database: begin again without one.", field="after")
        if last:
            return page
        place, waited = page.next, True
        with suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), _LOOK_AGAIN_SECONDS)
