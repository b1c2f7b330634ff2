"""What may come back instead of Sceau's answer, to each of which a chat server must react alike."""

import json
from collections.abc import Mapping
from itertools import cycle
from typing import Any

from tests.e2e.wiretap import FAILING, GARBAGE, Behaviour, Heard, Line, answering, held, hung_up, stalled

CLEAR: Mapping[str, Any] = {"id": "x", "reason": "consent_in_force", "valid_until": "2999-01-01T00:00:00Z"}
UNCLEAR: Mapping[str, Mapping[str, Any]] = {
    "deny": {"decision": False, "context": CLEAR},
    "word": {"decision": "true", "context": CLEAR},
    "number": {"decision": 1, "context": CLEAR},
    "no decision": {"context": CLEAR},
    "no context": {"decision": True},
    "no end": {"decision": True, "context": {"id": "x", "reason": "consent_in_force"}},
    "an end without zone": {"decision": True, "context": {**CLEAR, "valid_until": "2999-01-01T00:00:00"}},
    "an end that is none": {"decision": True, "context": {**CLEAR, "valid_until": "never"}},
    "an empty end": {"decision": True, "context": {**CLEAR, "reason": "exempt", "valid_until": ""}},
}
"""Decisions, by what is wrong with them, none of which is a permit."""


def deciding(**decision: Any) -> Behaviour:
    """The same decision on every question, as an answer to this very question."""

    def told(line: Line, heard: Heard) -> bool:
        return _answer(line, heard, decision, heard.headers["x-request-id"])

    return told


def of_another_question(line: Line, heard: Heard) -> bool:
    """Permits, and enough of them, but with another question's id: as a late answer on a used connection would be."""
    return _answer(line, heard, {"decision": True, "context": CLEAR}, "0123456789abcdef")


def _answer(line: Line, heard: Heard, decision: Mapping[str, Any], identifier: str) -> bool:
    body = json.dumps({"evaluations": [decision] * len(heard.json["evaluations"])}).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\nX-Request-ID: {identifier}\r\n\r\n"
    heard.answer = head.encode() + body
    line.client.sendall(heard.answer)
    return True


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
