"""Prosody with the module, driven over XMPP; what reached Sceau is read off the wire."""

import secrets
from contextlib import ExitStack

import pytest

from tests.e2e.chat.faults import slow
from tests.e2e.chat.register import ADS, STATISTICS
from tests.e2e.chat.tls import in_front_of, make_authority
from tests.e2e.chat.xmpp import CLIENT
from tests.e2e.chat.xmpp_server import ELSEWHERE, ROOMS, WITNESSED, scratch, xmpp_server
from tests.e2e.chat.xmpp_world import DEADLINE, MOST_IN_FLIGHT, asked, others
from tests.faults.service import eventually

OMEMO = "<encrypted xmlns='eu.siacs.conversations.axolotl'><header sid='1'/><payload>x</payload></encrypted>"


@pytest.mark.parametrize("kind", ["chat", "normal", "headline"])
@pytest.mark.parametrize("address", ["bare", "full"])
def test_a_message_of_each_kind_is_analysed_when_its_local_users_consent(prosody, kind, address):
    """Alice and Carol consent: messages of each kind, to either address, arrive, and their words are counted."""
    assert prosody.exchange(prosody.alice, prosody.carol, getattr(prosody.carol, address), kind=kind) == "permitted"


def test_a_message_to_oneself_has_one_party(prosody):
    """Alice writes to her own address: one question, and nobody else in it."""
    mark = len(prosody.wire.heard)
    assert prosody.exchange(prosody.alice, prosody.alice, prosody.alice.bare) == "permitted"
    assert others(prosody.wire.since(mark)) == [[], [], []]


def test_delivery_does_not_wait_for_a_slow_sceau(prosody):
    """All messages have arrived while Sceau still holds its answers: some have not begun, some have not ended.

    One message more than may be asked about at once is not asked about, and arrives as well.
    """
    before, mark = prosody.server.outcomes(ADS), len(prosody.wire.heard)
    with prosody.wire.fault(slow()):
        sent = [prosody.alice.send(prosody.carol.full, secrets.token_hex(8)) for _ in range(MOST_IN_FLIGHT + 1)]
        for each in sent:
            prosody.carol.receives(each)
        assert prosody.server.outcomes_since(ADS, before, 1) == ["busy"]
        assert not any(each.gave_up for each in prosody.wire.since(mark))
        assert prosody.server.outcomes_since(ADS, before, MOST_IN_FLIGHT + 1) == [
            "busy",
            *["unusable"] * MOST_IN_FLIGHT,
        ]
        eventually(lambda: [each.gave_up for each in prosody.wire.since(mark)] == [True] * MOST_IN_FLIGHT)
    assert not any(prosody.analysed(each) for each in sent)
    assert prosody.is_analysed()


def test_sceau_learns_nothing_of_the_message(prosody):
    """No words, subject, stanza id, room, resource, file or outsider reached Sceau so far; the users' addresses did."""
    body, subject, file = (secrets.token_hex(8) for _ in range(3))
    extra = f"<subject>{subject}</subject><x xmlns='jabber:x:oob'><url>https://files.example/{file}</url></x>"
    assert prosody.exchange(prosody.alice, prosody.carol, body=body, extra=extra) == "permitted"
    assert prosody.exchange(prosody.federated, prosody.eve) == "permitted"
    room = prosody.room(prosody.alice, prosody.carol)
    before = prosody.server.outcomes(ADS)
    identifier = prosody.alice.send(room, body, kind="groupchat")
    prosody.carol.receives(identifier)
    prosody.server.outcomes_since(ADS, before, 1)
    secret = [body, subject, file, f'"{identifier}"', room.split("@")[0], ROOMS, "/test", "eve", ELSEWHERE]
    assert [each for each in secret if prosody.wire.hears(each)] == []
    assert prosody.wire.hears(prosody.alice.bare)
    assert prosody.wire.hears(prosody.carol.bare)


def test_the_module_logs_nothing_of_who_wrote_what(prosody):
    """At debug, the module logs no address and no word, and the HTTP client no path; that an analysis raised is."""
    body = secrets.token_hex(8)
    prosody.exchange(prosody.alice, prosody.carol, body=body)
    lines = [
        line for line in prosody.server.log.read_text().splitlines() if ":sceau " in line or line.startswith("http ")
    ]
    assert any("an analysis under broken-chat raised at " in line for line in lines)
    assert any("Making HTTP POST request" in line for line in lines)
    marks = ("alice", "carol", body, "/access/", "read:")
    assert [line for line in lines if any(mark in line for mark in marks)] == []


def test_an_analysis_gets_the_elements_that_were_permitted(prosody):
    """A processing of correspondents' identity is given who they are, and no word."""
    analysed = len(prosody.server.written("given.jsonl"))
    assert prosody.is_analysed()
    eventually(lambda: len(prosody.server.written("given.jsonl")) > analysed)  # one before may come late
    last = prosody.server.written("given.jsonl")[-1]
    assert (last["from"], last["to"]) == (prosody.alice.full, prosody.carol.full)
    assert last.keys() & {"body", "subject", "attachments"} == set()
    assert last["processing"] == STATISTICS


@pytest.mark.parametrize(
    ("body", "extra"),
    [
        ("I sent you an OMEMO encrypted message", OMEMO),
        ("?OTR:AAMD", ""),
        ("see XEP-0380", "<encryption xmlns='urn:xmpp:eme:0' namespace='urn:example:new'/>"),
    ],
    ids=["OMEMO", "OTR", "marked"],
)
def test_of_an_encrypted_message_only_who_corresponds_is_asked_about(prosody, body, extra):
    """Processings of content are not asked about, though there is a body; the one of identities alone is."""
    before, mark = prosody.server.outcomes(STATISTICS), len(prosody.wire.heard)
    identifier = prosody.alice.send(prosody.carol.full, body, extra=extra)
    prosody.carol.receives(identifier)
    assert prosody.server.outcomes_since(STATISTICS, before, 1) == ["permitted"]
    users = [prosody.alice.bare, prosody.carol.bare]
    assert asked(prosody.wire.since(mark)) == [(STATISTICS, user) for user in users]
    assert not prosody.analysed(identifier)


def test_what_is_no_message_is_not_asked_about(prosody):
    """A chat state and an error go their way; the next question is about the message after them."""
    mark = len(prosody.wire.heard)
    state = prosody.alice.send(
        prosody.carol.full, None, extra="<active xmlns='http://jabber.org/protocol/chatstates'/>"
    )
    prosody.carol.receives(state)
    prosody.carol.receives(prosody.alice.send(prosody.carol.full, "text", kind="error"))
    assert prosody.is_analysed()
    assert len(prosody.wire.since(mark)) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "sceau_key_file must be the path of a file"),
        ({"sceau_timeout =": "sceau_time_out ="}, "sceau_time_out is no option of this module"),
    ],
)
def test_a_wrong_option_keeps_the_module_from_loading_and_messages_arrive(prosody, sceau, changes, said):
    """A key that cannot be read, or a misspelt option, is named in the log; the server works without the module."""
    with scratch() as folder, xmpp_server(folder, sceau.address, changes) as server:
        alice, carol = server.log_in("alice"), server.log_in("carol")
        assert carol.receives(alice.send(carol.full, "words")).findtext(f"{CLIENT}body") == "words"
        log = server.log.read_text()
        alice.close()
        carol.close()
    assert f"Error initializing module 'sceau' on 'chat.example': {said}" in log


@pytest.mark.parametrize(("trusted", "outcome"), [(True, "permitted"), (False, "unusable")], ids=["trusted", "unknown"])
def test_over_tls_only_a_trusted_sceau_is_asked(prosody, trusted, outcome):
    """With its authority named it is asked; without, nothing reaches it, and the message arrives."""
    with scratch() as folder, ExitStack() as stack:
        prosody.register.write_key(folder / "sceau.key")
        authority = make_authority(folder)
        port = stack.enter_context(in_front_of(prosody.wire.port, authority))
        more = f'client_https_ssl = {{ cafile = "{authority}" }}' if trusted else ""
        changes = {**WITNESSED, "sceau_timeout = 1": f"sceau_timeout = {DEADLINE} {more}"}
        server = stack.enter_context(xmpp_server(folder, f"https://127.0.0.1:{port}", changes))
        alice, carol = server.log_in("alice"), server.log_in("carol")
        mark = len(prosody.wire.heard)
        carol.receives(alice.send(carol.full, "words"))
        assert server.outcomes_since(ADS, [], 1) == [outcome]
        assert len(prosody.wire.since(mark)) == trusted
        alice.close()
        carol.close()
