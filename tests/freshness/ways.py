"""Which parts of the code answered decisions in a worker, counted beside the production code.

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

KNOWN: Final = "from memory, at once"
MISSED: Final = "from memory, after a read"
PRIMARY: Final = "from the primary"
ROUTE: Final = "by the documented route"
WAITED: Final = "sent while another was read for"
HALVES: Final = "body after its head"
ACKNOWLEDGED: Final = "writes acknowledged between two beats"
STOPPED: Final = "stopped between forgetting and acknowledging"
PERMITS: Final = ", a permit"
LEASED: Final = (KNOWN, KNOWN + PERMITS, MISSED, MISSED + PERMITS, PRIMARY, ROUTE, WAITED, HALVES, ACKNOWLEDGED)
"""What must occur where replicas answer from memory."""
STRICT: Final = (PRIMARY, PRIMARY + PERMITS, ROUTE, WAITED, HALVES)
"""What must occur where no replica may answer from memory."""


happened: Counter[str] = Counter()
"""What was done to this process (`tests.freshness.disturbances`)."""


def not_taken(ways: Mapping[str, int], wanted: tuple[str, ...]) -> list[str]:
    """The wanted ways by which no decision was answered."""
    return [way for way in wanted if not ways.get(way)]


@contextmanager
def counted() -> Iterator[None]:
    """Count from here on; write the counts where the environment says, however this ends."""
    ways: Counter[str] = Counter()
    _count_sources(ways)
    _count_entrances(ways)
    _count_acknowledgements(ways)
    try:
        yield
    finally:
        file = os.environ.get("STALE_WAYS")
        if file:
            Path(file).write_text(json.dumps(ways + happened), encoding="utf-8")


def _count_sources(ways: Counter[str]) -> None:
    """Count where the facts of answers came from."""
    from app.api.decisions import endpoint
    from app.operations.decisions.judging import Judged

    def note(way: str, answered: Any) -> None:
        ways[way] += 1
        ways[way + PERMITS] += any(isinstance(each, Judged) and each.shape.permitted for each in answered.answers)

    at_once: Callable[..., Any] = vars(endpoint)["answer_at_once"]
    later: Callable[..., Awaitable[Any]] = vars(endpoint)["answer_questions"]

    def answer_at_once(*arguments: Any) -> Any:
        answered = at_once(*arguments)
        if answered is not None:
            note(KNOWN, answered)
        return answered

    async def answer_questions(*arguments: Any) -> Any:
        answered = await later(*arguments)
        note(MISSED if answered.from_memory else PRIMARY, answered)
        return answered

    vars(endpoint).update(answer_at_once=answer_at_once, answer_questions=answer_questions)


def _count_entrances(ways: Counter[str]) -> None:
    """Count what came by the documented route, and how what came by the connection arrived."""
    from app.api.decisions import routes
    from app.api.decisions.endpoint import DecisionProtocol

    by_route: Callable[..., Awaitable[Any]] = vars(routes)["_answer"]
    receive: Callable[..., None] = DecisionProtocol.data_received

    async def _answer(*arguments: Any) -> Any:
        ways[ROUTE] += 1
        return await by_route(*arguments)

    def data_received(self: DecisionProtocol, data: bytes) -> None:
        ways[WAITED] += self.is_answering()
        ways[HALVES] += self._request is not None
        receive(self, data)

    vars(routes)["_answer"] = _answer
    setattr(DecisionProtocol, data_received.__name__, data_received)


def _count_acknowledgements(ways: Counter[str]) -> None:
    """Count the acknowledgements of this replica's writes by others."""
    from app.snapshot.writer import Confirmer

    acknowledged: Callable[..., None] = Confirmer.acknowledged

    def told(self: Confirmer, *arguments: Any) -> None:
        ways[ACKNOWLEDGED] += 1
        acknowledged(self, *arguments)

    setattr(Confirmer, acknowledged.__name__, told)
