"""Stop sending to an endpoint; its deliveries wait until it is made active again."""

from dataclasses import replace
from datetime import datetime
from typing import Final
from uuid import UUID

from app.db.session import WriteSession
from app.events.endpoints import EndpointStatus, load_endpoint, save_endpoint

GONE: Final = "gone"
BY_REQUEST: Final = "by_request"


async def disable_webhook(session: WriteSession, identifier: UUID, reason: str, now: datetime) -> bool:
    """Disable an endpoint, and keep why; False when it is disabled already, or gone."""
    endpoint = await load_endpoint(session, identifier, hold=True)
    if endpoint is None or endpoint.status is EndpointStatus.DISABLED:
        return False
    disabled = replace(endpoint, status=EndpointStatus.DISABLED, status_reason=reason, status_at=now)
    await save_endpoint(session, disabled)
    return True
