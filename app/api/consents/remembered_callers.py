"""Callers found in this process's memory, under its lease: for routes that look them up again in their transaction."""

from typing import Annotated

from fastapi import Request, Security
from fastapi.security import HTTPAuthorizationCredentials

from app.api.http.rate_limits import charge
from app.api.http.security import Needs, bearer, credential_of
from app.api.http.services import Services, services_of
from app.auth.callers import Caller, Credential
from app.db.database import DatabaseUnavailableError


class NeedsRemembered(Needs):
    """The same, from memory where this process may use it: for routes that look the caller up again as they write."""

    async def __call__(
        self, request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Security(bearer)]
    ) -> Caller:
        """Find the caller in memory, under the lease, or as every route does."""
        services = services_of(request)
        presented = await credential_of(services, credentials.credentials if credentials is not None else None)
        caller = await _remembered(services, presented)
        if caller is None:
            return await super().__call__(request, credentials)
        request.state.presented, request.state.caller = presented, str(caller.id)
        charge(request, services.limits, self.counted, caller)
        caller.require_one_of(self._named)
        return caller


async def _remembered(services: Services, presented: Credential) -> Caller | None:
    """The caller as this process's memory has it, read into it where it lacks; None where that may not be used."""
    memory = services.memory
    if memory is None or not memory.replica.lease.held():
        return None
    replica = memory.replica
    try:
        held = replica.callers.get(presented.digest) or await replica.load_caller(presented.digest)
    except DatabaseUnavailableError:
        return None  # memory cannot be read into: the primary is asked
    now = replica.now()
    if held.caller is None or now >= held.until or not replica.lease.held():
        return None
    held.use.at = now
    return held.caller
