"""Names that are stated to be one person's after the fact: it is as if they had been stated before."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.support.api import subject
from tests.support.sweeping import sweep


def _link(api, one, other):
    body = {"from": subject(one), "to": subject(other), "basis": "user_proved"}
    return api.ok("POST", "/v1/subjects/links", body)


def _ago(**times):
    return (datetime.now(UTC) - timedelta(**times)).isoformat()


def _withdrawn_from_all(api, _):
    api.decide("ali", "ads", collected_at=_ago(days=90))
    api.withdraw("alice", received_at=_ago(days=30))


def _agreed_again_elsewhere(api, _):
    api.withdraw("alice", "stats", received_at=_ago(days=55))
    api.decide("alice", "stats", collected_at=_ago(days=50))


def _retired_meanwhile(api, database):
    api.decide("alice", "ads", collected_at=_ago(days=90))
    api.withdraw("alice", "stats", received_at=_ago(days=30))
    api.ok("PATCH", "/v1/processings/ads", {"status": "retired"})
    sweep(database)


def _a_no_between_two_acts(api, _):
    child = {"age_band": "under_15", "given_by": "self"}
    api.decide("ali", "stats", capacity=child, collected_at=_ago(days=70))
    api.withdraw("alice", "stats", received_at=_ago(days=65))
    api.decide(
        "ali", "stats", capacity={**child, "given_by": "holder_of_parental_responsibility"}, collected_at=_ago(days=62)
    )


def _a_child_then(api, _):
    age = {"subject": subject("alice"), "stated_by": "operator", "checked_how": "account_data"}
    api.ok("POST", "/v1/subjects/ages", {**age, "age_band": "under_15", "at": _ago(days=90)})
    api.ok("POST", "/v1/subjects/ages", {**age, "age_band": "adult", "at": _ago(days=30)})


@pytest.mark.parametrize("linked_first", [True, False], ids=["linked first", "linked afterwards"])
@pytest.mark.parametrize(
    "past", [_withdrawn_from_all, _agreed_again_elsewhere, _retired_meanwhile, _a_no_between_two_acts, _a_child_then]
)
def test_it_is_the_same_whatever_was_recorded_first(api, database, past, linked_first):
    """A yes to stats of sixty days ago, which arrives last under one name, meets what was said under the other."""
    api.register("ads")
    api.register("stats", purpose="statistics")
    if linked_first:
        _link(api, "alice", "ali")
    past(api, database)
    if not linked_first:
        _link(api, "ali", "alice")
    if past is not _a_no_between_two_acts:
        api.decide("ali", "stats", collected_at=_ago(days=60))
    assert api.evaluate("ali", "stats")["decision"] is False


def test_what_several_names_said_is_carried_once(api):
    """A no that followed from one name to another is one no: a third name gets it once, however it is linked."""
    api.register("ads")
    _link(api, "alice", "ali")
    consent = api.decide("al", "ads")["id"]
    api.withdraw("alice", "ads")
    _link(api, "ali", "al")
    assert [each["kind"] for each in api.ok("GET", f"/v1/consents/{consent}/history")["items"]] == [
        "granted",
        "withdrawn",
    ]
