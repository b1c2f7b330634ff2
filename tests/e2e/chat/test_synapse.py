"""Synapse with the module, driven over the Matrix client API; what reached Sceau is read off the wire."""

import secrets

from tests.e2e.chat.faults import slow
from tests.e2e.chat.matrix_world import MOST_IN_FLIGHT
from tests.e2e.chat.register import ADS, STATISTICS


def test_who_is_invited_is_asked_too(synapse):
    """What Alice writes before Bob has come in is for Bob: it is not analysed, and he reads it once he is there."""
    room = synapse.alice.create_room(synapse.bob, joining=False)
    assert synapse.exchange(synapse.alice, synapse.alice, room, body="before you come") == "denied"
    synapse.bob.join(room)
    assert synapse.exchange(synapse.bob, synapse.alice, room) == "denied"


def test_delivery_does_not_wait_for_a_slow_sceau(synapse):
    """All messages have arrived while Sceau still holds its answers: some have not begun, some have not ended.

    What is more than may be asked about at once is not asked about, and arrives as well.
    """
    before, mark = synapse.server.outcomes(ADS), len(synapse.wire.heard)
    with synapse.wire.fault(slow()):
        events = [synapse.alice.send(synapse.permitted, secrets.token_hex(8)) for _ in range(MOST_IN_FLIGHT + 1)]
        for event in events:
            synapse.carol.receives(event)
        # The message before may still be under analysis: then one more of these is too many.
        assert set(synapse.server.outcomes_since(ADS, before, 1)) == {"busy"}
        assert not any(each.gave_up for each in synapse.wire.since(mark))
        assert set(synapse.server.outcomes_since(ADS, before, MOST_IN_FLIGHT + 1)) == {"busy", "unusable"}
    assert not any(synapse.analysed(event) for event in events)
    assert synapse.is_analysed()


def test_sceau_learns_nothing_of_the_message(synapse):
    """No words, room, event, file or mention reached Sceau in any request so far; the users' ids did."""
    marks = [secrets.token_hex(8) for _ in range(3)]
    room = synapse.alice.create_room(synapse.carol, name=marks[0])
    mention = {"m.mentions": {"user_ids": ["@outsider:elsewhere.example"]}}
    assert synapse.exchange(synapse.alice, synapse.carol, room, body=marks[1], **mention) == "analysed"
    file = {"msgtype": "m.file", "body": marks[2], "url": f"mxc://chat.example/{marks[2]}"}
    event = synapse.alice.send(room, "", **file)
    synapse.carol.receives(event)
    secret = [*marks, room, room.split(":")[0].lstrip("!"), event, event.lstrip("$"), "outsider", "elsewhere.example"]
    assert [each for each in secret if synapse.wire.hears(each)] == []
    assert synapse.wire.hears(synapse.alice.id)
    assert synapse.wire.hears(synapse.carol.id)


def test_nothing_is_logged_of_who_wrote_what(synapse):
    """The module and the HTTP client under it, at DEBUG, log no id and no word; they do log that an analysis raised."""
    body = secrets.token_hex(8)
    synapse.exchange(synapse.alice, synapse.carol, body=body)
    log = synapse.server.log.read_text().splitlines()
    lines = [line for line in log if " synapse.modules.sceau " in line or " twisted" in line]
    assert any("raised RuntimeError at" in line for line in lines)
    leaks = [line for line in lines for mark in ("@alice", "@carol", body, "!", "/access/") if mark in line]
    assert leaks == []


def test_an_analysis_gets_the_elements_that_were_permitted(synapse):
    """A processing of correspondents' identity is given who they are, and no word."""
    before = synapse.server.outcomes(STATISTICS)
    event = synapse.alice.send(synapse.permitted, "words", **{"m.mentions": {}})
    assert synapse.server.outcomes_since(STATISTICS, before, 1) == ["analysed"]
    (written,) = [each for each in synapse.server.written("correspondents.jsonl") if each["event_id"] == event]
    assert written["sender"] == synapse.alice.id
    assert written["local_members"] == [synapse.alice.id, synapse.carol.id]
    assert written["content"] is None
    assert written["attachments"] is None


def test_of_an_encrypted_event_only_who_corresponds_is_asked_about(synapse):
    """Processings of content are not asked about; the one of identities alone is, and gets them."""
    before, mark = synapse.server.outcomes(STATISTICS), len(synapse.wire.heard)
    cipher = {"algorithm": "m.megolm.v1.aes-sha2", "ciphertext": "AwgAEnAC"}
    event = synapse.alice.send(synapse.permitted, "", kind="m.room.encrypted", **cipher)
    synapse.carol.receives(event)
    assert synapse.server.outcomes_since(STATISTICS, before, 1) == ["analysed"]
    actions = [item["action"]["name"] for each in synapse.wire.since(mark) for item in each.json["evaluations"]]
    assert actions == [STATISTICS, STATISTICS]


def test_a_room_of_more_local_users_than_configured_is_not_analysed(synapse):
    """With one user more than the most, nobody is asked."""
    erin = synapse.server.register("erin")
    room = synapse.alice.create_room(synapse.bob, synapse.carol, erin)
    mark = len(synapse.wire.heard)
    assert synapse.exchange(synapse.alice, erin, room) == "too_many_members"
    assert synapse.wire.since(mark) == []
