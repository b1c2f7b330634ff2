"""Mechanisms of the protocol, switched off one at a time: the checker must then find a stale permit."""

from collections.abc import Callable
from typing import Any, Final


def no_confirmation() -> None:
    """A narrowing write is answered as soon as it is committed."""
    from app.snapshot.confirm import Confirmer

    async def at_once(self: Confirmer, *_: Any, **__: Any) -> None:
        """Wait for nobody."""

    Confirmer.confirm = at_once  # type: ignore[method-assign]


def no_invalidation() -> None:
    """The feed says what changed, and nobody forgets it."""
    from app.snapshot.feed import Feed

    make = Feed.__init__

    def deaf(self: Feed, *args: Any, **named: Any) -> None:
        make(self, *args, **{**named, "drop": lambda _: None})

    Feed.__init__ = deaf  # type: ignore[method-assign]


IN_A_WORKER: Final[dict[str, Callable[[], None]]] = {
    "no confirmation": no_confirmation,
    "no invalidation": no_invalidation,
}
