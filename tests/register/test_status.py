from datetime import timedelta

import pytest

from tests.support.api import processing, refused, utc
from tests.support.two_persons import add

NOON = utc("2026-06-15T12:00:00Z")


def test_a_status_changes_decisions_at_once(pap, shared_clock):
    """A suspended processing is denied at once; once it is active again, its consents permit as before."""
    pap.agreed("paused", "alice")
    for status, reason in (("suspended", "processing_suspended"), ("active", "consent_in_force")):
        shared_clock.at += timedelta(seconds=1)
        assert pap.ok("PATCH", "/v1/processings/paused", {"status": status})["status"] == status
        assert pap.reason("alice", "paused") == reason


def test_the_status_it_has_already_is_no_change(pap):
    """Giving a processing the status that it has is a 200 and records nothing."""
    pap.register("same")
    assert pap.ok("PATCH", "/v1/processings/same", {"status": "active"})["status_changes"] == []
    pap.ok("PATCH", "/v1/processings/same", {"status": "suspended"})
    assert len(pap.ok("PATCH", "/v1/processings/same", {"status": "suspended"})["status_changes"]) == 1


def test_two_changes_in_one_instant_are_told_in_their_order(pap):
    """After several status changes in one instant, the last one is shown and is the one that decides."""
    pap.register("quick")
    pap.ok("PATCH", "/v1/processings/quick", {"status": "suspended"})
    assert pap.ok("PATCH", "/v1/processings/quick", {"status": "active"})["status"] == "active"
    assert pap.ok("PATCH", "/v1/processings/quick", {"status": "suspended"})["status"] == "suspended"
    assert pap.ok("GET", "/v1/processings/quick")["status"] == "suspended"
    assert pap.reason("alice", "quick") == "processing_suspended"


def test_a_version_is_told_although_the_clock_went_back(pap, shared_clock):
    """A clock set back does not hide the version that decisions are taken on."""
    pap.register("behind")
    shared_clock.at = NOON - timedelta(hours=1)
    assert pap.ok("GET", "/v1/processings/behind")["version"]["number"] == 1
    assert pap.decide("alice", "behind", "refused")["version"] == 1


def test_retired_is_final(pap):
    """A retired processing takes no other status and no version; retiring it again changes nothing."""
    pap.register("ended")
    assert pap.ok("PATCH", "/v1/processings/ended", {"status": "retired"})["status"] == "retired"
    for status in ("active", "suspended"):
        answer = pap.call("PATCH", "/v1/processings/ended", {"status": status})
        assert refused(answer) == (409, "processing-retired")
    assert refused(add(pap, "ended", material=True)) == (409, "processing-retired")
    assert len(pap.ok("PATCH", "/v1/processings/ended", {"status": "retired"})["status_changes"]) == 1
    assert refused(pap.call("POST", "/v1/processings", processing("ended"))) == (409, "processing-exists")


@pytest.mark.parametrize(
    "body", [{}, {"status": "deleted"}, {"status": None}, {"status": "active", "purpose": "other"}]
)
def test_nothing_but_the_status_can_be_patched(pap, body):
    """A PATCH takes a known status and nothing else."""
    pap.call("POST", "/v1/processings", processing("patched"))
    assert pap.call("PATCH", "/v1/processings/patched", body).status_code == 422
