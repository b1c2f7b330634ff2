"""Two Prosody servers and their users, the wire to Sceau, and what the analyses wrote."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import count
from typing import Any

from tests.e2e.chat.register import ADS, BROKEN, STATISTICS, Register
from tests.e2e.chat.xmpp import XmppUser
from tests.e2e.chat.xmpp_server import (
    ELSEWHERE,
    FEDERATED,
    HOST,
    ROOMS,
    WITNESSED,
    XmppServer,
    other_server,
    scratch,
    xmpp_server,
)
from tests.e2e.wiretap import Heard, Wiretap, tapped
from tests.support.api import Api

DEADLINE = 8
"""Seconds that the module waits for Sceau here: far longer than a delivery takes."""
MOST_IN_FLIGHT = 2
_rooms = count(1)


class XmppWorld:
    """Two servers, their users, the wire to Sceau, and what the analyses wrote."""

    permit = "permitted"
    """What the module calls a message that was handed to an analysis."""

    def __init__(self, server: XmppServer, elsewhere: XmppServer, register: Register, wire: Wiretap) -> None:
        """Log in: Alice and Carol consent to everything, Bob to nothing, Eve is on the other server."""
        self.server, self.register, self.wire = server, register, wire
        self.federated, self.eve = server.log_in("alice", FEDERATED), elsewhere.log_in("eve", ELSEWHERE)
        self.users = [self.federated, self.eve]
        self.alice, self.bob, self.carol = (self.newcomer(name) for name in ("alice", "bob", "carol"))
        for each in (self.alice, self.carol, self.federated):
            register.grant(each.bare, ADS, STATISTICS, BROKEN)

    def newcomer(self, name: str) -> XmppUser:
        """Another user, who stays to the end."""
        self.users.append(self.server.log_in(name))
        return self.users[-1]

    def analysed(self, identifier: str) -> bool:
        """Whether the README's analysis saw a message."""
        return any(each["id"] == identifier for each in self.server.written("words.jsonl"))

    def exchange(
        self, sender: XmppUser, receiver: XmppUser, to: str | None = None, body: str | None = "", **how: Any
    ) -> str:
        """Send, see it arrive, wait until the module is done with it; what became of its analysis.

        What the module tells and what the analysis wrote down agree.
        """
        before = self.server.outcomes(ADS)
        identifier = sender.send(to or receiver.full, body or secrets.token_hex(8), **how)
        receiver.receives(identifier)
        (outcome,) = self.server.outcomes_since(ADS, before, 1)
        assert self.analysed(identifier) is (outcome == self.permit)
        return outcome

    def is_analysed(self) -> bool:
        """Whether a message of those who consent is analysed now."""
        return self.exchange(self.alice, self.carol) == self.permit

    def room(self, *users: XmppUser, host: str = ROOMS) -> str:
        """A new room with these users in it, the first its owner."""
        name = f"{secrets.token_hex(4)}{next(_rooms)}@{host}"
        for each in users:
            each.join(name)
        return name


@contextmanager
def xmpp_world(administrator: Api, sceau: str) -> Iterator[XmppWorld]:
    """The whole of it, as the README says to set it up, as long as the block lasts."""
    register = Register(administrator, "user")
    with ExitStack() as stack:
        folder, elsewhere = stack.enter_context(scratch()), stack.enter_context(scratch())
        register.write_key(folder / "sceau.key")
        wire = stack.enter_context(tapped(sceau))
        loaded = 'modules_enabled = { "sceau", "word_counts", "witness" }'
        changes = {
            **WITNESSED,
            '["ads-chat"] = { "content" };': f'["{ADS}"] = {{ "content" }};'
            f' ["{BROKEN}"] = {{ "content" }}; ["{STATISTICS}"] = {{ "correspondent_identity" }};',
            "sceau_timeout = 1": f"sceau_timeout = {DEADLINE} sceau_arrivals = true sceau_max_members = 3"
            f" sceau_max_in_flight = {MOST_IN_FLIGHT}",
            'VirtualHost "chat.example"': f'VirtualHost "{FEDERATED}"\n{loaded}\nVirtualHost "{HOST}"',
        }
        server = stack.enter_context(xmpp_server(folder, wire.address, changes, own=FEDERATED))
        made = XmppWorld(server, stack.enter_context(other_server(elsewhere)), register, wire)
        yield made
        for each in made.users:
            each.close()


def asked(heard: Sequence[Heard]) -> list[tuple[str, str]]:
    """The questions of some requests: processing and user."""
    return [(item["action"]["name"], item["subject"]["id"]) for each in heard for item in each.json["evaluations"]]


def others(heard: Sequence[Heard]) -> list[list[dict[str, Any]]]:
    """The participants of each question of some requests."""
    return [item["resource"]["properties"]["participants"] for each in heard for item in each.json["evaluations"]]
