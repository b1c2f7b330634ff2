"""Whom to remind: flags that name the user, links by a consent's id, and nobody who does not want to renew."""

import asyncio

import psycopg
import pytest

from app.core.period import PeriodPolicy
from app.core.renewal import Renewal
from app.db.database import Database
from app.operations.consents.sweep_renewals import sweep_renewals
from tests.support.acts import trail
from tests.support.api import processing, subject, utc

DUE = utc("2027-04-16T10:00:00Z")
LINK = {"kind": "decide", "authentication": "mailbox"}


@pytest.fixture
def due(clocked, database, clock):
    """An application in which alice's consent, of June 2026, is due for renewal in sixty days."""
    clocked.register("ads")
    clocked.decide("alice", "ads")

    def sweep():
        async def once():
            made = Database(database.app_url, clock=clock)
            try:
                return await sweep_renewals(made, Renewal(PeriodPolicy()))
            finally:
                await made.close()

        return asyncio.run(once()).flagged.total()

    clock.at = DUE
    return clocked, sweep


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
    asked = {**LINK, "consent": declined["consent"], "by_person": True}
    assert api.ok("POST", "/v1/consent-links", asked)["processings"] == ["ads"]
    with psycopg.connect(database.owner_url) as owner:
        told = owner.execute("SELECT count(*) FROM outbox WHERE type = 'fr.sceau.consent.renewal_declined'").fetchone()
    assert told == (1,)
    nothing = api.call("POST", "/v1/renewals/declined", {"subject": subject("bob"), "processing": "ads"})
    assert (nothing.status_code, nothing.json()["type"]) == (409, "urn:sceau:problem:nothing-to-renew")


def _asked(api, **more):
    body = {**LINK, "subject": subject("alice"), "processings": ["ads"], **more}
    return api.call("POST", "/v1/consent-links", body)


def test_a_renewal_is_asked_for_three_times(due):
    """Whoever asks: a fourth link is refused, but for the person who comes by themselves; a new consent begins anew."""
    api, _ = due
    campaign = api.with_key(api.new_key("consents:write"))
    for caller in (api, campaign, api):
        assert _asked(caller).status_code == 201
    refused = _asked(campaign)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:sceau:problem:solicitation-paused")
    assert _asked(api, by_person=True).status_code == 201
    assert _asked(api, kind="withdraw").status_code == 201
    api.decide("alice", "ads")
    assert _asked(api).status_code == 201


def test_what_was_asked_for_three_times_is_left_out_beside_others(due):
    """The link offers the rest, and says why one is not there; a first request is not counted."""
    api, _ = due
    api.register("stats", purpose="statistics")
    for _each in range(3):
        _asked(api)
    made = _asked(api, processings=["ads", "stats"]).json()
    assert made["processings"] == ["stats"]
    assert made["left_out"] == [{"processing": "ads", "reason": "solicited_three_times"}]
    for _each in range(4):
        assert _asked(api, processings=["stats"]).status_code == 201


def test_a_material_version_is_asked_for_anew(due):
    """Three links for the version that was consented to do not keep the next one from being asked for."""
    api, _ = due
    for _each in range(3):
        _asked(api)
    assert _asked(api).status_code == 409
    more = {key: value for key, value in processing("ads").items() if key != "id"}
    api.ok("POST", "/v1/processings/ads/versions", {**more, "retention": "P60D", "material": True})
    assert _asked(api).status_code == 201
