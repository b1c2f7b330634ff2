"""What may come back instead of Sceau's answer, to each of which a chat server must react alike."""

import json
from collections.abc import Mapping
from itertools import cycle

from tests.e2e.wiretap import FAILING, GARBAGE, Behaviour, Heard, Line, answering, held, hung_up, stalled

_PERMIT = {
    "decision": True,
    "context": {"id": "x", "reason": "consent_in_force", "valid_until": "2999-01-01T00:00:00Z"},
}


def _permits(heard: Heard) -> bytes:
    """As many permits as there were questions."""
    return json.dumps({"evaluations": [_PERMIT] * len(heard.json["evaluations"])}).encode()


def _answer(line: Line, heard: Heard, more: str) -> bool:
    body = _permits(heard)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    heard.answer = head.encode() + body
    line.client.sendall(heard.answer)
    return True


def of_another_question(line: Line, heard: Heard) -> bool:
    """Permits, and enough of them, but with another question's id: as a late answer on a used connection would be."""
    return _answer(line, heard, "X-Request-ID: 0123456789abcdef\r\n")


def of_this_question(line: Line, heard: Heard) -> bool:
    """The same permits, with this question's id."""
    return _answer(line, heard, f"X-Request-ID: {heard.headers['x-request-id']}\r\n")


def slow() -> Behaviour:
    """Of every two answers one does not begin, and one does not end."""
    kinds = cycle([held, stalled])

    def treated(line: Line, heard: Heard) -> bool:
        return next(kinds)(line, heard)

    return treated


UNUSABLE: Mapping[str, Behaviour | None] = {
    "away": None,
    "hanging up": hung_up,
    "failing": FAILING,
    "garbage": GARBAGE,
    "half JSON": answering(200, b'{"evaluations":[{"decision":true'),
    "no decisions": answering(200, b'{"evaluations":[]}'),
    "of another question": of_another_question,
}
"""By name: behaviours of the wire, None for nobody listening."""
