"""A Synapse and its users, the wire to Sceau, and what the analyses wrote."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.e2e.chat.homeserver import Homeserver, homeserver, module_settings
from tests.e2e.chat.matrix import MatrixUser
from tests.e2e.chat.register import ADS, BROKEN, STATISTICS, Register
from tests.e2e.wiretap import Wiretap

DEADLINE = 8.0
"""Seconds that the module waits for Sceau here: far longer than a delivery takes."""
MOST_MEMBERS = MOST_IN_FLIGHT = 3


class MatrixWorld:
    """A homeserver, its users, the wire to Sceau, and what the analyses wrote."""

    permit = "analysed"
    """What the module calls a message that was handed to an analysis."""

    def __init__(self, server: Homeserver, register: Register, wire: Wiretap) -> None:
        """Make the accounts: Alice and Carol consent to everything, Bob to nothing."""
        self.server, self.register, self.wire = server, register, wire
        self.alice, self.bob, self.carol = (self.newcomer(name) for name in ("alice", "bob", "carol"))
        for each in (self.alice, self.carol):
            register.grant(each.id, ADS, STATISTICS, BROKEN)
        self.permitted = self.alice.create_room(self.carol)
        """A room whose messages may be analysed."""
        self._rooms = {frozenset({self.alice, self.carol}): self.permitted}

    def newcomer(self, name: str) -> MatrixUser:
        """A new account."""
        return self.server.register(name)

    def analysed(self, event: str) -> bool:
        """Whether the README's analysis saw an event."""
        return any(each["event"] == event for each in self.server.written("words.jsonl"))

    def exchange(
        self, sender: MatrixUser, receiver: MatrixUser, room: str | None = None, body: str = "", **content: Any
    ) -> str:
        """Send, see it arrive, wait until the module is done with it; what became of its analysis.

        What the module counts and what the analysis wrote down agree.
        """
        before, both = self.server.outcomes(ADS), frozenset({sender, receiver})
        if room is None and both not in self._rooms:
            self._rooms[both] = sender.create_room(receiver)
        event = sender.send(room or self._rooms[both], body or secrets.token_hex(8), **content)
        assert receiver.receives(event)["sender"] == sender.id
        (outcome,) = self.server.outcomes_since(ADS, before, 1)
        assert self.analysed(event) is (outcome == self.permit)
        return outcome

    def is_analysed(self) -> bool:
        """Whether a message of those who consent is analysed now."""
        return self.exchange(self.alice, self.carol) == self.permit


@contextmanager
def matrix_world(folder: Path, python: Path, register: Register, wire: Wiretap) -> Iterator[MatrixWorld]:
    """The whole of it, as the README says to set it up, as long as the block lasts."""
    module = module_settings(folder, wire.address)
    module["config"] |= {"timeout": DEADLINE, "max_local_members": MOST_MEMBERS, "max_in_flight": MOST_IN_FLIGHT}
    module["config"]["processings"] += [
        {"id": BROKEN, "elements": ["content"], "on_permit": "analyses.raise_what_was_read"},
        {"id": STATISTICS, "elements": ["correspondent_identity"], "on_permit": "analyses.write_correspondents"},
    ]
    filtering = {"module": "analyses.Filter", "config": {"file": str(folder / "filtered.jsonl")}}
    with homeserver(folder, python, module, filtering, CORRESPONDENTS=str(folder / "correspondents.jsonl")) as server:
        yield MatrixWorld(server, register, wire)
