"""The console's part of decisions: by reason and day, counted once, of the processings that a key may name."""

from datetime import UTC, datetime, timedelta
from functools import partial

import psycopg

from app.audit.log_reading import answers_between, midnight
from tests.faults.service import eventually
from tests.proof.logs import Log
from tests.support.api import running
from tests.support.console import Visitor
from tests.support.decision_rows import REFUSED, but, insert, logged, logged_rows, segment_of
from tests.support.pools import in_a_pool


def test_decisions_by_day_and_reason(database):
    """The console counts decisions from the log: permitted and denied by day, and by reason."""
    with running(database, decision_log="durable", decision_log_exempt_share=1) as api:
        api.register("ads")
        api.register("filter", purpose="malware_detection")
        api.decide("alice", "ads")
        for name, identifier in (("alice", "ads"), ("bob", "ads"), ("bob", "ads"), ("bob", "filter"), ("bob", "none")):
            api.evaluate(name, identifier)
    with running(database, decision_log_exempt_share=0.5) as api:
        page = Visitor(api).sign_in()
    text = page.text("decisions")
    assert "log keeps only 50%." in text
    for reason, number in (
        ("consent in force permitted", 1),
        ("no consent denied", 2),
        ("unknown processing denied", 1),
    ):
        assert f"{reason} {number} {number} 0" in text


def test_merging_changes_no_number(database, monkeypatch, tmp_path):
    """What was logged is counted at once, in segments of a flush and in those of an hour."""
    monkeypatch.setattr("app.operations.proof.close_hours._SETTLED", timedelta(hours=-1))
    log = Log(database, tmp_path)
    with running(database, decision_log="durable") as api:
        api.register("ads")
        for expected in (1, 2):
            api.evaluate("bob", "ads")
            eventually(partial(_has_logged, database, expected))
            for _ in range(2):
                assert f"no consent denied {expected} {expected} 0" in Visitor(api).sign_in().text("decisions")
                log.close()


def _has_logged(database, number):
    return len(logged_rows(database)) == number


def test_numbers_stay_when_the_log_is_gone(database):
    """A day that is dropped leaves its numbers, by day of Paris, merged or not; the report tells them as before."""
    floor = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=40)
    refused = but(REFUSED, reason="consent_refused")
    with psycopg.connect(database.owner_url) as owner:
        owner.execute(
            f"CREATE TABLE decision_segment_{floor:%Y%m%d} PARTITION OF decision_segment"
            f" FOR VALUES FROM ('{floor:%F}') TO ('{floor + timedelta(days=1):%F}')"
        )
        for hour, facts, number, merged in ((5, REFUSED, 1, True), (5, refused, 4, False), (23, REFUSED, 2, True)):
            times = [floor + timedelta(hours=hour, seconds=second) for second in range(number)]
            insert(owner, segment_of(logged(each, facts) for each in times), merged=merged)
        owner.commit()
        since = midnight(floor + timedelta(hours=12))
        days = [(since + timedelta(hours=24 * day + 2), since + timedelta(hours=24 * (day + 1) + 2)) for day in (0, 1)]
        between = [(midnight(begins), midnight(ends)) for begins, ends in days]
        before = [_answers(database, *each) for each in between]
        assert [[each.number for each in hours] for hours in before] == [[4, 1], [2]]
        assert owner.execute("SELECT sceau_drop_log_before(%s)", [(floor + timedelta(days=1)).date()]).fetchone() == (
            1,
        )
        owner.commit()
    assert [_answers(database, *each) for each in between] == before


def _answers(database, since, until):
    async def read(pool):
        async with pool.read() as session:
            return await answers_between(session, since, until)

    return in_a_pool(database, read)


def test_no_log_is_no_gap(database):
    """Without a decision log, the section says so and shows no zeros."""
    with running(database, decision_log="off") as api:
        text = Visitor(api).sign_in().text("decisions")
    assert "The decision log is off" in text
    assert "permitted" not in text


def test_decisions_of_a_restricted_caller(database):
    """A caller limited to a processing sees no decisions about other or unknown processings."""
    with running(database, decision_log="durable", decision_log_exempt_share=1) as api:
        api.register("ads")
        api.register("stats", purpose="statistics")
        for identifier in ("ads", "ads", "stats", "none"):
            api.evaluate("bob", identifier)
        key = api.new_key("audit:read", processings=["stats"])
    with running(database) as api:
        text = Visitor(api).sign_in(key).text("decisions")
    assert "no consent denied 1 1 0" in text
    assert "unknown" not in text
