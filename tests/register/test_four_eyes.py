from datetime import timedelta

import pytest

from tests.support.acts import trail
from tests.support.api import TestClock, processing, question, running, utc
from tests.support.console import Visitor
from tests.support.golden_replay import wire
from tests.support.two_persons import WHY, add, person, rule, states

NOON = utc("2026-06-15T12:00:00Z")


@pytest.fixture
def clock():
    """A clock that stands at noon on 15 June 2026."""
    return TestClock(NOON)


@pytest.fixture
def api(database, clock):
    """A deployment whose register takes two persons, called with the key that made everybody."""
    with running(database, clock=clock, register_approval="two", cache="strict") as called:
        yield called


@pytest.fixture
def bob(api):
    """Another person."""
    return person(api, "Bob")


@pytest.fixture
def ada(api, bob):
    """A person who proposes; there must be somebody to approve it."""
    return person(api, "Ada")


def refused(answer):
    """Status and kind of a problem."""
    return answer.status_code, answer.json()["type"].removeprefix("urn:sceau:problem:")


def test_one_key_alone_cannot_register_advertising_as_sorting(api, ada):
    """What one key registers under III permits nothing: neither at once, nor by any call that this key can make."""
    assert ada.register("ads", purpose="sorting")["status"] == "proposed"
    assert ada.reason("alice", "ads") == "processing_suspended"
    assert refused(rule(ada, "ads", 1)) == (403, "own-proposal")
    assert refused(ada.call("PATCH", "/v1/processings/ads", {"status": "active"})) == (409, "processing-not-approved")
    assert refused(add(ada, "ads", purpose="sorting")) == (409, "proposal-pending")
    assert ada.reason("alice", "ads") == "processing_suspended"


def test_one_key_cannot_make_itself_a_second_person(api):
    """A caller approves nothing that was proposed by who made it, directly or through others, nor the other way."""
    person(api, "Bob")
    scopes = ("keys:manage", "register:approve", "register:write")
    eve = person(api, "Eve", *scopes)
    again, program = person(eve, "Eve again", *scopes), person(eve, "Her program", *scopes, kind="machine")
    third = person(program, "Eve once more", "register:approve", "register:write")
    eve.register("ads", purpose="sorting")
    for other in (eve, again, third):
        assert refused(rule(other, "ads", 1)) == (403, "own-proposal")
    again.register("more", purpose="sorting")
    for other in (eve, third):
        assert refused(rule(other, "more", 1)) == (403, "own-proposal")
    assert api.reason("alice", "ads") == api.reason("alice", "more") == "processing_suspended"


def test_who_rotates_a_key_may_hold_it(api):
    """A key that somebody else gave a person makes the two one human being."""
    scopes = ("register:approve", "register:write")
    mallory = person(api, "Mallory", "keys:manage", *scopes)
    person(api, "Bob")
    ada_id = api.ok("POST", "/v1/keys", {"name": "Ada", "kind": "person", "scopes": list(scopes)})["id"]
    key = mallory.ok("POST", f"/v1/keys/{ada_id}/rotations", {})["key"]
    mallory.register("ads", purpose="sorting")
    assert refused(rule(api.with_key(key), "ads", 1)) == (403, "own-proposal")


def test_what_could_never_be_approved_is_refused_when_it_is_proposed(api):
    """By the bootstrap key and by any program; and by a person while there is no second one. The id is not burnt."""
    body = processing("ads", purpose="sorting")
    assert refused(api.call("POST", "/v1/processings", body)) == (403, "persons-only")
    ada = person(api, "Ada")
    assert refused(ada.call("POST", "/v1/processings", body)) == (409, "no-second-person")
    bob = person(api, "Bob")
    assert ada.ok("POST", "/v1/processings", body)["status"] == "proposed"
    assert rule(bob, "ads", 1).json()["status"] == "active"


def test_another_person_puts_it_in_force(ada, bob, clock):
    """Approved by another person, a processing permits from then on; before that instant it is still denied."""
    ada.register("filter", purpose="sorting")
    clock.at += timedelta(hours=1)
    told = rule(bob, "filter", 1).json()
    assert (told["status"], told.get("proposed_version")) == ("active", None)
    assert [each["status"] for each in told["status_changes"]] == ["proposed", "active"]
    assert ada.reason("alice", "filter") == "exempt"
    assert states(ada, "filter") == [(1, "approved")]


def test_a_replay_knows_when_it_was_approved(api, ada, bob, clock):
    """As of an instant before the approval the answer is a denial, then as now."""
    ada.register("filter", purpose="sorting")
    clock.at += timedelta(hours=1)
    rule(bob, "filter", 1)
    clock.at += timedelta(hours=1)
    for at, reason in ((NOON + timedelta(minutes=30), "processing_suspended"), (clock.at, "exempt")):
        for known in ({}, {"known_at": wire(at)}):
            body = {**question("alice", "filter"), "at": wire(at), **known}
            assert api.ok("POST", "/v1/explanations", body)["context"]["reason"] == reason


def test_a_program_approves_nothing(api, ada):
    """A caller that is a program is refused with its scope; a person without the scope too."""
    ada.register("filter", purpose="sorting")
    assert refused(rule(person(api, "robot", kind="machine"), "filter", 1)) == (403, "persons-only")
    assert refused(rule(person(api, "Carol", "register:write"), "filter", 1)) == (403, "scope-missing")


def test_nobody_is_asked_before(api, ada, bob, clock):
    """No consent is taken for a processing that waits, and a refusal is."""
    ada.register("ads")
    with pytest.raises(AssertionError, match="processing-not-approved"):
        api.decide("alice", "ads")
    api.decide("alice", "ads", "refused")
    body = {"subject": {"type": "user", "id": "alice"}, "processings": ["ads"], "authentication": "mailbox"}
    link = {**body, "kind": "decide", "by_person": True, "request_reference": "ticket-1"}
    assert refused(api.call("POST", "/v1/consent-links", link)) == (409, "processing-not-approved")
    clock.at += timedelta(seconds=1)
    rule(bob, "ads", 1)
    assert api.decide("alice", "ads")["state"] == "in_force"


def test_a_rejected_processing_is_retired(ada, bob):
    """Rejected, a processing never runs; who proposed it may take it back."""
    ada.register("first", purpose="sorting")
    assert rule(bob, "first", 1, approved=False).json()["status"] == "retired"
    ada.register("second", purpose="sorting")
    assert rule(ada, "second", 1, approved=False).json()["status"] == "retired"
    assert states(ada, "first") == [(1, "rejected")]
    assert refused(rule(bob, "first", 1)) == (409, "not-proposed")


def test_a_processing_that_waits_can_be_retired(ada, bob):
    """Retired before anybody answered, it takes no answer any more."""
    ada.register("gone")
    assert ada.ok("PATCH", "/v1/processings/gone", {"status": "retired"})["status"] == "retired"
    assert refused(rule(bob, "gone", 1)) == (409, "processing-retired")


def test_a_weaker_party_mode_waits(ada, bob, clock):
    """Until it is approved the stronger mode is in force, and consents stand; then those before are superseded."""
    ada.register("ads", party_mode="all_local_users")
    rule(bob, "ads", 1)
    clock.at += timedelta(seconds=1)
    ada.decide("alice", "ads")
    told = add(ada, "ads", party_mode="user_only", material=True).json()
    assert (told["version"]["party_mode"], told["proposed_version"], told["versions"]) == ("all_local_users", 2, 1)
    assert ada.reason("alice", "ads", participants=[]) == "consent_in_force"
    clock.at += timedelta(hours=1)
    told = rule(bob, "ads", 2).json()
    assert (told["version"]["number"], told["version"]["effective_from"]) == (2, wire(clock.at))
    assert ada.reason("alice", "ads") == "consent_superseded"


def test_a_version_to_come_keeps_its_instant(ada, bob):
    """Approved before its instant, a version is in force from its instant on."""
    ada.register("ads", party_mode="all_local_users")
    rule(bob, "ads", 1)
    later = wire(NOON + timedelta(days=3))
    add(ada, "ads", party_mode="user_only", material=True, effective_from=later)
    told = rule(bob, "ads", 2).json()
    assert (told["version"]["number"], told["versions"]) == (1, 2)
    assert ada.ok("GET", "/v1/processings/ads/versions")["items"][1]["effective_from"] == later


def test_a_stronger_version_waits_for_nobody(ada, bob):
    """A version that changes no words and only narrows is in force at once."""
    ada.register("ads")
    rule(bob, "ads", 1)
    assert add(ada, "ads", party_mode="all_parties").json()["version"]["number"] == 2
    assert add(ada, "ads", party_mode="all_parties", elements=["content"]).json()["version"]["number"] == 3


def test_a_rejected_version_leaves_its_number(ada, bob):
    """A rejected version never counts, its number is not given again, and the next one may be proposed."""
    ada.register("ads", party_mode="all_local_users")
    rule(bob, "ads", 1)
    add(ada, "ads", material=True)
    assert refused(add(ada, "ads", material=True)) == (409, "proposal-pending")
    assert rule(bob, "ads", 2, approved=False).json()["versions"] == 1
    assert refused(rule(bob, "ads", 2)) == (409, "not-proposed")
    assert refused(rule(bob, "ads", 3)) == (404, "not-found")
    assert add(ada, "ads", party_mode="all_parties").json()["version"]["number"] == 3
    assert states(ada, "ads") == [(1, "approved"), (2, "rejected"), (3, "approved")]


def test_who_proposed_and_who_answered_are_kept(database, ada, bob):
    """The register keeps both callers, the instant and the reason; the trail has the acts, without words."""
    ada.register("ads", party_mode="all_local_users")
    rule(bob, "ads", 1)
    add(ada, "ads", material=True)
    rule(bob, "ads", 2, approved=False)
    first, second = ada.ok("GET", "/v1/processings/ads/versions")["items"]
    assert first["ruling"] == {
        "approved": True,
        "reason": WHY,
        "at": first["ruling"]["at"],
        "by": second["ruling"]["by"],
    }
    assert first["proposed_by"] == second["proposed_by"] != second["ruling"]["by"]
    acts = [each["act"] for each in trail(database) if each["act"].startswith("processing.")]
    assert acts == [
        "processing.registered",
        "processing.proposed",
        "processing.approved",
        "processing.proposed",
        "processing.rejected",
    ]
    assert WHY not in str(trail(database))


def test_a_person_of_other_processings_answers_nothing(api, ada):
    """A person with a list of processings approves and rejects those alone."""
    ada.register("ads")
    made = {"name": "Dan", "kind": "person", "scopes": ["register:approve"], "processings": ["others"]}
    dan = api.with_key(api.ok("POST", "/v1/keys", made)["key"])
    for approved in (True, False):
        assert refused(rule(dan, "ads", 1, approved=approved)) == (403, "processing-not-allowed")


def test_a_proposed_status_cannot_be_patched(ada):
    """Nothing but registration makes a processing proposed."""
    ada.register("ads")
    assert ada.call("PATCH", "/v1/processings/ads", {"status": "proposed"}).status_code == 422


def test_an_approval_needs_a_reason(ada, bob):
    """An approval without words is refused, and nothing is in force by it."""
    ada.register("ads")
    for body in (
        {"version": 1},
        {"version": 1, "reason": ""},
        {"version": 1, "reason": " "},
        {"version": 0, "reason": "x"},
        {"reason": "x"},
        {"version": 1, "reason": "x", "proposal": "0199c2f0-5b5e-7c3a-9a51-0d7f7a1f4e11"},
    ):
        assert bob.call("POST", "/v1/rulings", {"processing": "ads", "approved": True, **body}).status_code == 422
    assert states(ada, "ads") == [(1, "proposed")]


def test_a_worker_that_decides_from_memory_hears_of_it(database):
    """A worker with a lease denies what waits, and permits it once the approval was answered."""
    with running(database, register_approval="two", cache="leased") as api:
        bob, ada = person(api, "Bob"), person(api, "Ada")
        ada.register("filter", purpose="sorting")
        assert ada.reason("alice", "filter") == "processing_suspended"
        assert rule(bob, "filter", 1).json()["status"] == "active"
        assert ada.reason("alice", "filter") == "exempt"


def test_the_console_shows_what_waits(api, ada, bob):
    """The console says which processings and versions wait, who answers for them, and what is unusual under III."""
    ada.register("waits", controller="Attente SA")
    ada.register("kept", purpose="sorting", retention="P1Y", justification="Investigations.")
    rule(bob, "kept", 1)
    add(ada, "kept", purpose="sorting", retention="P1Y", justification="x", notice={"fr": "Autre."}, reason="Clearer.")
    visitor = Visitor(api)
    visitor.sign_in()
    text = visitor.get("/console/register").text()
    for said in ("Attente SA", "to be approved", "to be approved: version 2", "keeps data for over 30 days"):
        assert said in text
