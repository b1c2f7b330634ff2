"""By which way a worker answered decisions, counted beside the production code, so that a run can show which it took.

A protocol that no caller went through was not checked. The counts go to the file that STALE_WAYS names, when the worker
ends.
"""

import json
import os
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

KNOWN: Final = "known head, from memory"
MISSED: Final = "known head, after a read"
LEARNT: Final = "by the ASGI endpoint"
DOCUMENTED: Final = "by the documented route"
WAITED: Final = "sent while another was read for"
HALVES: Final = "body after its head"
PERMITS: Final = ", a permit"
LEASED: Final = (KNOWN, KNOWN + PERMITS, MISSED, MISSED + PERMITS, LEARNT, DOCUMENTED, WAITED, HALVES)
"""What must occur where replicas answer from memory."""
STRICT: Final = (DOCUMENTED,)
"""What must occur where none may."""
_PERMIT: Final = b'{"decision":true'


def not_taken(ways: Mapping[str, int], wanted: tuple[str, ...]) -> list[str]:
    """Those of the ways that nobody was answered by."""
    return [way for way in wanted if not ways.get(way)]


@contextmanager
def counted() -> Iterator[None]:
    """Count from here on; write the counts where the environment says, however this ends."""
    ways: Counter[str] = Counter()
    _count_answers(ways)
    _count_arrivals(ways)
    try:
        yield
    finally:
        file = os.environ.get("STALE_WAYS")
        if file:
            Path(file).write_text(json.dumps(ways), encoding="utf-8")


def _count_answers(ways: Counter[str]) -> None:
    from app.api import access
    from app.api.hot_endpoint import HotEndpoint, Missed

    at_once: Callable[..., Any] = HotEndpoint.answer_known
    after_read: Callable[..., Awaitable[Any]] = HotEndpoint.answer_missed
    by_endpoint: Callable[..., Awaitable[Any]] = HotEndpoint.answer

    def answer_known(self: HotEndpoint, *asked: Any) -> Any:
        found = at_once(self, *asked)
        if found is not None and not isinstance(found, Missed):
            note(KNOWN, found[1])
        return found

    async def answer_missed(self: HotEndpoint, *asked: Any) -> Any:
        found = await after_read(self, *asked)
        if found is not None:
            note(MISSED, found[1])
        return found

    async def answer(self: HotEndpoint, *asked: Any) -> Any:
        rest = await by_endpoint(self, *asked)
        ways[LEARNT] += rest is None
        return rest

    def note(way: str, body: bytes) -> None:
        ways[way] += 1
        ways[way + PERMITS] += body.startswith(_PERMIT)

    read: Callable[..., Awaitable[Any]] = vars(access)["answer_questions"]

    async def answer_questions(*asked: Any) -> Any:
        ways[DOCUMENTED] += 1
        return await read(*asked)

    vars(access)["answer_questions"] = answer_questions
    for method in (answer_known, answer_missed, answer):
        setattr(HotEndpoint, method.__name__, method)


def _count_arrivals(ways: Counter[str]) -> None:
    from app.api.hot_protocol import HotProtocol

    receive: Callable[..., None] = HotProtocol.data_received

    def data_received(self: HotProtocol, data: bytes) -> None:
        ways[WAITED] += self._under_way is not None
        ways[HALVES] += bool(self._first_half)
        receive(self, data)

    setattr(HotProtocol, data_received.__name__, data_received)
