"""Stop sending to an endpoint; its deliveries wait until it is made active again."""

from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from app.auth.callers import Caller
from app.auth.scopes import Scope
from app.db.session import WriteSession
from app.events.endpoints import Endpoint, EndpointStatus, load_endpoint, save_endpoint

GONE: Final = "gone"
BY_REQUEST: Final = "by_request"
MAKER_ENDED: Final = "maker_ended"
"""Whoever answers for it was revoked, or may not do any more what the endpoint does."""


def answered_for(endpoint: Endpoint, maker: Caller | None) -> bool:
    """Whether the caller that made or last changed an endpoint may still have it told what it is told."""
    if maker is None or maker.revoked_at is not None or not maker.covers((), endpoint.processings):
        return False
    needed = {Scope.WEBHOOKS_MANAGE, Scope.CONSENTS_READ} if endpoint.include_subject else {Scope.WEBHOOKS_MANAGE}
    return needed <= maker.scopes


async def disable_webhook(session: WriteSession, identifier: UUID, reason: str, now: datetime) -> bool:
    """Disable an endpoint, and keep why; False when it is disabled already, or gone."""
    endpoint = await load_endpoint(session, identifier, hold=True)
    if endpoint is None or endpoint.status is EndpointStatus.DISABLED:
        return False
    disabled = replace(endpoint, status=EndpointStatus.DISABLED, status_reason=reason, status_at=now)
    await save_endpoint(session, disabled)
    return True
