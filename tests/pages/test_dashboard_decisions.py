"""The dashboard's section of decisions: by day and reason, counted once, of the processings that a key may name."""

import asyncio
import re
from datetime import UTC, datetime, timedelta

import psycopg

from app.audit.figures import answers_between
from app.core.article import PARIS
from app.db.database import Database
from tests.support.api import running
from tests.support.dashboard import Visitor, count


def test_decisions_by_day_and_reason(database):
    """What was decided is counted from the log: permitted and denied by day, each reason with its number."""
    with running(database, decision_log="durable", decision_log_exempt_share=1) as api:
        api.register("ads")
        api.register("filter", purpose="malware_detection")
        api.decide("alice", "ads")
        for name, identifier in (("alice", "ads"), ("bob", "ads"), ("bob", "ads"), ("bob", "filter"), ("bob", "none")):
            api.evaluate(name, identifier)
    count(database)
    with running(database, decision_log_exempt_share=0.5) as api:
        page = Visitor(api).sign_in()
    text = page.text("decisions")
    assert "log keeps only 50%." in text
    assert re.search(r"Day Permitted Denied \d+ \w+ \d{4} 2 3 \d+ \w+ \d{4} 0 0", text)
    for reason, number in (
        ("consent in force Permitted", 1),
        ("no consent Denied", 2),
        ("unknown processing Denied", 1),
    ):
        assert f"{reason} {number} {number} 0" in text


def test_counting_again_counts_nothing_twice(database):
    """An hour that is counted again has its numbers once; what comes in between is added."""
    with running(database, decision_log="durable") as api:
        api.register("ads")
        for expected in (1, 2, 3):
            api.evaluate("bob", "ads")
            _until_logged(database, expected)
            count(database)
            count(database)
            assert f"no consent Denied {expected} {expected} 0" in Visitor(api).sign_in().text("decisions")


def test_numbers_stay_when_the_rows_are_gone(database):
    """Whole days become one number for each processing and reason, once; the report tells them without the log."""
    day = datetime.now(PARIS).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=100)
    with running(database):
        pass
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        for hour, reason, number in ((0, "no_consent", 1), (5, "no_consent", 2), (5, "consent_refused", 4)):
            values = [day + timedelta(hours=hour), reason, number]
            connection.execute("INSERT INTO decision_count VALUES (%s, 'ads', false, %s, %s)", values)
        settled = "INSERT INTO figure (name, counted_at, took_ms, settled_until) VALUES ('decisions', now(), 0, now())"
        connection.execute(settled)
        for _ in range(2):
            count(database)
            found = connection.execute("SELECT hour, reason, number FROM decision_count ORDER BY number").fetchall()
            assert found == [(day, "no_consent", 3), (day, "consent_refused", 4)]
    assert [each.number for each in _answers(database, day, day + timedelta(days=1))] == [4, 3]
    assert _answers(database, day + timedelta(days=1), day + timedelta(days=2)) == []


def test_a_report_counts_what_no_job_has_counted_yet(database):
    """What is settled is taken from the counts, the rest from the log: nothing twice, and nothing left out."""
    with running(database, decision_log="durable") as api:
        api.register("ads")
        api.evaluate("bob", "ads")
        _until_logged(database, 1)
        now = datetime.now(UTC)
        for settled in (False, True):
            if settled:
                count(database)
            assert [each.number for each in _answers(database, now - timedelta(days=1), now + timedelta(days=1))] == [1]


def _answers(database, since, until):
    async def read():
        made = Database(database.app_url)
        try:
            async with made.read() as session:
                return await answers_between(session, since, until)
        finally:
            await made.close()

    return asyncio.run(read())


def _until_logged(database, number):
    with psycopg.connect(database.owner_url, autocommit=True) as connection:
        for _ in range(1_000):
            if connection.execute("SELECT count(*), pg_sleep(0.01) FROM decision_log").fetchall()[0][0] == number:
                return
    raise AssertionError("not logged")


def test_no_log_is_no_gap(database):
    """Where the log is off, the section says that, and shows no zeros."""
    with running(database, decision_log="off") as api:
        count(database)
        text = Visitor(api).sign_in().text("decisions")
    assert "The decision log is off" in text
    assert "Permitted" not in text


def test_decisions_of_a_restricted_caller(database):
    """Neither other processings nor questions about unknown ones are counted for it."""
    with running(database, decision_log="durable", decision_log_exempt_share=1) as api:
        api.register("ads")
        api.register("stats", purpose="statistics")
        for identifier in ("ads", "ads", "stats", "none"):
            api.evaluate("bob", identifier)
        key = api.new_key("audit:read", processings=["stats"])
    count(database)
    with running(database) as api:
        text = Visitor(api).sign_in(key).text("decisions")
    assert "no consent Denied 1 1 0" in text
    assert "unknown" not in text
