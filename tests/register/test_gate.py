"""The gate: with two persons required, nothing that may permit more takes effect by one human being."""

from datetime import timedelta
from itertools import count

import pytest

from tests.support.acts import trail
from tests.support.api import refused, running
from tests.support.databases import new_database
from tests.support.two_persons import WHY, add, answer, person, rule
from tests.support.two_persons import waiting as waiting_of

_numbers = count(1)


@pytest.fixture(scope="module", params=["strict", "leased"])
def place(shared_clock, request):
    """A deployment where two persons decide, called with the bootstrap key; its database.

    It decides on the database, or from memory.
    """
    settings = {"register_approval": "two", "cache": request.param}
    with new_database() as database, running(database, clock=shared_clock, **settings) as called:
        yield called, person(called, "Ada"), person(called, "Bob"), database


@pytest.fixture
def api(place):
    """That deployment, in which each test uses its own names."""
    return place[0]


@pytest.fixture
def acme(ada):
    """A controller for this test."""
    identifier = f"acme-{next(_numbers)}"
    ada.ok("PUT", f"/v1/controllers/{identifier}", {"kind": "other", "legal_name": "Acme SA", "country": "FR"})
    return identifier


@pytest.fixture
def ads(ada, bob, acme, clock):
    """An approved processing of that controller, with alice's consent to it."""
    identifier = f"ads-{acme}"
    ada.register(identifier, controller=None, controllers=[acme])
    rule(bob, identifier, 1)
    clock.at += timedelta(seconds=1)
    ada.decide("alice", identifier)
    clock.at += timedelta(seconds=1)
    return identifier


def waiting(proposals):
    """The id of the proposal that a call made."""
    assert proposals.status_code == 202, proposals.text
    return proposals.json()["id"]


def test_a_suspended_processing_of_iv_resumes_by_two(ada, bob, clock, ads, place):
    """A suspended processing of IV resumes once a second person approves; one of III resumes at once."""
    sorting = f"sorting-{ads}"
    ada.register(sorting, purpose="sorting")
    rule(bob, sorting, 1)
    for each in (ads, sorting):
        ada.ok("PATCH", f"/v1/processings/{each}", {"status": "suspended"})
    clock.at += timedelta(seconds=1)
    assert ada.ok("PATCH", f"/v1/processings/{sorting}", {"status": "active"})["status"] == "active"
    proposal = waiting(ada.call("PATCH", f"/v1/processings/{ads}", {"status": "active"}))
    assert waiting(ada.call("PATCH", f"/v1/processings/{ads}", {"status": "active"})) == proposal
    assert ada.reason("alice", ads) == "processing_suspended"
    assert refused(answer(ada, proposal)) == (403, "own-proposal")
    clock.at += timedelta(seconds=1)
    assert answer(bob, proposal).json()["state"] == "approved"
    assert ada.reason("alice", ads) == "consent_in_force"
    assert refused(answer(bob, proposal)) == (409, "not-proposed")
    entries = trail(place[-1])
    acts = [each["act"] for each in entries if each["thing_id"] in {ads, sorting, proposal}]
    assert (acts.count("proposal.approved"), acts.count("processing.resumed")) == (1, 2)
    assert WHY not in str(entries)


def test_a_rejected_proposal_changes_nothing(ada, bob, ads):
    """A proposal that is rejected or taken back changes nothing, and may be made anew."""
    ada.ok("PATCH", f"/v1/processings/{ads}", {"status": "suspended"})
    for who in (bob, ada):
        proposal = waiting(ada.call("PATCH", f"/v1/processings/{ads}", {"status": "active"}))
        assert answer(who, proposal, approved=False).json()["state"] == "rejected"
        assert refused(answer(bob, proposal)) == (409, "not-proposed")
    assert ada.reason("alice", ads) == "processing_suspended"
    listed = [each for each in ada.ok("GET", "/v1/proposals")["items"] if each["target"] == ads]
    states = [(each["kind"], each["state"]) for each in listed]
    assert states == [("version", "approved"), *[("resumption", "rejected")] * 2]


def test_a_version_waits_with_the_other_proposals(ada, bob, clock, ads):
    """A waiting version is listed with its content, and is answered once, by the proposal's id or its own number."""
    for number in (2, 3):
        notice = {"fr": f"Nous lisons vos messages pour la {number}e fois.", "en": f"We read them {number} times."}
        assert add(ada, ads, material=True, notice=notice, retention="P3D").status_code == 201
        (listed,) = [each for each in waiting_of(ada, "version") if each["target"] == ads]
        shown = ada.ok("GET", f"/v1/processings/{ads}/versions")["items"][-1]
        assert listed["wanted"].items() <= shown.items()
        assert (listed["wanted"]["notice"], listed["wanted"]["number"]) == (notice, number)
        assert refused(answer(ada, listed["id"])) == (403, "own-proposal")
        clock.at += timedelta(seconds=1)
        answered = answer(bob, listed["id"]) if number == 2 else rule(bob, ads, number)
        assert answered.json()["version"]["number"] == number
        assert refused(answer(bob, listed["id"])) == (409, "not-proposed")
        assert refused(rule(bob, ads, number)) == (409, "not-proposed")
    assert ads not in [each["target"] for each in waiting_of(ada, "version")]


def test_a_processing_that_was_retired_meanwhile_does_not_resume(ada, bob, ads):
    """A proposal to resume a processing that was retired meanwhile cannot be approved."""
    ada.ok("PATCH", f"/v1/processings/{ads}", {"status": "suspended"})
    proposal = waiting(ada.call("PATCH", f"/v1/processings/{ads}", {"status": "active"}))
    ada.ok("PATCH", f"/v1/processings/{ads}", {"status": "retired"})
    assert refused(answer(bob, proposal)) == (409, "not-proposed")
    assert ada.reason("alice", ads) == "processing_suspended"


@pytest.mark.parametrize("same", [True, False])
def test_one_key_alone_gives_no_processing_to_another_company(ada, bob, same, acme, ads):
    """A controller's new name waits for approval, and then supersedes consents unless it is one legal person."""
    renamed = {"legal_name": "Courtier Ltd", "country": "FR"}
    proposal = waiting(ada.call("PUT", f"/v1/controllers/{acme}", renamed))
    assert ada.ok("GET", f"/v1/processings/{ads}")["controller"] == "Acme SA"
    ada.clock.at += timedelta(seconds=1)
    assert answer(bob, proposal, same_legal_person=same).status_code == 201
    assert ada.ok("GET", f"/v1/processings/{ads}")["controller"] == "Courtier Ltd"
    assert ada.reason("alice", ads) == ("consent_in_force" if same else "consent_superseded")


def test_a_new_contact_waits_for_nobody(ada, acme):
    """A controller's new contact takes effect at once."""
    same = {"legal_name": "Acme SA", "country": "FR", "contact": "new@acme.example"}
    assert ada.call("PUT", f"/v1/controllers/{acme}", same).status_code == 201


def test_a_program_proposes_and_approves_nothing(api, ada, bob, acme, ads):
    """A program, and the bootstrap key, can neither propose nor approve."""
    ada.ok("PATCH", f"/v1/processings/{ads}", {"status": "suspended"})
    robot = person(api, "robot", kind="machine")
    for program in (api, robot):
        assert refused(program.call("PATCH", f"/v1/processings/{ads}", {"status": "active"})) == (403, "persons-only")
        moved = {"legal_name": "Courtier Ltd"}
        assert refused(program.call("PUT", f"/v1/controllers/{acme}", moved)) == (403, "persons-only")
    proposal = waiting(ada.call("PATCH", f"/v1/processings/{ads}", {"status": "active"}))
    for program in (api, robot):
        assert refused(answer(program, proposal)) == (403, "persons-only")


def test_another_act_on_the_same_thing_waits_for_the_first(ada, acme):
    """A second proposal about one controller is refused while the first one waits."""
    waiting(ada.call("PUT", f"/v1/controllers/{acme}", {"legal_name": "Courtier Ltd"}))
    other = ada.call("PUT", f"/v1/controllers/{acme}", {"legal_name": "Autre Ltd"})
    assert refused(other) == (409, "proposal-pending")


def test_a_person_of_some_processings_answers_nothing_here(api, ada, ads):
    """A person limited to some processings cannot answer these proposals, which may concern all processings."""
    made = {"name": "Dan", "kind": "person", "scopes": ["register:approve", "register:read"], "processings": [ads]}
    dan = api.with_key(api.ok("POST", "/v1/keys", made)["key"])
    ada.ok("PATCH", f"/v1/processings/{ads}", {"status": "suspended"})
    proposal = waiting(ada.call("PATCH", f"/v1/processings/{ads}", {"status": "active"}))
    for approved in (True, False):
        assert refused(answer(dan, proposal, approved=approved)) == (403, "processing-not-allowed")
    assert refused(dan.call("GET", "/v1/proposals")) == (403, "processing-not-allowed")


def test_a_shorter_retention_is_proposed_and_approved(ada, bob):
    """A shorter retention can be signed by the owner once a second person has approved its proposal."""
    proposal = waiting(ada.call("POST", "/v1/proposals", {"kind": "retention", "consent": "P4Y"}))
    assert refused(answer(ada, proposal)) == (403, "own-proposal")
    assert answer(bob, proposal).json()["wanted"] == {"consent": "P4Y"}
