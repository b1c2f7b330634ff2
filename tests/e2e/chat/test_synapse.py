"""Synapse with the module, driven over the Matrix client API; what reached Sceau is read off the wire."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.chat.faults import CLEAR, UNCLEAR, UNUSABLE, deciding, slow
from tests.e2e.chat.homeserver import Homeserver, homeserver, module_settings
from tests.e2e.chat.matrix import MatrixUser
from tests.e2e.chat.register import ADS, BROKEN, STATISTICS, Register
from tests.e2e.wiretap import Wiretap

DEADLINE = 8.0
"""Seconds that the module waits for Sceau here: far longer than a delivery takes."""
MOST_MEMBERS = MOST_IN_FLIGHT = 3


class World:
    """A homeserver, its users, the wire to Sceau, and what the analyses wrote."""

    def __init__(self, folder: Path, server: Homeserver, register: Register, wire: Wiretap) -> None:
        """Make the accounts: Alice and Carol consent to everything, Bob to nothing."""
        self._folder, self.server, self.register, self.wire = folder, server, register, wire
        self.alice, self.bob, self.carol = (server.register(name) for name in ("alice", "bob", "carol"))
        for each in (self.alice, self.carol):
            register.grant(each.id, ADS, STATISTICS, BROKEN)
        self.permitted = self.alice.create_room(self.carol)
        """A room whose messages may be analysed."""

    def written(self, file: str) -> list[Any]:
        """What was written down, line by line."""
        path = self._folder / file
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def analysed(self, event: str) -> bool:
        """Whether the README's analysis saw an event."""
        return any(each["event"] == event for each in self.written("words.jsonl"))

    def exchange(
        self, sender: MatrixUser, receiver: MatrixUser, room: str | None = None, body: str = "", **content: Any
    ) -> str:
        """Send, see it arrive, wait until the module is done with it; what became of its analysis.

        What the module counts and what the analysis wrote down agree.
        """
        before, where = self.server.outcomes(ADS), room or self.permitted
        event = sender.send(where, body or secrets.token_hex(8), **content)
        assert receiver.receives(event)["sender"] == sender.id
        (outcome,) = self.server.outcomes_since(ADS, before, 1)
        assert self.analysed(event) is (outcome == "analysed")
        return outcome

    def is_analysed(self) -> bool:
        """Whether a message of those who consent is analysed now."""
        return self.exchange(self.alice, self.carol) == "analysed"


@pytest.fixture(scope="module")
def world(administrator, folder, python, wire) -> Iterator[World]:
    """The whole of it, as the README says to set it up."""
    module = module_settings(folder, wire.address)
    module["config"] |= {"timeout": DEADLINE, "max_local_members": MOST_MEMBERS, "max_in_flight": MOST_IN_FLIGHT}
    module["config"]["processings"] += [
        {"id": BROKEN, "elements": ["content"], "on_permit": "analyses.raise_what_was_read"},
        {"id": STATISTICS, "elements": ["correspondent_identity"], "on_permit": "analyses.write_correspondents"},
    ]
    filtering = {"module": "analyses.Filter", "config": {"file": str(folder / "filtered.jsonl")}}
    with homeserver(folder, python, module, filtering, CORRESPONDENTS=str(folder / "correspondents.jsonl")) as server:
        yield World(folder, server, Register(administrator, "mxid"), wire)


def test_a_message_is_analysed_when_all_its_local_users_consent(world):
    """Alice and Carol consent: the message arrives, and its words are counted."""
    assert world.exchange(world.alice, world.carol) == "analysed"


def test_a_message_is_not_analysed_when_one_of_its_local_users_does_not_consent(world):
    """Bob never consented: messages arrive both ways, and neither is analysed."""
    room = world.alice.create_room(world.bob)
    assert world.exchange(world.alice, world.bob, room) == "denied"
    assert world.exchange(world.bob, world.alice, room) == "denied"


def test_who_is_invited_is_asked_too(world):
    """What Alice writes before Bob has come in is for Bob: it is not analysed, and he reads it once he is there."""
    room = world.alice.create_room(world.bob, joining=False)
    assert world.exchange(world.alice, world.alice, room, body="before you come") == "denied"
    world.bob.join(room)
    assert world.exchange(world.bob, world.alice, room) == "denied"


def test_the_next_message_after_a_withdrawal_is_not_analysed(world):
    """Dora consents, and is analysed; she withdraws, and the next message is not."""
    dora = world.server.register("dora")
    world.register.grant(dora.id, ADS)
    room = dora.create_room(world.carol)
    assert world.exchange(dora, world.carol, room) == "analysed"
    world.register.withdraw(dora.id, ADS)
    assert world.exchange(dora, world.carol, room) == "denied"


@pytest.mark.parametrize("behaviour", UNUSABLE.values(), ids=UNUSABLE)
def test_an_unusable_answer_turns_analysis_off_and_delivers(world, behaviour):
    """The message arrives and is not analysed, and the filter, which is exempt, has seen it all the same."""
    body = secrets.token_hex(8)
    with world.wire.fault(behaviour) if behaviour else world.wire.refusing():
        assert world.exchange(world.alice, world.carol, body=body) == "unusable"
    assert body in world.written("filtered.jsonl")
    assert world.is_analysed()


@pytest.mark.parametrize("decision", UNCLEAR.values(), ids=UNCLEAR)
def test_only_a_clear_permit_is_one(world, decision):
    """An answer to this very question that does not say yes, or not until when, is a deny."""
    with world.wire.fault(deciding(**decision)):
        assert world.exchange(world.alice, world.carol) == "denied"


@pytest.mark.parametrize(
    ("context", "outcome"),
    [
        (CLEAR, "analysed"),
        ({"id": "x", "reason": "exempt"}, "analysed"),
        ({"id": "x", "reason": "not_governed"}, "analysed"),
        ({**CLEAR, "valid_until": "2026-01-01T00:00:00Z"}, "lapsed"),
    ],
    ids=["in force", "exempt", "not governed", "over"],
)
def test_a_permit_is_used_until_it_ends(world, context, outcome):
    """The control of the cases before: what says yes, to this very question, is a permit, until it has ended."""
    with world.wire.fault(deciding(decision=True, context=context)):
        assert world.exchange(world.alice, world.carol) == outcome


def test_delivery_does_not_wait_for_a_slow_sceau(world):
    """All messages have arrived while Sceau still holds its answers: some have not begun, some have not ended.

    What is more than may be asked about at once is not asked about, and arrives as well.
    """
    before, mark = world.server.outcomes(ADS), len(world.wire.heard)
    with world.wire.fault(slow()):
        events = [world.alice.send(world.permitted, secrets.token_hex(8)) for _ in range(MOST_IN_FLIGHT + 1)]
        for event in events:
            world.carol.receives(event)
        # The message before may still be under analysis: then one more of these is too many.
        assert set(world.server.outcomes_since(ADS, before, 1)) == {"busy"}
        assert not any(each.gave_up for each in world.wire.since(mark))
        assert set(world.server.outcomes_since(ADS, before, MOST_IN_FLIGHT + 1)) == {"busy", "unusable"}
    assert not any(world.analysed(event) for event in events)
    assert world.is_analysed()


def test_sceau_learns_nothing_of_the_message(world):
    """No words, room, event, file or mention reached Sceau in any request so far; the users' ids did."""
    marks = [secrets.token_hex(8) for _ in range(3)]
    room = world.alice.create_room(world.carol, name=marks[0])
    mention = {"m.mentions": {"user_ids": ["@outsider:elsewhere.example"]}}
    assert world.exchange(world.alice, world.carol, room, body=marks[1], **mention) == "analysed"
    file = {"msgtype": "m.file", "body": marks[2], "url": f"mxc://chat.example/{marks[2]}"}
    event = world.alice.send(room, "", **file)
    world.carol.receives(event)
    secret = [*marks, room, room.split(":")[0].lstrip("!"), event, event.lstrip("$"), "outsider", "elsewhere.example"]
    assert [each for each in secret if world.wire.hears(each)] == []
    assert world.wire.hears(world.alice.id)
    assert world.wire.hears(world.carol.id)


def test_nothing_is_logged_of_who_wrote_what(world):
    """The module and the HTTP client under it, at DEBUG, log no id and no word; they do log that an analysis raised."""
    body = secrets.token_hex(8)
    world.exchange(world.alice, world.carol, body=body)
    log = world.server.log.read_text().splitlines()
    lines = [line for line in log if " synapse.modules.sceau " in line or " twisted" in line]
    assert any("raised RuntimeError at" in line for line in lines)
    leaks = [line for line in lines for mark in ("@alice", "@carol", body, "!", "/access/") if mark in line]
    assert leaks == []


def test_each_message_is_one_request_and_the_connection_is_used_again(world):
    """Five messages make five requests, on fewer connections: a slow machine lets one stand idle until it is closed."""
    mark = len(world.wire.heard)
    assert [world.is_analysed() for _ in range(5)] == [True] * 5
    heard = world.wire.since(mark)
    assert [each.path for each in heard] == ["/access/v1/evaluations"] * 5
    assert len({each.connection for each in heard}) < len(heard)


def test_handles_tell_nobody_that_two_users_had_one_message(world):
    """Each user's questions about a message have a handle of their own, and the next message has others."""
    mark = len(world.wire.heard)
    assert [world.is_analysed() for _ in range(2)] == [True, True]
    items = [item for each in world.wire.since(mark) for item in each.json["evaluations"]]
    handles = {(item["subject"]["id"], item["resource"]["id"]) for item in items}
    assert len(items) == 2 * 2 * 3
    assert len(handles) == len({handle for _, handle in handles}) == 4


def test_an_analysis_that_raises_harms_nothing(world):
    """It is counted as failed; the message arrives, and the other processings' analyses run."""
    before = world.server.outcomes(BROKEN)
    assert world.is_analysed()
    assert world.server.outcomes_since(BROKEN, before, 1) == ["analysis_failed"]


def test_an_analysis_gets_the_elements_that_were_permitted(world):
    """A processing of correspondents' identity is given who they are, and no word."""
    before = world.server.outcomes(STATISTICS)
    event = world.alice.send(world.permitted, "words", **{"m.mentions": {}})
    assert world.server.outcomes_since(STATISTICS, before, 1) == ["analysed"]
    (written,) = [each for each in world.written("correspondents.jsonl") if each["event_id"] == event]
    assert written["sender"] == world.alice.id
    assert written["local_members"] == [world.alice.id, world.carol.id]
    assert written["content"] is None
    assert written["attachments"] is None


def test_of_an_encrypted_event_only_who_corresponds_is_asked_about(world):
    """Processings of content are not asked about; the one of identities alone is, and gets them."""
    before, mark = world.server.outcomes(STATISTICS), len(world.wire.heard)
    cipher = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "AwgAEnAC"}
    event = world.alice.send(world.permitted, "", kind="m.room.encrypted", **cipher)
    world.carol.receives(event)
    assert world.server.outcomes_since(STATISTICS, before, 1) == ["analysed"]
    actions = [item["action"]["name"] for each in world.wire.since(mark) for item in each.json["evaluations"]]
    assert actions == [STATISTICS, STATISTICS]


def test_a_room_of_more_local_users_than_configured_is_not_analysed(world):
    """With one user more than the most, nobody is asked."""
    erin = world.server.register("erin")
    room = world.alice.create_room(world.bob, world.carol, erin)
    mark = len(world.wire.heard)
    assert world.exchange(world.alice, erin, room) == "too_many_members"
    assert world.wire.since(mark) == []
