"""Webhooks as callers manage them: receivers, deliveries and their repetition, and events read by page."""

import asyncio
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final
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
from app.events.deliveries import DISPATCHED, drop_unwanted, queue_again
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
from app.events.outbox import EventPage, FeedPlace, Position, load_progress, read_page
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
    await record_act(session, ActKind.WEBHOOK_SECRET_MADE, caller.id, _target(endpoint), {"secret": str(identifier)})
    return made, secret_text(raw)


async def signing_keys(session: ReadSession, deployment: Deployment, endpoint: UUID, now: datetime) -> SigningKeys:
    """Return the keys and secrets that sign for an endpoint at an instant.

    Raises:
        VaultError: the master key that wraps one of them is not held.

    """
    private = [opened(deployment, WEBHOOK_KEYS, key) for key in await keys_in_force(session, WEBHOOK_KEYS, now)]
    symmetric = [
        deployment.vault.unwrap(f"{_SECRET} {secret.id}", secret.master_key_id, secret.wrapped)
        for secret in await secrets_in_force(session, endpoint, now)
    ]
    return SigningKeys(private, symmetric)


MOST_ENDPOINTS: Final = 100
"""The most endpoints of one deployment: each may have a few requests under way."""


async def register_webhook(
    session: WriteSession, deployment: Deployment, caller: Caller, wanted: Mapping[str, Any], policy: AddressPolicy
) -> Endpoint:
    """Make an endpoint: it gets the events that are dispatched from now on. `wanted`: its URL and what it receives.

    Raises:
        ScopeMissingError: it would receive who users are, and the caller may not read consents.
        InvalidUrlError: its address cannot be sent to.
        ProcessingNotAllowedError: it would hear of a processing that the caller may not name.
        TooManyEndpointsError: there are `MOST_ENDPOINTS` already.

    """
    now = await session.instant()
    begun: dict[str, Any] = {"status": EndpointStatus.ACTIVE, "status_reason": None, "status_at": now}
    endpoint = Endpoint(id=uuid7(now), **wanted, **begun, created_at=now, created_by=caller.id)
    _check(caller, endpoint, policy)
    if await count_endpoints(session) >= MOST_ENDPOINTS:
        raise TooManyEndpointsError
    await ensure_key(session, deployment, WEBHOOK_KEYS)
    await add_endpoint(session, endpoint)
    processings = sorted(endpoint.processings) if endpoint.processings is not None else None
    detail = {"include_subject": endpoint.include_subject, "processings": processings}
    await record_act(session, ActKind.WEBHOOK_MADE, caller.id, _target(endpoint.id), detail)
    return endpoint


async def change_webhook(
    session: WriteSession, caller: Caller, identifier: UUID, changes: Mapping[str, Any], policy: AddressPolicy
) -> Endpoint:
    """Give an endpoint these properties, by name; made active again, it gets what waited for it.

    What waited and is no longer wanted is dropped, and counted in the trail; the rest of a great many is dropped when
    it comes due. The caller that changes an endpoint answers for it from then on: it ends with what that caller loses.

    Raises:
        ScopeMissingError, InvalidUrlError, ProcessingNotAllowedError: as for `register_webhook`.
        NotFoundError: there is no such endpoint, or it reports more than the caller may name.

    """
    before = await find_webhook(session, caller, identifier, hold=True)
    changed = replace(before, **changes)
    _check(caller, changed, policy)
    # The trail says by name alone what changed: a URL may hold a secret.
    differing = [name for name in changes if getattr(before, name) != getattr(changed, name)]
    if not differing:
        return before
    now = await session.instant()
    if changed.status is not before.status:
        reason = BY_REQUEST if changed.status is EndpointStatus.DISABLED else None
        changed = replace(changed, status_reason=reason, status_at=now)
    await save_endpoint(session, replace(changed, created_by=caller.id))
    dropped = await drop_unwanted(session, identifier, now=now)
    detail: dict[str, Detail] = {"changed": differing, "status": changed.status.value, "dropped": dropped or None}
    await record_act(session, ActKind.WEBHOOK_CHANGED, caller.id, _target(identifier), detail)
    return replace(changed, created_by=caller.id)


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
    endpoint = await load_endpoint(session, identifier, hold=hold)
    if endpoint is None or not caller.covers((), endpoint.processings):
        raise NotFoundError
    return endpoint


async def list_webhooks(session: ReadSession, caller: Caller) -> list[Endpoint]:
    """Return every endpoint that reports no more than the caller may name, oldest first."""
    return [each for each in await list_endpoints(session) if caller.covers((), each.processings)]


def _target(identifier: UUID) -> Target:
    return Target(TargetKind.WEBHOOK, str(identifier))


def _check(caller: Caller, wanted: Endpoint, policy: AddressPolicy) -> None:
    if wanted.include_subject:
        caller.require(Scope.CONSENTS_READ)
    if not caller.covers((), wanted.processings):
        raise ProcessingNotAllowedError(field="processings")
    try:
        check_url(wanted.url, policy)
    except ForbiddenUrlError as error:
        raise InvalidUrlError(f"The URL {error}.", field="url") from None


# Send events to an endpoint again: one, or all of a span of time.

MOST_AT_ONCE: Final = 10_000


async def replay_delivery(session: WriteSession, caller: Caller, endpoint: UUID, event: UUID) -> None:
    """Queue one delivery anew, whether it is pending, delivered or dead.

    Raises:
        ScopeMissingError: the caller may not read consents.
        NotFoundError: there is no such delivery, or the endpoint is not the caller's to see.

    """
    if await _replay(session, caller, endpoint, event, {"event": str(event)}, delivered=True) == 0:
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
    detail = {"since": since.isoformat(), "until": until.isoformat()}
    span = (since, until)
    return await _replay(session, caller, endpoint, span, detail, delivered=all_of_them, missing=all_of_them)


async def _replay(
    session: WriteSession,
    caller: Caller,
    identifier: UUID,
    which: UUID | tuple[datetime, datetime],
    detail: Mapping[str, Detail],
    *,
    delivered: bool,
    missing: bool = False,
) -> int:
    caller.require(Scope.CONSENTS_READ)  # sending again shows the past of many users at once
    endpoint = await find_webhook(session, caller, identifier, hold=True)
    now = await session.instant()
    statuses = ("pending", "delivered", "dead") if delivered else ("pending", "dead")
    dispatched = await load_progress(session, DISPATCHED)
    queued = await queue_again(
        session, endpoint.id, which, statuses, dispatched, missing=missing, limit=MOST_AT_ONCE, now=now
    )
    await record_act(session, ActKind.WEBHOOK_REPLAYED, caller.id, _target(identifier), {**detail, "queued": queued})
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
