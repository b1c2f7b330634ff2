"""Requests that present no key in force, bounded by where they come from (`app.auth.door`), before anything is read.

Only routes that want a key are concerned: pages for people, probes and metrics are not.
"""

from typing import Final

from starlette.types import Scope

from app.api.peers import peer_of
from app.api.services import Services
from app.auth.callers import key_digest
from app.auth.quotas import Standing

_WITH_A_KEY: Final = ("/v1/", "/access/")
_NOTHING: Final = b""
_UNAUTHORIZED: Final = 401


def at_the_door(services: Services, scope: Scope) -> Standing | None:
    """How it stands with a request that is to be refused without a look at its key; None for every other one."""
    if not scope["path"].startswith(_WITH_A_KEY):
        return None
    return services.door.refuses(peer_of(scope, services.proxies), _presented(scope))


def remember(services: Services, scope: Scope, status: int) -> None:
    """Note how a request ended that was looked up: its key was somebody's, or nobody's."""
    if not scope["path"].startswith(_WITH_A_KEY):
        return
    if status == _UNAUTHORIZED:
        services.door.failed(peer_of(scope, services.proxies), _presented(scope))
    elif scope.get("state", {}).get("caller") is not None:
        services.door.passed(_presented(scope))


def _presented(scope: Scope) -> bytes:
    """The SHA-256 of what a request presents: the same as that of a key, where it is one."""
    said = next((value for name, value in scope["headers"] if name == b"authorization"), _NOTHING)
    if not said:
        return _NOTHING
    return key_digest(said.partition(b" ")[2].strip().decode("latin-1"))
