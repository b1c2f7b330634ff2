"""What signs a webhook: the deployment's keys, and an endpoint's own secrets, made and rotated with an overlap."""

import secrets
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from app.audit.acts import ActKind, Target, TargetKind
from app.audit.trail import record_act
from app.auth.callers import Caller
from app.db.session import INSTANT, ReadSession, WriteSession
from app.events.signing import SigningKeys, add_secret, secret_text, secrets_in_force
from app.keyring.store import WEBHOOK_KEYS, WrappedKey, keys_in_force
from app.operations.service.deployment import Deployment
from app.operations.service.signing_keys import opened

_SECRET: Final = "webhook secret"  # noqa: S105 - what it is for, not one
_SECRET_BYTES: Final = 32


async def new_secret(
    session: WriteSession, deployment: Deployment, caller: Caller, endpoint: UUID, overlap: timedelta
) -> tuple[WrappedKey, str]:
    """Make a symmetric secret for one endpoint, shown once as `whsec_…`; the one before signs for the overlap."""
    now = await session.find(INSTANT)
    raw, identifier = secrets.token_bytes(_SECRET_BYTES), session.new_id(now)
    master, wrapped = deployment.vault.wrap(f"{_SECRET} {identifier}", raw)
    made = WrappedKey(identifier, master, wrapped, now)
    await add_secret(session, endpoint, made, retire=now + overlap)
    target = Target(TargetKind.WEBHOOK, str(endpoint))
    await record_act(session, ActKind.WEBHOOK_SECRET_MADE, caller.id, target, {"secret": str(identifier)})
    return made, secret_text(raw)


async def signing_keys(session: ReadSession, deployment: Deployment, endpoint: UUID, now: datetime) -> SigningKeys:
    """All that signs for an endpoint at an instant.

    Raises:
        VaultError: the master key that wraps one of them is not held.

    """
    private = [opened(deployment, WEBHOOK_KEYS, key) for key in await keys_in_force(session, WEBHOOK_KEYS, now)]
    symmetric = [
        deployment.vault.unwrap(f"{_SECRET} {each.id}", each.master_key_id, each.wrapped)
        for each in await secrets_in_force(session, [endpoint], now)
    ]
    return SigningKeys(private, symmetric)
