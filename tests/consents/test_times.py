from datetime import timedelta

import pytest

from tests.support.api import running, subject, utc
from tests.support.consents import SIGNED, grant
from tests.support.databases import new_database
from tests.support.golden_replay import wire

NOON = utc("2026-06-15T12:00:00Z")


@pytest.fixture
def pip(moving, shared_clock):
    """Two processings of IV, registered in January; the clock stands at noon on 15 June 2026."""
    shared_clock.at = utc("2026-01-01T00:00:00Z")
    for name in ("ads", "stats"):
        if moving.call("GET", f"/v1/processings/{name}").status_code == 404:
            moving.register(name)
    shared_clock.at = NOON
    return moving


@pytest.fixture
def live(pip):
    """That service, called with a consent form's key, which may not import."""
    return pip.with_key(pip.new_key("consents:write", "consents:read", "decisions:evaluate"))


def _ago(**ago):
    return wire(NOON - timedelta(**ago))


def _post(api, name, **more):
    body = {**grant(name, "ads", at=NOON), **more}
    return api.call("POST", "/v1/consents", body)


def _entries(api, consent):
    return api.ok("GET", f"/v1/consents/{consent['id']}/history")["items"]


def test_a_grant_may_be_ten_minutes_old(live):
    """A live grant counts from the time it was collected, up to ten minutes back."""
    consent = live.decide("a", "ads", collected_at=_ago(minutes=10))
    assert consent["collected_at"] == _ago(minutes=10)
    assert _entries(live, consent)[0]["imported"] is False


def test_an_older_grant_needs_the_import_scope(live):
    """A grant of more than ten minutes ago is 422 for a caller that may not import, with the field."""
    answer = _post(live, "b", collected_at=_ago(minutes=10, microseconds=1))
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:sceau:problem:collection-time")
    assert answer.json()["errors"][0]["field"] == "collected_at"


@pytest.mark.parametrize("key", ["live", "pip"])
@pytest.mark.parametrize("ahead", [timedelta(microseconds=1), timedelta(days=300)])
def test_no_grant_comes_from_the_future(request, key, ahead):
    """A grant collected in the future is 422, for a caller that may import too."""
    answer = _post(request.getfixturevalue(key), "c", collected_at=wire(NOON + ahead))
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:sceau:problem:collection-time")
    assert answer.json()["errors"][0]["field"] == "collected_at"


@pytest.mark.parametrize("key", ["live", "pip"])
def test_no_withdrawal_or_refusal_comes_from_the_far_future(request, key):
    """A withdrawal or refusal said to be of next month is 422, with the field."""
    api, later = request.getfixturevalue(key), wire(NOON + timedelta(days=30))
    withdrawal = api.call("POST", "/v1/withdrawals", {"subject": subject("d"), "received_at": later})
    assert (withdrawal.status_code, withdrawal.json()["errors"][0]["field"]) == (422, "received_at")
    refusal = _post(api, "d", decision="refused", collected_at=later)
    assert (refusal.status_code, refusal.json()["errors"][0]["field"]) == (422, "collected_at")


def test_a_withdrawal_by_a_clock_that_runs_ahead_takes_effect_at_once(live):
    """A caller's clock that is a minute ahead does not keep a withdrawal from being recorded, and now."""
    live.decide("e", "ads")
    withdrawn = live.withdraw("e", "ads", received_at=wire(NOON + timedelta(minutes=1)))
    assert len(withdrawn["withdrawn"]) == 1
    assert live.reason("e", "ads") == "consent_withdrawn"


def test_an_imported_grant_keeps_its_own_date(pip):
    """An import counts its year from its own past date, and is marked as an import."""
    consent = pip.decide("f", "ads", collected_at="2026-03-10T09:00:00Z")
    assert consent["collected_at"] == "2026-03-10T09:00:00Z"
    assert consent["expires_at"] == "2027-03-09T23:00:00Z"
    entry = _entries(pip, consent)[0]
    assert (entry["imported"], entry["recorded_at"]) == (True, wire(NOON))


def test_an_import_of_long_ago_has_expired_already(pip):
    """A consent of two years ago is recorded as expired."""
    assert pip.decide("g", "ads", collected_at="2024-06-01T09:00:00Z")["state"] == "expired"
    assert pip.reason("g", "ads") == "consent_expired"


@pytest.mark.parametrize("ago", [timedelta(minutes=5), timedelta(days=100)])
def test_a_live_withdrawal_is_later_than_everything_recorded(live, ago):
    """A live withdrawal ends the consent even if it states an earlier time than the consent's."""
    name = f"h{ago}"
    consent = live.decide(name, "ads")
    withdrawn = live.withdraw(name, "ads", received_at=wire(NOON - ago))
    assert withdrawn["withdrawn"] == [consent["id"]]
    assert utc(withdrawn["effective_at"]) > utc(consent["collected_at"])
    assert _entries(live, consent)[-1]["stated_at"] == wire(NOON - ago)
    assert live.reason(name, "ads") == "consent_withdrawn"


def test_a_live_refusal_is_later_than_everything_recorded(live):
    """A live refusal ends the consent even if it states an earlier time than the consent's."""
    live.decide("i", "ads")
    live.decide("i", "ads", "refused", collected_at=_ago(minutes=9))
    assert live.reason("i", "ads") == "consent_refused"


def test_a_withdrawal_just_stated_by_an_importer_is_live(pip):
    """A withdrawal of nine minutes ago by a caller that may import is live, and ends a consent given since."""
    pip.decide("j", "ads")
    pip.withdraw("j", "ads", received_at=_ago(minutes=9))
    assert pip.reason("j", "ads") == "consent_withdrawn"


def test_an_imported_withdrawal_leaves_a_later_consent(pip):
    """A withdrawal imported at its own past date does not end a consent collected since."""
    pip.decide("k", "ads")
    withdrawn = pip.withdraw("k", "ads", received_at=_ago(days=3))
    assert (withdrawn["withdrawn"], withdrawn["effective_at"]) == ([], _ago(days=3))
    assert pip.reason("k", "ads") == "consent_in_force"


def test_a_withdrawal_from_all_covers_what_is_registered_later(pip, shared_clock):
    """A withdrawal from every processing holds against older imports to one that is registered afterwards."""
    assert pip.withdraw("m")["withdrawn"] == []
    pip.register("later-for-withdrawals")
    consent = pip.decide("m", "later-for-withdrawals", collected_at=_ago(days=30))
    assert consent["state"] == "withdrawn"
    assert pip.reason("m", "later-for-withdrawals") == "consent_withdrawn"
    shared_clock.at = NOON + timedelta(days=1)
    assert pip.decide("m", "later-for-withdrawals")["state"] == "in_force"


def test_what_was_collected_before_a_closure_is_refused_after_it(pip):
    """A decision collected before a closure is refused after it, even for a processing that is registered later."""
    pip.ok("POST", "/v1/subjects/closures", {"subject": subject("n")})
    pip.register("later-for-closures")
    signed = grant("n", "later-for-closures", at=NOON - timedelta(days=30), evidence=SIGNED)
    for decision in ("granted", "refused"):
        body = {**signed, "decision": decision}
        refused = pip.call("POST", "/v1/consents", body)
        assert (refused.status_code, refused.json()["type"]) == (422, "urn:sceau:problem:collection-time")
    withdrawal = {"subject": subject("n"), "received_at": _ago(days=30)}
    assert pip.call("POST", "/v1/withdrawals", withdrawal).status_code == 422
    assert pip.reason("n", "later-for-closures") == "no_consent"


def test_a_shorter_ceiling_of_the_deployment_applies_to_earlier_consents(clock):
    """Restarted with a shorter SCEAU_CONSENT_VALIDITY, the service no longer honours a consent that is older."""
    with new_database() as database:
        with running(database, clock=clock) as api:
            api.agreed("ads", "alice")
        clock.at = NOON + timedelta(days=100)
        with running(database, clock=clock, consent_validity="P3M") as api:
            assert api.reason("alice", "ads") == "consent_expired"


def test_a_grant_by_a_clock_set_back_is_told_as_it_will_be_judged(live, shared_clock):
    """When the clock goes back behind a withdrawal, a grant is answered with the state that a list then shows."""
    live.withdraw("s", "ads")
    shared_clock.at = NOON - timedelta(hours=1)
    consent = live.decide("s", "ads")
    assert consent["state"] == live.ok("GET", f"/v1/consents/{consent['id']}")["state"] == "withdrawn"
    assert live.reason("s", "ads") == "consent_withdrawn"


def test_a_withdrawal_binds_although_the_clock_goes_back(live, shared_clock):
    """A clock set back by an hour does not bring a withdrawn consent back."""
    live.decide("t", "ads")
    live.withdraw("t", "ads")
    shared_clock.at = NOON - timedelta(hours=1)
    assert live.reason("t", "ads") == "consent_withdrawn"
