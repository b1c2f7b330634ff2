"""Whom Prosody's module asks for: in rooms, on two hosts of one server, and across servers."""

from tests.e2e.chat.register import ADS, BROKEN
from tests.e2e.chat.xmpp_server import FEDERATED, ROOMS_ELSEWHERE, WITNESSED, scratch, xmpp_server
from tests.e2e.chat.xmpp_world import DEADLINE, asked, others


def test_everybody_in_a_room_is_asked(prosody):
    """In a room of Alice and Carol messages are analysed; from the moment Bob is in it, no more; all arrive."""
    room = prosody.room(prosody.alice, prosody.carol)
    assert prosody.exchange(prosody.alice, prosody.carol, room, kind="groupchat") == "permitted"
    prosody.bob.join(room)
    mark = len(prosody.wire.heard)
    assert prosody.exchange(prosody.carol, prosody.bob, room, kind="groupchat") == "denied"
    assert {user for _, user in asked(prosody.wire.since(mark))} == {
        each.bare for each in (prosody.alice, prosody.bob, prosody.carol)
    }


def test_who_belongs_to_a_room_is_asked_though_not_in_it(prosody):
    """Bob is a member and reads later: what is said meanwhile is not analysed."""
    room = prosody.room(prosody.alice, prosody.carol)
    prosody.alice.affiliate(room, prosody.bob.bare, "member")
    assert prosody.exchange(prosody.alice, prosody.carol, room, kind="groupchat") == "denied"
    prosody.alice.affiliate(room, prosody.bob.bare, "none")
    assert prosody.exchange(prosody.alice, prosody.carol, room, kind="groupchat") == "permitted"


def test_a_private_message_in_a_room_concerns_its_two_ends(prosody):
    """Alice to Carol in a room where Bob is: he is not asked. To Bob: he is."""
    room = prosody.room(prosody.alice, prosody.carol, prosody.bob)
    assert prosody.exchange(prosody.alice, prosody.carol, f"{room}/carol") == "permitted"
    assert prosody.exchange(prosody.alice, prosody.bob, f"{room}/bob") == "denied"


def test_a_message_to_more_local_users_than_configured_is_not_analysed(prosody):
    """With one user more than the most, nobody is asked."""
    erin = prosody.server.log_in("erin")
    room = prosody.room(prosody.alice, prosody.carol, prosody.bob, erin)
    mark = len(prosody.wire.heard)
    assert prosody.exchange(prosody.alice, erin, room, kind="groupchat") == "too_many_members"
    assert prosody.wire.since(mark) == []
    erin.close()


def test_what_goes_to_another_server_concerns_the_sender(prosody):
    """Its receiver is nobody's local user: said to be elsewhere, and not named."""
    mark = len(prosody.wire.heard)
    assert prosody.exchange(prosody.federated, prosody.eve) == "permitted"
    assert {user for _, user in asked(prosody.wire.since(mark))} == {prosody.federated.bare}
    assert others(prosody.wire.since(mark)) == [[{"id": "elsewhere", "local": False}]] * 3


def test_what_arrives_from_another_server_concerns_the_receiver(prosody):
    """Told to ask about arrivals, the module asks for the receiver, once, and does not name the sender."""
    mark = len(prosody.wire.heard)
    assert prosody.exchange(prosody.eve, prosody.federated) == "permitted"
    assert len(prosody.wire.since(mark)) == 1
    assert {user for _, user in asked(prosody.wire.since(mark))} == {prosody.federated.bare}
    assert others(prosody.wire.since(mark)) == [[{"id": "elsewhere", "local": False}]] * 3


def test_a_private_message_in_another_servers_room_is_not_asked_about(prosody):
    """Behind the nickname is Bob, who did not consent, and nothing here tells: marked or not, nobody is asked."""
    alice, bob = prosody.federated, prosody.server.log_in("bob", FEDERATED)
    room, mark = prosody.room(alice, bob, host=ROOMS_ELSEWHERE), len(prosody.wire.heard)
    for extra in ("", "<x xmlns='http://jabber.org/protocol/muc#user'/>"):
        bob.receives(alice.send(f"{room}/bob", "words", extra=extra))
    assert prosody.is_analysed()
    assert {user for _, user in asked(prosody.wire.since(mark))} == {prosody.alice.bare, prosody.carol.bare}
    bob.close()


def test_what_arrives_from_where_the_receiver_entered_is_not_asked_about(prosody):
    """It may be a nickname in a room that marks no private messages: until the receiver has left, nobody is asked."""
    alice, eve, mark = prosody.federated, prosody.eve, len(prosody.wire.heard)
    alice.write(f"<presence to='{eve.full}'><x xmlns='http://jabber.org/protocol/muc'/></presence>")
    eve.until(lambda each: each.get("from") == alice.full)
    for to in (alice.full, alice.bare):
        alice.receives(eve.send(to, "words"))
    assert prosody.is_analysed()
    assert alice.bare not in {user for _, user in asked(prosody.wire.since(mark))}
    alice.write(f"<presence to='{eve.full}' type='unavailable'/>")
    eve.until(lambda each: each.get("type") == "unavailable")
    assert prosody.exchange(eve, alice) == "permitted"


def test_users_of_two_hosts_of_one_server_are_both_local(prosody):
    """Bob, on the other virtual host, is asked as well, and the message arrives."""
    mark = len(prosody.wire.heard)
    assert prosody.exchange(prosody.federated, prosody.bob) == "denied"
    assert len(prosody.wire.since(mark)) == 1
    assert {user for _, user in asked(prosody.wire.since(mark))} == {prosody.federated.bare, prosody.bob.bare}


def test_copies_for_other_devices_are_not_asked_about_again(prosody):
    """Carol reads on two devices; the second gets a copy, and there is one request."""
    tablet, mark = prosody.server.log_in("carol", resource="tablet"), len(prosody.wire.heard)
    tablet.ask_for_copies()
    assert prosody.is_analysed()
    tablet.until(lambda each: each.find("{urn:xmpp:carbons:2}received") is not None)
    assert len(prosody.wire.since(mark)) == 1
    tablet.close()


def test_without_participants_those_who_must_be_known_are_a_deny(prosody):
    """Told to name nobody else, the module leaves the list out; Sceau then denies what rests on all users' consent."""
    with scratch() as folder:
        prosody.register.write_key(folder / "sceau.key")
        both = {
            f'["{ADS}"] = {{ "content" }};': f'["{ADS}"] = {{ "content" }}; ["{BROKEN}"] = {{ "content" }};',
            "sceau_timeout = 1": f"sceau_timeout = {DEADLINE} sceau_participants = false",
        }
        with xmpp_server(folder, prosody.wire.address, {**WITNESSED, **both}) as server:
            alice, carol, mark = server.log_in("alice"), server.log_in("carol"), len(prosody.wire.heard)
            carol.receives(alice.send(carol.full, "words"))
            assert server.outcomes_since(ADS, [], 1) == ["denied"]
            assert server.outcomes_since(BROKEN, [], 1) == ["analysis_failed"]  # its mode is user_only: permitted
            alice.close()
            carol.close()
    (asked_for,) = prosody.wire.since(mark)
    assert not any("participants" in item["resource"]["properties"] for item in asked_for.json["evaluations"])
