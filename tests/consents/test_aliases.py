"""Names that are one person's: a no follows from one to the other, a yes never does, and nobody else is touched."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from app.db.database import Database
from app.operations.consents.rebuild_projection import rebuild_projection
from tests.support.api import subject
from tests.support.consent_page import Person, link
from tests.support.consents import grant


def _link(api, one, other, basis="user_proved"):
    body = {"from": subject(one), "to": subject(other), "basis": basis}
    return api.call("POST", "/v1/subjects/links", body)


def _linked(api, *names):
    for other in names[1:]:
        assert _link(api, names[0], other).status_code == 201


def _history(api, consent):
    return api.ok("GET", f"/v1/consents/{consent}/history")["items"]


@pytest.mark.parametrize(("said_by", "other"), [("ali", "alice"), ("alice", "ali")])
def test_a_withdrawal_follows_both_ways(api, said_by, other):
    """It ends the consent under the other name as soon as it is answered, and names it; the entry says what it follows.

    Without the link the other name's consent goes on: that is the control.
    """
    api.register("ads")
    api.decide(other, "ads")
    assert api.withdraw(said_by, "ads")["withdrawn"] == []
    assert api.reason(other, "ads") == "consent_in_force"
    _linked(api, "alice", "ali")
    consent = api.decide(other, "ads")["id"]
    said = api.withdraw(said_by, "ads")
    assert said["withdrawn"] == [consent]
    assert said["matched"] is True
    assert api.reason(other, "ads") == "consent_withdrawn"
    assert _history(api, consent)[-1]["evidence"]["followed"] == "another_name"


def test_a_refusal_follows(api):
    """A refusal under one name is one under the other, of the same processing only."""
    api.register("ads")
    api.register("stats", purpose="statistics")
    _linked(api, "alice", "ali")
    for name in ("ads", "stats"):
        api.decide("ali", name)
    api.decide("alice", "ads", "refused")
    assert [api.reason("ali", name) for name in ("ads", "stats")] == ["consent_refused", "consent_in_force"]


def test_a_closure_follows(api):
    """Closing one name closes the other: whoever has either next starts with nothing."""
    api.register("ads")
    _linked(api, "alice", "ali")
    consent = api.decide("ali", "ads")["id"]
    closed = api.ok("POST", "/v1/subjects/closures", {"subject": subject("alice")})
    assert closed["closed"] == [consent]
    assert api.reason("ali", "ads") == "no_consent"
    # The next holders of both addresses are two persons.
    api.decide("ali", "ads")
    api.withdraw("alice")
    assert api.reason("ali", "ads") == "consent_in_force"


def test_a_grant_never_follows(api):
    """Whoever consents under one name has not consented under the other."""
    api.register("ads")
    _linked(api, "alice", "ali")
    api.decide("alice", "ads")
    assert api.reason("ali", "ads") == "no_consent"


def test_it_follows_from_name_to_name(api):
    """Three names of one person, linked two by two, end together; a stranger's consent stands."""
    api.register("ads")
    _linked(api, "alice", "ali")
    _linked(api, "ali", "alicia")
    for name in ("alice", "ali", "alicia", "bob"):
        api.decide(name, "ads")
    api.withdraw("alicia")
    assert {api.reason(name, "ads") for name in ("alice", "ali", "alicia")} == {"consent_withdrawn"}
    assert api.reason("bob", "ads") == "consent_in_force"


def test_stating_it_ends_what_was_refused_since_under_the_other_name(api):
    """A yes that is older than the other name's no ends with the link; one that is younger stands."""
    for name in ("ads", "stats"):
        api.register(name, purpose="statistics")
    first = api.decide("ali", "ads")["id"]
    api.withdraw("alice")
    api.decide("ali", "stats")
    stated = _link(api, "alice", "ali")
    assert stated.json()["withdrawn"] == [first]
    assert [api.reason("ali", name) for name in ("ads", "stats")] == ["consent_withdrawn", "consent_in_force"]


def test_stating_it_twice_is_one_link(api):
    """In whichever order: the same id is answered, and nothing ends."""
    first = _link(api, "alice", "ali").json()
    again = _link(api, "ali", "alice", "provider_account").json()
    assert (again["id"], again["basis"], again["withdrawn"]) == (first["id"], "user_proved", [])


def test_a_name_is_not_linked_with_itself(api):
    """Two spellings of one address are one account already."""
    answer = _link(api, "alice@exemple.example", "ALICE@Exemple.example")
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:sceau:problem:same-subject")


def test_a_person_has_fifty_names_at_most(api):
    """What is shared by more than that is no one person's."""
    for number in range(49):
        assert _link(api, "alice", f"a{number}").status_code == 201
    answer = _link(api, "alice", "one-more")
    assert (answer.status_code, answer.json()["type"]) == (409, "urn:sceau:problem:too-many-names")


def test_a_link_is_removed(api):
    """Nothing follows any more; what nobody stated cannot be removed."""
    api.register("ads")
    _linked(api, "alice", "ali")
    api.decide("ali", "ads")
    names = {"from": subject("ali"), "to": subject("alice")}
    assert api.call("POST", "/v1/subjects/links/removals", names).status_code == 200
    api.withdraw("alice")
    assert api.reason("ali", "ads") == "consent_in_force"
    assert api.call("POST", "/v1/subjects/links/removals", names).status_code == 404


def test_an_erasure_forgets_the_links(api, database):
    """The other name is closed with it; no row says any more that the two were one person's."""
    api.register("ads")
    _linked(api, "alice", "ali")
    api.decide("ali", "ads")
    api.ok("POST", "/v1/subjects/erasures", {"subject": subject("alice")})
    assert api.reason("ali", "ads") == "no_consent"
    with psycopg.connect(database.owner_url) as owner:
        assert owner.execute("SELECT count(*) FROM subject_alias").fetchone() == (0,)


def test_withdrawals_under_two_names_at_once_do_not_wait_for_each_other(api):
    """Each holds both ledgers in one order: all are answered, and both names have said no."""
    api.register("ads")
    _linked(api, "alice", "ali")
    for name in ("alice", "ali"):
        api.decide(name, "ads")
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: api.withdraw(("alice", "ali")[number % 2]), range(16)))
    assert {api.reason(name, "ads") for name in ("alice", "ali")} == {"consent_withdrawn"}


def _ago(**times):
    return (datetime.now(UTC) - timedelta(**times)).isoformat()


@pytest.mark.parametrize("times", [{"days": 60}, {"minutes": 2}])
def test_a_consent_that_arrives_late_does_not_outlive_a_no_of_before_the_link(api, times):
    """Collected under one name before it was withdrawn under the other: whatever was linked first, it is over."""
    api.register("ads")
    collected = _ago(**times)
    api.withdraw("alice", "ads")
    _link(api, "alice", "ali")
    api.decide("ali", "ads", collected_at=collected)
    assert api.reason("ali", "ads") == "consent_withdrawn"
    api.decide("ali", "ads")
    assert api.reason("ali", "ads") == "consent_in_force"


@pytest.mark.parametrize("linked_first", [True, False])
def test_an_age_is_the_persons_under_every_name(api, linked_first):
    """Under fifteen under one name, the person consents alone under no other; an older age does not follow."""
    api.register("ads")
    age = {"subject": subject("kid"), "stated_by": "operator", "checked_how": "identity_document"}
    if linked_first:
        _link(api, "kid", "kiddo")
    api.decide("kiddo", "ads")
    assert api.reason("kiddo", "ads") == "consent_in_force"
    api.ok("POST", "/v1/subjects/ages", {**age, "age_band": "under_15"})
    if not linked_first:
        _link(api, "kid", "kiddo")
    assert api.reason("kiddo", "ads") == "consent_invalid"
    api.ok("POST", "/v1/subjects/ages", {**age, "age_band": "adult"})
    assert api.reason("kiddo", "ads") == "consent_invalid"


def test_what_followed_does_not_name_the_entry_that_it_follows(api):
    """After an erasure of one name, nothing in the history of the other leads to an entry of the erased one."""
    api.register("ads")
    one, other = api.decide("alice", "ads"), api.decide("ali", "ads")
    _link(api, "alice", "ali")
    api.withdraw("alice", "ads")
    theirs = {each["id"] for each in _history(api, one["id"])}
    mine = str(_history(api, other["id"]))
    assert "another_name" in mine
    assert not any(each in mine for each in theirs)


def test_an_age_that_a_consent_or_a_withdrawal_states_is_the_persons_too(api):
    """However it is stated, under fifteen counts for every name; what follows carries no older age and no link."""
    api.register("ads")
    api.register("stats", purpose="statistics")
    _link(api, "kid", "kiddo")
    api.decide("kiddo", "ads")
    api.decide("kid", "stats", capacity={"age_band": "under_15", "given_by": "self"})
    assert api.reason("kiddo", "ads") == "consent_invalid"
    api.withdraw("kid", "stats", capacity={"age_band": "adult"})
    api.decide("kiddo", "ads")
    assert api.reason("kiddo", "ads") == "consent_invalid"
    consent = api.ok("POST", "/v1/consents/search", {"subject": subject("kiddo")})["items"][0]["id"]
    assert all("link" not in (each.get("evidence") or {}) for each in _history(api, consent))


@pytest.mark.parametrize("known_by", ["ali", "alice"])
def test_an_age_stated_under_one_name_stops_a_link_made_under_the_other(api, known_by):
    """A page that was made for an adult asks nothing once the person is said to be a child, whom one knew or not."""
    api.register("ads")
    _link(api, "alice", "ali")
    age = {"stated_by": "operator", "checked_how": "account_data", "age_band": "under_15"}
    api.ok("POST", "/v1/subjects/ages", {**age, "subject": subject("alice")})
    person = Person(api, link(api, "alice", "ads", age_band="adult"))
    assert person.open().buttons == {"ads": ["accept", "refuse"]}
    api.ok("POST", "/v1/subjects/ages", {**age, "subject": subject(known_by)})
    assert person.open().buttons == {}


@pytest.mark.parametrize("known", [[], ["alice"], ["alice", "ali"]], ids=len)
def test_two_links_of_the_same_names_at_once_are_one(api, known):
    """Stated in either order, of names with and without an account: neither waits for the other's account in vain."""
    api.register("ads")
    for number in range(8):
        names = [f"alice{number}", f"ali{number}"]
        for name in known:
            api.decide(f"{name}{number}", "ads")
        with ThreadPoolExecutor(2) as pool:
            made = list(pool.map(lambda pair: _link(api, *pair), [names, names[::-1]]))
        assert [each.status_code for each in made] == [201, 201]
        assert made[0].json()["id"] == made[1].json()["id"]


def test_names_of_one_person_can_be_linked_once_more(api):
    """Directly, where they were by a third name: nothing is carried, and nothing is recorded twice."""
    api.register("ads")
    _linked(api, "alice", "ali", "al")
    consent = api.decide("al", "ads")["id"]
    age = {"subject": subject("alice"), "stated_by": "operator", "checked_how": "account_data", "age_band": "under_15"}
    api.ok("POST", "/v1/subjects/ages", age)
    api.withdraw("alice", "ads")
    before = len(_history(api, consent))
    assert _link(api, "ali", "al").status_code == 201
    assert len(_history(api, consent)) == before


def test_grants_of_adults_under_two_names_do_not_wait_for_each_other(api):
    """What says nothing under the other name does not hold its ledger."""
    api.register("ads")
    _linked(api, "alice", "ali")
    adult = {"capacity": {"age_band": "adult"}}
    for _ in range(6):
        with ThreadPoolExecutor(2) as pool:
            made = list(
                pool.map(
                    lambda name: api.call("POST", "/v1/consents", {**grant(name, "ads"), **adult}), ("alice", "ali")
                )
            )
        assert [each.status_code for each in made] == [201, 201]


def test_what_followed_is_projected_as_it_is_read_back(api, database):
    """A refusal that follows with who gave it leaves the table as the ledger has it."""
    api.register("ads")
    _linked(api, "alice", "ali")
    parent = {"given_by": "holder_of_parental_responsibility"}
    api.decide("ali", "ads", capacity=parent, collected_at=_ago(days=14))
    api.decide("alice", "ads", "refused", capacity=parent, collected_at=_ago(days=40))

    async def differing():
        made = Database(database.app_url)
        try:
            return [each async for each in rebuild_projection(made, repair=False)][-1].differing
        finally:
            await made.close()

    assert asyncio.run(differing()) == 0
