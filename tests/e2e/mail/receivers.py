"""An analysis, as far as these tests are concerned: it keeps what it was handed, and who handed it nothing."""

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from tests.support.listening import Answering, listening


class Analysis:
    """What was analysed: the bodies of the requests, as JSON, in their order."""

    def __init__(self) -> None:
        """Nothing was analysed yet, and it does not listen."""
        self.address = ""
        self.received: list[Any] = []

    def saw(self, **members: object) -> bool:
        """Whether something with these members was analysed."""
        return any(members.items() <= each.items() for each in self.received)


@contextlib.contextmanager
def analysing() -> Iterator[Analysis]:
    """An analysis that listens on loopback as long as the block lasts."""
    analysis = Analysis()

    class Handler(Answering):
        protocol_version = "HTTP/1.1"

        def post(self) -> None:
            analysis.received.append(json.loads(self.sent()))
            self.send_response(204)
            self.end_headers()

    with listening(Handler) as analysis.address:
        yield analysis
