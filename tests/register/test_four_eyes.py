from datetime import timedelta
from typing import Any

import pytest

from tests.support.acts import trail
from tests.support.api import processing, question, refused, running
from tests.support.consent_page import ask_link
from tests.support.consents import grant
from tests.support.console import Visitor
from tests.support.databases import new_database
from tests.support.golden_replay import wire
from tests.support.two_persons import WHY, add, person, rule, states

TWO: dict[str, Any] = {"register_approval": "two", "cache": "strict"}


@pytest.fixture(scope="module")
def place(shared_clock):
    """A deployment whose register takes two persons, called with the bootstrap key; the two persons; its database."""
    with new_database() as database, running(database, clock=shared_clock, **TWO) as called:
        yield called, person(called, "Ada"), person(called, "Bob"), database


@pytest.fixture
def api(place):
    """That deployment, in which each test uses its own names."""
    return place[0]


def test_one_key_alone_cannot_register_advertising_as_sorting(api, ada):
    """A processing that one key registers under III permits nothing, at once or after any other call by that key."""
    assert ada.register("disguised", purpose="sorting")["status"] == "proposed"
    assert ada.reason("alice", "disguised") == "processing_suspended"
    assert refused(rule(ada, "disguised", 1)) == (403, "own-proposal")
    resumed = ada.call("PATCH", "/v1/processings/disguised", {"status": "active"})
    assert refused(resumed) == (409, "processing-not-approved")
    assert refused(add(ada, "disguised", purpose="sorting")) == (409, "proposal-pending")
    assert ada.reason("alice", "disguised") == "processing_suspended"


def test_one_key_cannot_make_itself_a_second_person(api):
    """A caller cannot approve a proposal of a caller that made it, directly or through others, or the reverse."""
    scopes = ("keys:manage", "register:approve", "register:write")
    eve = person(api, "Eve", *scopes)
    again, program = person(eve, "Eve again", *scopes), person(eve, "Her program", *scopes, kind="machine")
    third = person(program, "Eve once more", "register:approve", "register:write")
    eve.register("herself", purpose="sorting")
    for other in (eve, again, third):
        assert refused(rule(other, "herself", 1)) == (403, "own-proposal")
    again.register("more", purpose="sorting")
    for other in (eve, third):
        assert refused(rule(other, "more", 1)) == (403, "own-proposal")
    assert api.reason("alice", "herself") == api.reason("alice", "more") == "processing_suspended"


def test_who_rotates_a_key_may_hold_it(api):
    """A key rotated by another person does not count with that person as two human beings."""
    scopes = ("register:approve", "register:write")
    mallory = person(api, "Mallory", "keys:manage", *scopes)
    ada_id = api.ok("POST", "/v1/keys", {"name": "Ada", "kind": "person", "scopes": list(scopes)})["id"]
    key = mallory.ok("POST", f"/v1/keys/{ada_id}/rotations", {})["key"]
    mallory.register("rotated", purpose="sorting")
    assert refused(rule(api.with_key(key), "rotated", 1)) == (403, "own-proposal")


def test_what_could_never_be_approved_is_refused_when_it_is_proposed(database):
    """A proposal by a program, or by a person without a second one, is refused, and its id stays free."""
    with running(database, **TWO) as api:
        body = processing("ads", purpose="sorting")
        assert refused(api.call("POST", "/v1/processings", body)) == (403, "persons-only")
        ada = person(api, "Ada")
        assert refused(ada.call("POST", "/v1/processings", body)) == (409, "no-second-person")
        bob = person(api, "Bob")
        assert ada.ok("POST", "/v1/processings", body)["status"] == "proposed"
        assert rule(bob, "ads", 1).json()["status"] == "active"


def test_another_person_puts_it_in_force(ada, bob, clock):
    """Approved by another person, a processing permits from then on; before that instant it is still denied."""
    ada.register("in-force", purpose="sorting")
    clock.at += timedelta(hours=1)
    body = rule(bob, "in-force", 1).json()
    assert (body["status"], body.get("proposed_version")) == ("active", None)
    assert [each["status"] for each in body["status_changes"]] == ["proposed", "active"]
    assert ada.reason("alice", "in-force") == "exempt"
    assert states(ada, "in-force") == [(1, "approved")]


def test_a_replay_knows_when_it_was_approved(api, ada, bob, clock):
    """A decision about an instant before the approval is a denial, asked then or later."""
    start = clock.at
    ada.register("replayed", purpose="sorting")
    clock.at += timedelta(hours=1)
    rule(bob, "replayed", 1)
    clock.at += timedelta(hours=1)
    for at, reason in ((start + timedelta(minutes=30), "processing_suspended"), (clock.at, "exempt")):
        for more in ({}, {"known_at": wire(at)}):
            body = {**question("alice", "replayed"), "at": wire(at), **more}
            assert api.ok("POST", "/v1/explanations", body)["context"]["reason"] == reason


def test_a_program_approves_nothing(api, ada):
    """A program with the scope, and a person without it, cannot approve."""
    ada.register("by-program", purpose="sorting")
    assert refused(rule(person(api, "robot", kind="machine"), "by-program", 1)) == (403, "persons-only")
    assert refused(rule(person(api, "Carol", "register:write"), "by-program", 1)) == (403, "scope-missing")


def test_nobody_is_asked_before(api, ada, bob, clock):
    """A processing that waits for approval takes no consent, not even an older one, and takes a refusal."""
    ada.register("asked")
    older = api.call("POST", "/v1/consents", grant("alice", "asked", at=clock.at - timedelta(minutes=1)))
    assert refused(older) == (409, "processing-not-approved")
    with pytest.raises(AssertionError, match="processing-not-approved"):
        api.decide("alice", "asked")
    api.decide("alice", "asked", "refused")
    link = ask_link(api, "alice", "asked", by_person=True, request_reference="ticket-1")
    assert refused(link) == (409, "processing-not-approved")
    clock.at += timedelta(seconds=1)
    rule(bob, "asked", 1)
    assert api.decide("alice", "asked")["state"] == "in_force"


def test_what_was_collected_before_the_approval_is_no_consent(api, ada, bob, clock):
    """A consent collected while a processing waited is refused afterwards too; one collected since is taken."""
    ada.register("early")
    clock.at += timedelta(minutes=1)
    collected = clock.at
    clock.at += timedelta(minutes=1)
    assert rule(bob, "early", 1).status_code == 201
    clock.at += timedelta(minutes=1)
    early = api.call("POST", "/v1/consents", grant("alice", "early", at=collected))
    assert refused(early) == (409, "processing-not-approved")
    assert api.call("POST", "/v1/consents", grant("alice", "early", at=clock.at)).status_code == 201


def test_a_rejected_processing_is_retired(ada, bob):
    """A processing is retired when it is rejected, or when its proposer takes it back."""
    ada.register("first", purpose="sorting")
    assert rule(bob, "first", 1, approved=False).json()["status"] == "retired"
    ada.register("second", purpose="sorting")
    assert rule(ada, "second", 1, approved=False).json()["status"] == "retired"
    assert states(ada, "first") == [(1, "rejected")]
    assert refused(rule(bob, "first", 1)) == (409, "not-proposed")


def test_a_processing_that_waits_can_be_retired(ada, bob):
    """A processing that was retired while it waited can no longer be approved."""
    ada.register("gone")
    assert ada.ok("PATCH", "/v1/processings/gone", {"status": "retired"})["status"] == "retired"
    assert refused(rule(bob, "gone", 1)) == (409, "processing-retired")


def test_a_weaker_party_mode_waits(ada, bob, clock):
    """A weaker party mode takes effect, and supersedes the earlier consents, only once it is approved."""
    ada.register("weaker", party_mode="all_local_users")
    rule(bob, "weaker", 1)
    clock.at += timedelta(seconds=1)
    ada.decide("alice", "weaker")
    body = add(ada, "weaker", party_mode="user_only", material=True).json()
    assert (body["version"]["party_mode"], body["proposed_version"], body["versions"]) == ("all_local_users", 2, 1)
    assert ada.reason("alice", "weaker", participants=[]) == "consent_in_force"
    clock.at += timedelta(hours=1)
    body = rule(bob, "weaker", 2).json()
    assert (body["version"]["number"], body["version"]["effective_from"]) == (2, wire(clock.at))
    assert ada.reason("alice", "weaker") == "consent_superseded"


def test_a_version_to_come_keeps_its_instant(ada, bob, clock):
    """A future version that is approved keeps its instant, and the version before stays in force until then."""
    ada.register("to-come", party_mode="all_local_users")
    rule(bob, "to-come", 1)
    later = wire(clock.at + timedelta(days=3))
    add(ada, "to-come", party_mode="user_only", material=True, effective_from=later)
    body = rule(bob, "to-come", 2).json()
    assert (body["version"]["number"], body["versions"]) == (1, 2)
    assert ada.ok("GET", "/v1/processings/to-come/versions")["items"][1]["effective_from"] == later
    clock.at += timedelta(days=3)
    assert ada.ok("GET", "/v1/processings/to-come")["version"]["number"] == 2


def test_a_stronger_version_waits_for_nobody(ada, bob):
    """A version that changes no words and only narrows is in force at once."""
    ada.register("stronger")
    rule(bob, "stronger", 1)
    assert add(ada, "stronger", party_mode="all_parties").json()["version"]["number"] == 2
    assert add(ada, "stronger", party_mode="all_parties", elements=["content"]).json()["version"]["number"] == 3


def test_a_rejected_version_leaves_its_number(ada, bob):
    """A rejected version keeps its number and never counts, and another version may be proposed."""
    ada.register("numbers", party_mode="all_local_users")
    rule(bob, "numbers", 1)
    add(ada, "numbers", material=True)
    assert refused(add(ada, "numbers", material=True)) == (409, "proposal-pending")
    assert rule(bob, "numbers", 2, approved=False).json()["versions"] == 1
    assert refused(rule(bob, "numbers", 2)) == (409, "not-proposed")
    assert refused(rule(bob, "numbers", 3)) == (404, "not-found")
    assert add(ada, "numbers", party_mode="all_parties").json()["version"]["number"] == 3
    assert states(ada, "numbers") == [(1, "approved"), (2, "rejected"), (3, "approved")]


def test_who_proposed_and_who_answered_are_kept(ada, bob, place):
    """The register keeps the proposer, the approver, the instant and the reason; the trail has the acts alone."""
    ada.register("kept", party_mode="all_local_users")
    rule(bob, "kept", 1)
    add(ada, "kept", material=True)
    rule(bob, "kept", 2, approved=False)
    first, second = ada.ok("GET", "/v1/processings/kept/versions")["items"]
    by, at = second["ruling"]["by"], first["ruling"]["at"]
    assert first["ruling"] == {"approved": True, "reason": WHY, "at": at, "by": by}
    assert first["proposed_by"] == second["proposed_by"] != second["ruling"]["by"]
    entries = trail(place[-1])
    acts = [each["act"].removeprefix("processing.") for each in entries if each["thing_id"] == "kept"]
    assert acts == ["registered", "proposed", "approved", "proposed", "rejected"]
    assert WHY not in str(entries)


def test_a_person_of_other_processings_answers_nothing(api, ada):
    """A person limited to some processings can approve or reject only those."""
    ada.register("listed")
    made = {"name": "Dan", "kind": "person", "scopes": ["register:approve"], "processings": ["others"]}
    dan = api.with_key(api.ok("POST", "/v1/keys", made)["key"])
    for approved in (True, False):
        assert refused(rule(dan, "listed", 1, approved=approved)) == (403, "processing-not-allowed")


def test_a_proposed_status_cannot_be_patched(ada):
    """Nothing but registration makes a processing proposed."""
    ada.register("patched")
    assert ada.call("PATCH", "/v1/processings/patched", {"status": "proposed"}).status_code == 422


def test_an_approval_needs_a_reason(ada, bob):
    """An approval without a reason is refused and puts nothing in force."""
    ada.register("reasons")
    for body in (
        {"version": 1},
        {"version": 1, "reason": ""},
        {"version": 1, "reason": " "},
        {"version": 0, "reason": "x"},
        {"reason": "x"},
        {"version": 1, "reason": "x", "proposal": "0199c2f0-5b5e-7c3a-9a51-0d7f7a1f4e11"},
    ):
        assert bob.call("POST", "/v1/rulings", {"processing": "reasons", "approved": True, **body}).status_code == 422
    assert states(ada, "reasons") == [(1, "proposed")]


def test_a_worker_that_decides_from_memory_hears_of_it(database):
    """A worker that decides from memory denies a waiting processing, and permits it once its approval is answered."""
    with running(database, register_approval="two", cache="leased") as api:
        bob, ada = person(api, "Bob"), person(api, "Ada")
        ada.register("filter", purpose="sorting")
        assert ada.reason("alice", "filter") == "processing_suspended"
        assert rule(bob, "filter", 1).json()["status"] == "active"
        assert ada.reason("alice", "filter") == "exempt"


def test_the_console_shows_what_waits(database):
    """The console shows which processings and versions wait, their controllers, and what is unusual under III."""
    with running(database, **TWO) as api:
        bob, ada = person(api, "Bob"), person(api, "Ada")
        ada.register("waits", controller="Attente SA")
        unusual = {"purpose": "sorting", "retention": "P1Y"}
        ada.register("kept", **unusual, justification="Investigations.")
        rule(bob, "kept", 1)
        add(ada, "kept", **unusual, justification="x", notice={"fr": "Autre."}, reason="Clearer.")
        visitor = Visitor(api)
        visitor.sign_in()
        text = visitor.get("/console/register").text()
        for words in ("Attente SA", "to be approved", "to be approved: version 2", "keeps data for over 30 days"):
            assert words in text
