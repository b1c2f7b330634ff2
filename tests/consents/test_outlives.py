"""A later age makes no invalid consent valid, and no repetition or import undoes an erasure or a no."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.consents.test_accounts import OTHER_KEY, _exchange, days_pass
from tests.support.api import PSEUDONYM_KEY, running, subject
from tests.support.consents import SIGNED, grant, written
from tests.support.imports import LONG_AGO, imported, row
from tests.support.people import people


@pytest.fixture
def api(shared):
    """The shared deployment."""
    return shared


def _two(api, name):
    """Register two processings for one test; the first returned requires an age."""
    api.register(f"{name}-other")
    api.register(f"{name}-ads", age_statement_required=True)
    return f"{name}-ads", f"{name}-other"


def test_an_age_with_another_grant_cures_nothing(api):
    """An adult's age that is recorded later, with a grant to another processing, leaves an invalid consent invalid."""
    ads, other = _two(api, "cured")
    before = datetime.now(UTC)
    api.state_age("kid", "under_15")
    for name in ("kid", "anybody"):
        api.decide(name, ads)
        assert api.reason(name, ads) == "consent_invalid"
        api.ok("POST", "/v1/consents", grant(name, other, at=before, capacity={"age_band": "adult"}))
        assert api.reason(name, ads) == "consent_invalid"


def test_an_age_of_the_past_cures_nothing(api):
    """Neither a statement dated before the grant nor a day of fifteen that had passed by it makes it lawful."""
    ads, _ = _two(api, "past")
    long_ago, then = (written(datetime.now(UTC) - timedelta(days=days)) for days in (60, 50))
    passed = (datetime.now(UTC) - timedelta(days=30)).date().isoformat()
    api.state_age("young", "under_15", at=long_ago)
    for name in ("young", "unknown"):
        api.decide(name, ads)
    api.state_age("young", "under_15", at=then, under_15_until=passed)
    api.state_age("unknown", "adult", at=then)
    assert [api.reason(name, ads) for name in ("young", "unknown")] == ["consent_invalid"] * 2


def test_an_age_that_was_there_before_counts(api):
    """Control: an age stated and recorded before the grant makes the grant lawful."""
    ads, _ = _two(api, "known")
    api.state_age("grown", "adult")
    api.decide("grown", ads)
    assert api.reason("grown", ads) == "consent_in_force"


def test_a_repetition_after_an_erasure_is_refused(api):
    """A grant signed before an erasure and sent again after it is refused; a new grant is in force."""
    ads, _ = _two(api, "erased")
    signed = datetime.now(UTC) - timedelta(seconds=30)
    body = grant("eve", ads, at=signed, evidence=SIGNED, capacity={"age_band": "adult"})
    api.ok("POST", "/v1/consents", body)
    api.ok("POST", "/v1/subjects/erasures", {"subject": subject("eve")})
    again = api.call("POST", "/v1/consents", body)
    assert (again.status_code, again.json()["errors"][0]["field"]) == (422, "collected_at")
    assert api.reason("eve", ads) == "no_consent"
    api.ok("POST", "/v1/consents", grant("eve", ads, capacity={"age_band": "adult"}))
    assert api.reason("eve", ads) == "consent_in_force"


def test_an_exchange_of_the_key_revives_nobody(database):
    """After an exchange of the pseudonym key, an import of an erased person's older grant still permits nothing."""
    now = datetime.now(UTC)
    with running(database) as api:
        api.agreed("ads", "gone", "stays")
        api.ok("POST", "/v1/subjects/erasures", {"subject": subject("gone")})
        assert imported(api, row(1, "gone"), until=written(now))["refused"] == 1
    for key, other in ((PSEUDONYM_KEY, OTHER_KEY), (OTHER_KEY, PSEUDONYM_KEY)):
        with running(database, pseudonym_key=f"{key},{other}") as api:
            _exchange(api)
            assert imported(api, row(1, "gone"), name=f"by-{key[:2]}", until=written(now))["refused"] == 1
    days_pass(database)
    with running(database, pseudonym_key=OTHER_KEY) as api:
        answer = imported(api, row(1, "gone"), name="once-more", until=written(now))
        assert answer["rows"][0]["proof"] == "unknown"
        assert api.reason("gone", "ads") == "consent_invalid"


@pytest.mark.parametrize("name", ["ben", "ben-too"])
def test_a_child_is_not_its_own_parent(api, name):
    """A child cannot be named as its own parent by any of its names, in a grant or in a link."""
    if not api.call("GET", "/v1/processings/own-parent").is_success:
        api.register("own-parent")
        api.state_age("ben", "under_15")
        api.link_names("ben-too", "ben")
    who = {"parent": subject(name), "parent_checked_how": "declaration"}
    refused = api.call("POST", "/v1/consents", grant("ben", "own-parent", capacity={"given_by": "both", **who}))
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "capacity.parent")
    body = {"subject": subject("ben"), "processings": ["own-parent"], "authentication": "mailbox", "kind": "joint"}
    assert api.call("POST", "/v1/consent-links", {**body, **who}).status_code == 422


@pytest.mark.parametrize("again", ["import", "live route"])
def test_a_yes_of_the_very_day_of_a_no_does_not_come_again(api, again):
    """A yes and a no imported with one date count as a no, and the yes sent again permits nothing."""
    ads, name = people("day", "somebody")
    api.register(ads)
    imported(api, row(1, name, processing=ads), row(2, name, "withdrawn", processing=ads), name=ads)
    assert api.reason(name, ads) == "consent_withdrawn"
    if again == "import":
        imported(api, row(1, name, processing=ads), name=f"{ads}-again")
    else:
        api.ok("POST", "/v1/consents", grant(name, ads, at=LONG_AGO, evidence=SIGNED))
    assert api.reason(name, ads) == "consent_invalid"


@pytest.mark.parametrize("how", ["erasures", "closures"])
def test_an_old_form_revives_nobody_whom_the_new_key_does_not_find(database, how):
    """After an exchange of the pseudonym key, an old form of an erased or closed person permits nothing."""
    body = grant("gone", "ads", at=datetime.now(UTC) - timedelta(days=100), evidence=SIGNED)
    with running(database) as api:
        api.agreed("ads", "gone", "stays")
        api.ok("POST", f"/v1/subjects/{how}", {"subject": subject("gone")})
    for key, other in ((PSEUDONYM_KEY, OTHER_KEY), (OTHER_KEY, PSEUDONYM_KEY)):
        with running(database, pseudonym_key=f"{key},{other}") as api:
            _exchange(api)
    days_pass(database)
    with running(database, pseudonym_key=OTHER_KEY) as api:
        _exchange(api)
        api.call("POST", "/v1/consents", body)
        assert api.reason("gone", "ads") in {"no_consent", "consent_invalid"}
        api.decide("gone", "ads")
        assert api.reason("gone", "ads") == "consent_in_force"
