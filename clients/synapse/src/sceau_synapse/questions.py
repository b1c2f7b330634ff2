"""One AuthZEN batch for one message: a question for each processing and each local user (Authorization API 1.0, 7).

No event id, room id, name, text or address of another server's user is in it. Each (message, user) has a handle of its
own, so that the handles alone tell nobody who corresponded; whoever holds the secret can make it again from the event.
"""

import hmac
import json
from collections.abc import Sequence
from typing import Any, Final

from sceau_synapse.configuration import Configuration, Gate
from sceau_synapse.message import Message, Parties

_HANDLE_DIGITS: Final = 32
"""128 bits."""
_ELSEWHERE: Final = {"id": "elsewhere", "local": False}
"""All that is said of users of other servers: that there are some."""


def handle(secret: bytes, room_id: str, event_id: str, user: str) -> str:
    """The correspondence id of a message for a user: HMAC-SHA-256 over room, event and user, NUL between, 128 bits."""
    return hmac.digest(secret, f"{room_id}\0{event_id}\0{user}".encode(), "sha256").hex()[:_HANDLE_DIGITS]


def batch(configuration: Configuration, gates: Sequence[Gate], message: Message, parties: Parties) -> bytes:
    """The request's body: the first processing for each local user in order, then the next.

    At least one local user is needed: an empty batch would be another question.
    """
    items: list[dict[str, Any]] = []
    resources = {user: _resource(configuration, message, parties, user) for user in parties.local}
    for gate in gates:
        action = {"name": gate.processing, "properties": {"elements": sorted(gate.elements)}}
        items += [
            {
                "subject": {"type": configuration.subject_type, "id": user},
                "action": action,
                "resource": resources[user],
            }
            for user in parties.local
        ]
    return json.dumps({"evaluations": items}, separators=(",", ":")).encode()


def _resource(configuration: Configuration, message: Message, parties: Parties, user: str) -> dict[str, Any]:
    properties: dict[str, Any] = {"channel": "online", "territory": configuration.territory}
    if configuration.participants:
        others: list[dict[str, Any]] = [{"id": other, "local": True} for other in parties.local if other != user]
        properties["participants"] = [*others, _ELSEWHERE] if parties.remote else others
    return {
        "type": "correspondence",
        "id": handle(configuration.secret, message.room_id, message.event_id, user),
        "properties": properties,
    }
