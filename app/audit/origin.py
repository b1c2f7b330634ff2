"""By which way an act arrives and under which request id: set where a request or command begins, read by the trail.

Operations say who acts and on what; which request that was is the edge's to know. Passing it through every operation
would put HTTP into each of them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class EntryPoint(StrEnum):
    """How an act arrived."""

    API = "api"
    COMMAND = "command"
    PAGE = "page"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Origin:
    """How an act arrived, and the id of its request if it is one that may be kept (letters, digits, `._-`)."""

    way: EntryPoint
    request_id: str | None = None


BY_ITSELF: Final = Origin(EntryPoint.SERVICE)
"""What the service does by itself, at its start."""

_origin: ContextVar[Origin] = ContextVar("sceau_origin", default=BY_ITSELF)


def current_origin() -> Origin:
    """How what runs now arrived."""
    return _origin.get()


@contextmanager
def arriving(origin: Origin) -> Iterator[None]:
    """What runs in this block arrived so."""
    token = _origin.set(origin)
    try:
        yield
    finally:
        _origin.reset(token)
