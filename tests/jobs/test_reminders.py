"""Whom to remind: flags that name the user, links by a consent's id, and nobody who does not want to renew."""

from datetime import datetime, timedelta

import psycopg
import pytest

from app.core.renewal import next_half_year
from tests.support.acts import trail
from tests.support.api import processing, running, subject, utc
from tests.support.sweeping import sweep

DUE = utc("2027-04-16T10:00:00Z")
BY_PERSON = {"by_person": True, "request_reference": "ticket-1"}
LINK = {"kind": "decide", "authentication": "mailbox"}


@pytest.fixture
def due(clocked, database, clock):
    """An application in which alice's consent, of June 2026, is due for renewal in sixty days."""
    clocked.agreed("ads", "alice")
    clock.at = DUE

    def flagged():
        return sweep(database, clock).flagged.total()

    return clocked, flagged


def test_flags_name_the_user_to_one_who_may_read_it(due, database):
    """With `include=subject` and its own scope; it is recorded who read how many, and without it none is named."""
    api, sweep = due
    assert sweep() == 1
    reader = api.with_key(api.new_key("consents:read"))
    assert reader.call("GET", "/v1/renewals?include=subject").status_code == 403
    assert "subject" not in reader.ok("GET", "/v1/renewals")["items"][0]
    officer = api.with_key(api.new_key("consents:read", "subjects:read"))
    assert officer.ok("GET", "/v1/renewals?include=subject")["items"][0]["subject"] == subject("alice")
    read = [each for each in trail(database) if each["act"] == "renewals.subjects_read"]
    assert [each["detail"] for each in read] == [{"found": 1}]


def test_a_link_is_made_by_the_id_of_the_consent(due):
    """Who reminds needs the consent and not the user; the link is that user's, about that processing."""
    api, sweep = due
    sweep()
    flag = api.ok("GET", "/v1/renewals")["items"][0]
    made = api.ok("POST", "/v1/consent-links", {**LINK, "consent": flag["consent"]})
    assert made["processings"] == ["ads"]
    both = {**LINK, "consent": flag["consent"], "subject": subject("alice"), "processings": ["ads"]}
    assert api.call("POST", "/v1/consent-links", both).status_code == 422
    assert api.call("POST", "/v1/consent-links", LINK).status_code == 422


def test_a_link_is_made_for_nobody_who_left(due):
    """After a closure the consent leads to no user: whoever has the address since is another person."""
    api, sweep = due
    sweep()
    flag = api.ok("GET", "/v1/renewals")["items"][0]
    api.ok("POST", "/v1/subjects/closures", {"subject": subject("alice")})
    assert api.call("POST", "/v1/consent-links", {**LINK, "consent": flag["consent"]}).status_code == 404


def test_whoever_declined_is_not_reminded(due, database):
    """A declined renewal ends notices and links for that consent, which goes on permitting until its end."""
    api, sweep = due
    declined = api.ok("POST", "/v1/renewals/declined", {"subject": subject("alice"), "processing": "ads"})
    assert sweep() == 0
    refused = api.call("POST", "/v1/consent-links", {**LINK, "consent": declined["consent"]})
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:sceau:problem:solicitation-paused")
    assert api.reason("alice", "ads") == "consent_in_force"
    body = {**LINK, "consent": declined["consent"], **BY_PERSON}
    assert api.ok("POST", "/v1/consent-links", body)["processings"] == ["ads"]
    with psycopg.connect(database.owner_url) as owner:
        rows = owner.execute("SELECT count(*) FROM outbox WHERE type = 'fr.sceau.consent.renewal_declined'").fetchone()
    assert rows == (1,)
    nothing = api.call("POST", "/v1/renewals/declined", {"subject": subject("bob"), "processing": "ads"})
    assert (nothing.status_code, nothing.json()["type"]) == (409, "urn:sceau:problem:nothing-to-renew")


@pytest.fixture(scope="module")
def asking(moving):
    """A service whose clock each test sets for itself, with one processing."""
    moving.register("ads")
    return moving


@pytest.fixture
def holder(asking, request):
    """Somebody of this test's own, whose consent of June 2026 is due for renewal in sixty days."""
    name: str = request.node.name
    asking.clock.at = utc("2026-06-15T12:00:00Z")
    asking.decide(name, "ads")
    asking.clock.at = DUE
    return name


def _asked(api, name, **more):
    body = {**LINK, "subject": subject(name), "processings": ["ads"], **more}
    return api.call("POST", "/v1/consent-links", body)


def test_a_person_is_asked_three_times_in_a_half_year(asking, holder):
    """Whoever asks, and whatever was answered: the next link is refused until the half-year is over."""
    campaign = asking.with_key(asking.new_key("consents:write"))
    for caller in (asking, campaign, asking):
        assert _asked(caller, holder).status_code == 201
        asking.decide(holder, "ads")
    refused = _asked(campaign, holder)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:sceau:problem:solicitation-paused")
    assert _asked(asking, holder, **BY_PERSON).status_code == 409
    assert _asked(asking, holder, kind="withdraw").status_code == 201
    asking.clock.at = next_half_year(asking.clock.at)
    assert _asked(asking, holder).status_code == 201


def test_what_was_asked_for_often_enough_is_left_out_beside_others(asking, holder):
    """The link offers the rest, and says why and until when one is not there; a first request counts too."""
    asking.register("stats", purpose="statistics")
    for _each in range(3):
        _asked(asking, holder)
    for _each in range(3):
        made = _asked(asking, holder, processings=["ads", "stats"]).json()
        assert made["processings"] == ["stats"]
        (left,) = made["left_out"]
        assert (left["processing"], left["reason"]) == ("ads", "asked_enough")
        assert datetime.fromisoformat(left["until"]) == next_half_year(asking.clock.at)
    assert _asked(asking, holder, processings=["ads", "stats"]).status_code == 409


def test_who_asks_by_themselves_counts_once(asking, holder):
    """The person's own request needs what shows it, counts as one of three, and once in a half-year."""
    for reason in ({"by_person": True}, {"request_reference": "ticket-1"}):
        answer = _asked(asking, holder, **reason)
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "request_reference")
    assert _asked(asking, holder, **BY_PERSON).status_code == 201
    assert _asked(asking, holder, **BY_PERSON).status_code == 409
    assert [_asked(asking, holder).status_code for _each in range(3)] == [201, 201, 409]


def test_after_a_no_a_person_is_asked_once(database, clock):
    """Never in the pause; then once in each half-year, until they say yes."""
    with running(database, clock=clock, solicitation_pause="P30D") as api:
        api.register("ads")
        _asked(api, "alice")
        clock.at += timedelta(seconds=1)
        api.decide("alice", "ads", "refused")
        assert _asked(api, "alice").status_code == 409
        clock.at += timedelta(days=31)
        assert [_asked(api, "alice").status_code for _each in range(2)] == [201, 409]
        clock.at = next_half_year(clock.at)
        assert [_asked(api, "alice").status_code for _each in range(2)] == [201, 409]


def test_a_new_version_begins_no_new_count(asking, holder):
    """A material version is another text, and the person is the same: three links in all."""
    asking.register("longer")
    for _each in range(3):
        _asked(asking, holder, processings=["longer"])
    more = {key: value for key, value in processing("longer").items() if key != "id"}
    asking.ok("POST", "/v1/processings/longer/versions", {**more, "retention": "P60D", "material": True})
    assert _asked(asking, holder, processings=["longer"]).status_code == 409


def test_the_person_sees_when_they_were_asked(asking, holder):
    """The export says for each processing and half-year when, and whether it was their own request."""
    _asked(asking, holder)
    _asked(asking, holder, **BY_PERSON)
    [entry] = asking.ok("POST", "/v1/subjects/exports", {"subject": subject(holder)})["asked"]
    assert (entry["processing"], len(entry["asked_at"]), entry["person_request"]) == ("ads", 2, "ticket-1")
