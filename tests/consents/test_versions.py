from datetime import timedelta
from hashlib import sha256

import pytest

from tests.support.api import utc
from tests.support.golden_replay import wire
from tests.support.two_persons import add

JANUARY, JUNE, NOON = utc("2026-01-01T00:00:00Z"), utc("2026-06-01T00:00:00Z"), utc("2026-06-15T12:00:00Z")
SECOND = {"fr": "Deuxième texte", "en": "Second text"}


def _add(api, identifier, at, **more):
    assert add(api, identifier, material=True, effective_from=at, **more).status_code == 201


@pytest.fixture(scope="module")
def of_january(moving, shared_clock):
    """`ads` of January, with a material version and another text since June; each test uses names of its own."""
    shared_clock.at = JANUARY
    moving.register("ads")
    _add(moving, "ads", wire(JUNE), notice=SECOND)
    return moving


@pytest.fixture
def pip(of_january, shared_clock):
    """That service, in mid-June."""
    shared_clock.at = NOON
    return of_january


def test_a_grant_is_to_the_version_in_force(pip, alice):
    """A live grant that names no version is to the one in force."""
    assert pip.decide(alice, "ads")["version"] == 2


def test_an_import_is_to_the_version_in_force_when_it_was_collected(pip, alice):
    """A paper consent of March says yes to what was asked in March: the version of June supersedes it."""
    consent = pip.decide(alice, "ads", collected_at="2026-03-10T09:00:00Z")
    assert (consent["version"], consent["state"]) == (1, "superseded")
    assert pip.reason(alice, "ads") == "consent_superseded"


def test_a_grant_of_some_minutes_ago_is_to_the_version_of_then(pip, shared_clock, alice):
    """A grant collected just before a material version and recorded just after it is to the older version."""
    shared_clock.at = JUNE + timedelta(minutes=2)
    consent = pip.decide(alice, "ads", collected_at=wire(JUNE - timedelta(minutes=3)))
    assert (consent["version"], consent["state"]) == (1, "superseded")


def test_an_import_older_than_the_register_is_to_the_first_version(pip, alice):
    """A consent collected before the processing was registered here is to its first version."""
    assert pip.decide(alice, "ads", collected_at="2025-12-10T09:00:00Z")["version"] == 1


def test_a_refusal_is_to_the_version_in_force_whatever_notice_it_names(pip, alice):
    """A refusal that names no version is to the one in force when it was made, even if it names an older notice."""
    assert pip.decide(alice, "ads", "refused")["version"] == 2
    assert pip.decide(alice, "ads", "refused", evidence={"notice_version": 1})["version"] == 2


def test_a_named_version_is_kept(pip, alice):
    """A caller that says which version was shown is taken at its word."""
    assert pip.decide(alice, "ads", version=1)["state"] == "superseded"
    assert pip.decide(alice, "ads", version=2)["state"] == "in_force"


def test_the_text_must_be_of_the_version_decided_on(pip, alice):
    """The hash of an older version's text does not prove consent to the newer one."""
    old = sha256(b"Texte de ads").hexdigest()
    assert pip.decide(alice, "ads", evidence={"presented_text_sha256": old})["defects"] == ["text_unknown"]
    new = sha256(SECOND["fr"].encode()).hexdigest()
    assert pip.decide(alice, "ads", evidence={"presented_text_sha256": new})["state"] == "in_force"


def test_a_grant_ahead_of_its_version_is_pending(pip, shared_clock, alice):
    """A grant for a version to come is pending, leaves the present consent standing, and counts once it is in force."""
    shared_clock.at = JANUARY
    pip.register("ahead")
    _add(pip, "ahead", wire(JUNE))
    first = pip.decide(alice, "ahead")
    shared_clock.at = JUNE - timedelta(days=1)
    ahead = pip.decide(alice, "ahead", version=2)
    assert ahead["state"] == "pending"
    assert pip.evaluate(alice, "ahead")["context"]["consent"] == first["id"]
    assert pip.evaluate(alice, "ahead")["context"]["valid_until"] == wire(JUNE)
    shared_clock.at = JUNE
    assert pip.evaluate(alice, "ahead")["context"]["consent"] == ahead["id"]
    assert pip.ok("GET", f"/v1/consents/{first['id']}")["state"] == "replaced"


def test_a_withdrawal_ends_a_grant_that_is_pending(pip, shared_clock, alice):
    """A withdrawal also ends a grant that is ahead of its version."""
    pip.register("ended")
    _add(pip, "ended", "2026-07-01T00:00:00Z")
    ahead = pip.decide(alice, "ended", version=2)
    assert pip.withdraw(alice, "ended")["withdrawn"] == [ahead["id"]]
    shared_clock.at = utc("2026-07-02T00:00:00Z")
    assert pip.reason(alice, "ended") == "consent_withdrawn"
