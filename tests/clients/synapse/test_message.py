"""What of a Matrix event is handed to whom: elements, and parties."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from sceau_synapse.message import Element, message_of, parties_of

CONTENT, IDENTITY, ATTACHMENTS = Element.CONTENT, Element.CORRESPONDENT_IDENTITY, Element.ATTACHMENTS
WORDS = {"msgtype": "m.text", "body": "words"}
FILE = {"msgtype": "m.file", "body": "report.pdf", "url": "mxc://chat.example/x", "info": {"size": 1}}


@dataclass
class Event:
    """An event as far as the module reads it."""

    content: dict[str, Any]
    type: str = "m.room.message"
    room_id: str = "!room:chat.example"
    event_id: str = "$event"
    sender: str = "@alice:chat.example"
    origin_server_ts: int = 1
    state: dict[str, str] = field(default_factory=dict)


def member(membership):
    """A membership."""
    return Event({"membership": membership}, type="m.room.member")


def is_mine(user):
    """Whether a user is this server's."""
    return user.endswith(":chat.example")


@pytest.mark.parametrize("kind", ["m.reaction", "m.room.redaction", "m.room.member", "m.call.invite", "m.room.topic"])
def test_other_events_are_no_messages(kind):
    """Reactions, redactions, state and calls are not looked at."""
    assert message_of(Event(WORDS, type=kind)) is None


@pytest.mark.parametrize(
    ("content", "elements", "offered"),
    [
        (WORDS, {CONTENT}, True),
        (WORDS, {IDENTITY}, True),
        (WORDS, {ATTACHMENTS}, False),
        (FILE, {ATTACHMENTS}, True),
        (FILE, {CONTENT}, False),
        (FILE | {"filename": "report.pdf"}, {CONTENT}, False),
        (FILE | {"filename": "report.pdf", "body": "as promised"}, {CONTENT}, True),
        (FILE, {CONTENT, ATTACHMENTS}, True),
        ({}, {CONTENT}, False),
    ],
)
def test_a_message_offers_what_it_has(content, elements, offered):
    """A file's name is part of the file; a caption is content."""
    message = message_of(Event(content))
    assert message is not None
    assert message.offers(elements) is offered


@pytest.mark.parametrize(
    ("elements", "offered"),
    [({IDENTITY}, True), ({CONTENT}, False), ({ATTACHMENTS}, False), ({IDENTITY, CONTENT}, False)],
)
def test_an_encrypted_message_offers_who_corresponds_and_that_alone(elements, offered):
    """There is no content that the server can read, whatever the event's own fields are called."""
    message = message_of(Event({"ciphertext": "x", "body": "unreadable"}, type="m.room.encrypted"))
    assert message is not None
    assert message.offers(elements) is offered
    assert message.content == message.attachments == {}


def test_words_carry_neither_the_file_nor_whom_they_mention():
    """What an analysis of content gets names no mentioned user and no file, in an edit neither."""
    named = {"m.mentions": {"user_ids": ["@bob:chat.example"]}}
    edited = {**WORDS, **named, "m.new_content": {**FILE, **named, "filename": "a.pdf"}}
    message = message_of(Event(edited))
    assert message is not None
    assert message.content == {"msgtype": "m.text", "body": "words", "m.new_content": {"body": "report.pdf"}}
    assert message.attachments["url"] == FILE["url"]


def test_edits_nested_in_edits_are_not_followed():
    """However deep a client nests, one level is read."""
    nested: dict[str, Any] = {"body": "deepest"}
    for _ in range(5_000):
        nested = {"body": "x", "m.new_content": nested}
    message = message_of(Event(nested))
    assert message is not None
    assert message.content == {"body": "x", "m.new_content": {"body": "x"}}


def test_parties_are_the_sender_who_joined_and_who_is_invited():
    """An invited user reads what was written before; who left or was banned does not."""
    state = {
        ("m.room.member", "@bob:chat.example"): member("join"),
        ("m.room.member", "@carol:chat.example"): member("invite"),
        ("m.room.member", "@dora:chat.example"): member("leave"),
        ("m.room.member", "@erin:chat.example"): member("ban"),
        ("m.room.member", "@frank:chat.example"): member("knock"),
        ("m.room.name", ""): Event({"name": "room"}, type="m.room.name"),
    }
    parties = parties_of("@alice:chat.example", state, is_mine)
    assert parties.local == ("@alice:chat.example", "@bob:chat.example", "@carol:chat.example")
    assert not parties.remote


@pytest.mark.parametrize("membership", ["join", "invite"])
def test_users_of_other_servers_are_known_to_be_there_and_no_more(membership):
    """They are counted as elsewhere and not named."""
    state = {("m.room.member", "@eve:else.example"): member(membership)}
    parties = parties_of("@alice:chat.example", state, is_mine)
    assert parties.local == ("@alice:chat.example",)
    assert parties.remote
    assert parties_of("@eve:else.example", {}, is_mine).local == ()
