from datetime import timedelta

import psycopg
import pytest

from app.core.period import ConsentPeriod, PeriodPolicy
from app.core.renewal import Renewal
from tests.support import sweeping
from tests.support.api import processing, subject, utc
from tests.support.databases import execute
from tests.support.pools import rebuilt
from tests.support.sweeping import RENEWAL


@pytest.fixture
def sweep(database, clock):
    """Sweep once, at the time of the clock; what was flagged, by kind."""

    def once(renewal=RENEWAL, **options):
        done = sweeping.sweep(database, clock, renewal, **options)
        return {kind.value: number for kind, number in done.flagged.items()}

    return once


@pytest.fixture
def flags(database):
    """What is flagged: kind and notice, oldest first."""

    def read(query="SELECT kind, notice FROM renewal_flag ORDER BY flagged_at, kind, notice"):
        with psycopg.connect(database.owner_url) as connection:
            return connection.execute(query).fetchall()

    return read


OUTBOX = "SELECT substr(type, 18), data->>'notice' FROM outbox WHERE type !~ 'granted' ORDER BY occurred_at, type"


@pytest.fixture
def ads(clocked):
    """An application with one processing of advertising, to which alice consented on 15 June 2026."""
    clocked.agreed("ads", "alice")
    return clocked


def test_each_notice_and_the_expiry_are_flagged_once(ads, sweep, flags, clock):
    """Each notice is flagged once, at midnight in Paris on its day, then the expiry; the export lists the flags."""
    for at, expected in [
        ("2027-04-15T21:59:59Z", {}),
        ("2027-04-15T22:00:00Z", {"due": 1}),
        ("2027-05-15T22:00:00Z", {"due": 1}),
        ("2027-06-07T22:00:00Z", {"due": 1}),
        ("2027-06-14T21:59:59Z", {}),
        ("2027-06-14T22:00:00Z", {"expired": 1}),
        ("2028-06-14T22:00:00Z", {}),
    ]:
        clock.at = utc(at)
        assert (sweep(), sweep()) == (expected, {}), at
    assert flags() == [("due", 60), ("due", 30), ("due", 7), ("expired", 0)]
    exported = ads.ok("POST", "/v1/subjects/exports", {"subject": subject("alice")})["renewal_flags"]
    assert [(each["processing"], each["kind"], each["notice"]) for each in exported] == [
        ("ads", kind, notice) for kind, notice in flags()
    ]
    assert flags(OUTBOX) == [
        ("renewal_due", "P60D"),
        ("renewal_due", "P30D"),
        ("renewal_due", "P7D"),
        ("expired", None),
    ]


def test_after_downtime_only_the_latest_notice_is_said(ads, sweep, flags, clock):
    """A sweep that comes after 60, 30 and 7 days before were missed says the last one, and no burst."""
    clock.at = utc("2027-06-10T12:00:00Z")
    assert sweep() == {"due": 1}
    assert flags() == [("due", 7)]


def test_an_expiry_that_was_missed_is_said_without_its_notices(ads, sweep, flags, clock):
    """After a year without a sweep a consent is said to have expired, and nothing else."""
    clock.at = utc("2028-06-10T12:00:00Z")
    assert sweep() == {"expired": 1}
    assert flags() == [("expired", 0)]


def test_the_ledger_tells_which_consent_expired(ads, sweep, flags, clock):
    """The event `expired` follows the grant in the ledger, by the system, and names the consent; it decides nothing."""
    clock.at = utc("2027-06-15T12:00:00Z")
    sweep()
    consent = flags("SELECT id FROM consent")[0][0]
    entries = ads.ok("GET", f"/v1/consents/{consent}/history")["items"]
    assert [entry["kind"] for entry in entries] == ["granted", "expired"]
    assert entries[1]["evidence"] == {"consent": str(consent)}
    assert entries[1]["recorded_by"] == "00000000-0000-0000-0000-000000000000"
    assert ads.reason("alice", "ads") == "consent_expired"
    assert ads.ok("GET", f"/v1/consents/{consent}")["state"] == "expired"


def test_a_consent_that_ended_is_not_flagged(ads, sweep, flags, clock):
    """Renewed, refused, withdrawn or closed the day before, a consent is neither due nor expired."""
    for name in ("bob", "carol", "dave"):
        ads.decide(name, "ads")
    clock.at = utc("2027-03-10T12:00:00Z")
    ads.withdraw("alice", "ads")
    ads.ok("POST", "/v1/subjects/closures", {"subject": {"type": "user", "id": "bob"}})
    ads.decide("carol", "ads")
    ads.decide("dave", "ads", decision="refused")
    clock.at = utc("2027-06-15T12:00:00Z")
    assert sweep() == {}
    assert flags() == []


def test_an_invalid_consent_is_not_flagged(ads, sweep, flags, clock):
    """A grant whose control was pre-selected never was in force: nobody is told that it ends."""
    ads.decide("bob", "ads", evidence={"default_state": "selected"})
    clock.at = utc("2027-06-15T12:00:00Z")
    assert sweep() == {"expired": 1}
    assert sweep() == {}


def test_a_shortened_period_is_swept(ads, sweep, flags, clock):
    """A version that shortens the validity makes earlier consents expire, and the sweep finds those at once."""
    clock.at = utc("2027-01-10T12:00:00Z")
    _new_version(ads, consent_validity="P6M", material=False)
    assert sweep() == {"expired": 1}
    assert ads.reason("alice", "ads") == "consent_expired"


def test_a_material_version_supersedes(ads, sweep, flags, clock):
    """Consents to an older version are said to be superseded when a material one comes into force, not before."""
    clock.at = utc("2026-07-01T12:00:00Z")
    _new_version(ads, elements=["content", "attachments"], material=True, effective_from="2026-08-01T00:00:00Z")
    assert sweep() == {}
    ads.decide("carol", "ads", version=2)
    clock.at = utc("2026-08-01T00:00:00Z")
    assert (sweep(), sweep()) == ({"superseded": 1}, {})
    assert ads.reason("alice", "ads") == "consent_superseded"
    assert ads.reason("carol", "ads") == "consent_in_force"
    clock.at = utc("2027-07-02T12:00:00Z")
    assert sweep() == {"expired": 1}
    assert flags() == [("superseded", 0), ("expired", 0)]


def test_one_who_consented_ahead_of_the_change_is_not_told(ads, sweep, flags, clock):
    """Whoever consented to the coming version before it came has replaced the older consent: it is not superseded."""
    clock.at = utc("2026-07-01T12:00:00Z")
    _new_version(ads, elements=["content", "attachments"], material=True, effective_from="2026-08-01T00:00:00Z")
    ads.decide("alice", "ads", version=2)
    clock.at = utc("2026-08-02T00:00:00Z")
    assert sweep() == {}
    assert flags() == []


def test_a_suspended_processing_is_not_resolicited(ads, sweep, flags, clock):
    """While a processing is suspended no notice is said; what expires is; active again, the latest notice is."""
    clock.at = utc("2026-12-15T12:00:00Z")
    ads.decide("bob", "ads")
    clock.at = utc("2027-05-20T12:00:00Z")
    ads.ok("PATCH", "/v1/processings/ads", {"status": "suspended"})
    assert sweep() == {}
    clock.at = utc("2027-06-20T12:00:00Z")
    assert sweep() == {"expired": 1}
    clock.at = utc("2027-11-20T12:00:00Z")
    assert sweep() == {}
    ads.ok("PATCH", "/v1/processings/ads", {"status": "active"})
    assert sweep() == {"due": 1}
    assert flags()[-1] == ("due", 30)


def test_a_retired_processing_is_closed(ads, sweep, flags, clock, database):
    """Consents to a retired processing are closed in the ledger, the projection and the outbox, once."""
    clock.at = utc("2026-07-01T12:00:00Z")
    ads.ok("PATCH", "/v1/processings/ads", {"status": "retired"})
    assert (sweep(), sweep()) == ({"closed": 1}, {})
    assert flags("SELECT ended_by FROM consent") == [("closed",)]
    assert flags(OUTBOX) == [("closed", None)]
    assert flags("SELECT data->>'cause' FROM outbox WHERE type ~ 'closed'") == [("processing_retired",)]
    assert rebuilt(database, repair=False)[1] == 0


def test_a_consent_ahead_of_its_version_is_closed_beside_the_one_in_force(ads, sweep, flags, clock, database):
    """Whoever holds a consent, and another for a version to come, is told of both when the processing is retired."""
    clock.at = utc("2026-07-01T12:00:00Z")
    _new_version(ads, elements=["content", "attachments"], material=True, effective_from="2026-08-01T00:00:00Z")
    for name in ("alice", "alice", "bob"):
        ads.decide(name, "ads", version=2)
    ads.ok("PATCH", "/v1/processings/ads", {"status": "retired"})
    assert (sweep(batch=1), sweep(batch=1)) == ({"closed": 4}, {})
    closed = flags("SELECT evidence->>'consent', version FROM consent_event WHERE kind = 'closed' ORDER BY 1")
    assert closed == flags("SELECT id::text, version FROM consent ORDER BY 1")
    assert flags("SELECT DISTINCT ended_by FROM consent") == [("closed",)]
    told = flags("SELECT data->>'consent' FROM outbox WHERE type ~ 'closed' ORDER BY 1")
    assert [consent for consent, _ in closed] == [consent for (consent,) in told]
    assert rebuilt(database, repair=False)[1] == 0


def test_a_closure_tells_of_a_consent_that_no_sweep_looks_at(ads, sweep, flags, clock):
    """A consent that a lower ceiling let expire, and the old one has in force again, is closed with the other one."""
    clock.at = utc("2027-01-10T12:00:00Z")
    shorter = Renewal(PeriodPolicy(ceiling=ConsentPeriod.parse("P6M")))
    assert sweep(shorter) == {"expired": 1}
    assert ads.reason("alice", "ads") == "consent_in_force"
    _new_version(ads, elements=["content", "attachments"], material=True, effective_from="2027-02-01T00:00:00Z")
    ads.decide("alice", "ads", version=2)
    ads.ok("PATCH", "/v1/processings/ads", {"status": "retired"})
    assert (sweep(), sweep()) == ({"closed": 2}, {})


def test_a_retirement_closes_nothing_that_had_ended(ads, sweep, flags, clock):
    """What expired before the retirement stays expired, flagged before it or after; an unlawful grant stays invalid."""
    clock.at = utc("2026-06-16T12:00:00Z")
    ads.decide("bob", "ads")
    clock.at = utc("2026-07-01T12:00:00Z")
    ads.decide("carol", "ads", evidence={"default_state": "selected"})
    ads.decide("dave", "ads")
    clock.at = utc("2027-06-14T23:00:00Z")
    assert sweep() == {"expired": 1, "due": 2}
    clock.at = utc("2027-06-16T12:00:00Z")
    ads.ok("PATCH", "/v1/processings/ads", {"status": "retired"})
    assert (sweep(), sweep()) == ({"expired": 1, "closed": 1}, {})
    items = ads.ok("POST", "/v1/consents/search", {"processing": "ads"})["items"]
    assert sorted(each["state"] for each in items) == ["closed", "expired", "expired", "invalid"]


def test_a_notice_longer_than_the_consent_is_left_out(clocked, sweep, flags, clock):
    """A consent of 30 days is announced 7 days before, not on the day that it is given."""
    clocked.agreed("short", "alice", consent_validity="P30D")
    assert sweep() == {}
    clock.at += timedelta(days=23)
    assert sweep() == {"due": 1}
    assert flags() == [("due", 7)]


def test_the_projection_is_what_the_ledger_says(ads, sweep, flags, clock, database):
    """After sweeps of every kind a rebuild of the projection finds nothing to mend."""
    for number in range(5):
        ads.decide(f"user{number}", "ads")
    clock.at = utc("2027-05-20T12:00:00Z")
    assert sweep(batch=2) == {"due": 6}
    clock.at = utc("2027-06-20T12:00:00Z")
    assert sweep(batch=2) == {"expired": 6}
    assert rebuilt(database, repair=False)[1] == 0


def test_a_rebuilt_row_is_not_flagged_again(ads, sweep, flags, clock, database):
    """Even when the projection forgot how far the sweep had come, the key of the flags keeps each from coming twice."""
    clock.at = utc("2027-06-20T12:00:00Z")
    assert sweep() == {"expired": 1}
    execute(database, "UPDATE consent SET renewal_stage = DEFAULT")
    assert sweep() == {}
    assert len(flags()) == 1
    assert len(flags("SELECT FROM consent_event WHERE kind = 'expired'")) == 1


def test_without_the_key_it_would_come_twice(ads, sweep, flags, clock, database):
    """Control: where the flags have no key, the same forgetting gives a second flag and a second event."""
    clock.at = utc("2027-06-20T12:00:00Z")
    sweep()
    with psycopg.connect(database.owner_url) as connection:
        connection.execute("UPDATE consent SET renewal_stage = DEFAULT")
        connection.execute("ALTER TABLE renewal_flag DROP CONSTRAINT pk_renewal_flag")
    assert sweep() == {"expired": 1}
    assert len(flags()) == 2


def test_decisions_are_right_with_no_sweep(ads, clock):
    """With every job stopped a consent lapses at the instant it must: the decision compares times itself."""
    clock.at = utc("2027-06-14T21:59:59Z")
    assert ads.reason("alice", "ads") == "consent_in_force"
    clock.at = utc("2027-06-14T22:00:00Z")
    assert ads.reason("alice", "ads") == "consent_expired"


def _new_version(api, **more):
    """Add a version of `ads`."""
    body = {name: value for name, value in processing("ads", **more).items() if name != "id"}
    api.ok("POST", "/v1/processings/ads/versions", body)
