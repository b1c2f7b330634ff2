"""What is awaited, waited for on a stage, so that each test is run with either client, and with either double."""

from collections.abc import Callable
from inspect import isawaitable
from typing import Any

from tests.webhooks.courier import Stage


class Awaited:
    """A client, or a double, that is awaited."""

    def __init__(self, stage: Stage, awaited: Any) -> None:
        """Call it on a stage."""
        self._stage, self._awaited = stage, awaited

    def __getattr__(self, name: str) -> Any:
        """What it has of that name; what a call gives, once that was awaited."""
        value = getattr(self._awaited, name)
        return (lambda *what, **how: self._stage.run(_given(value, *what, **how))) if callable(value) else value


async def _given(call: Callable[..., Any], *what: Any, **how: Any) -> Any:
    result = call(*what, **how)
    return await result if isawaitable(result) else result
